"""Hears the kinds of which there may be thousands (GPUJobs, GPULeases) and tells the store.

Begins where the truth LIST ended, so nothing is listed twice and nothing lies between. kopf would
hear them too, for a task, a queue and a memory per object, and ends when a watch is refused with
410; it keeps the kinds of which there are few (`handlers`). Started by `wiring`.
"""

from collections.abc import Mapping
from typing import Any

from overspill.core.errors import Gone
from overspill.kube.following import Following, Source
from overspill.kube.resources import Kind
from overspill.kube.store import Store
from overspill.kube.truth import Truth
from overspill.kube.wire import Wire
from overspill.ports import Clock

LOOK_S = 0.1
"""Between two looks whether the first truth LIST is there."""


class Ear(Following):
    """One kind, heard by `run`; belongs to one event loop."""

    def __init__(
        self, wire: Wire, clock: Clock, source: Source, kind: Kind, truth: Truth, store: Store
    ) -> None:
        super().__init__(wire, clock, source)
        self._kind = kind
        self._truth = truth
        self._store = store
        self._era = 0
        self._has_begun = False

    def _is_list_due(self) -> bool:
        """Versions that went back (etcd restored) would leave a watch waiting for the old ones."""
        return self._store.era(self._kind) != self._era

    async def _list(self) -> str:
        """The truth LIST that is there; after a failure a fresh one, which counts as heard."""
        if self._has_begun and not self._is_list_due():
            await self._list_anew()
        while not (version := self._store.listed_at(self._kind)):
            await self._clock.sleep(LOOK_S)
        self._has_begun, self._era = True, self._store.era(self._kind)
        return str(version)

    async def _list_anew(self) -> None:
        try:
            await self._truth.list_kind(self._kind)
        except Gone:
            self._alive_at = self._clock.monotonic()  # the CRD is not there, the server is
            raise
        self._store.settle(self._kind)

    def _apply(self, kind: str, obj: Mapping[str, Any]) -> None:
        if kind == "DELETED":
            self._store.drop(self._kind, str(obj["metadata"]["uid"]))
        elif kind in ("ADDED", "MODIFIED"):
            self._store.put(self._kind, obj)
