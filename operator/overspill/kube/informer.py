"""Keeps a collection of the API server in memory: a consistent LIST, then WATCH, and so on.

Used by `home` for nodes and pods. Keeps only what `keep` makes of an object. Every LIST replaces
the content, with deletes for what it lacks, and a watch that has lasted its time is followed by
one: an event that never came is healed within `watch_s`, as the truth LIST heals our own kinds.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from overspill.kube.following import Following, Source
from overspill.kube.mapping import Unreadable
from overspill.kube.wire import Wire
from overspill.ports import Clock

__all__ = ["Informer", "Source"]

T = TypeVar("T")
Keep = Callable[[Mapping[str, Any]], T | None]
"""Makes the kept value of an object; None for one that does not matter."""

log = logging.getLogger(__name__)


class Informer(Following, Generic[T]):
    """One collection, kept fresh by `run`; belongs to one event loop."""

    def __init__(self, wire: Wire, clock: Clock, source: Source, keep: Keep[T]) -> None:
        super().__init__(wire, clock, source)
        self._keep = keep
        self._items: dict[str, T] = {}
        self._listeners: list[Callable[[T], None]] = []
        self._synced = False
        self._listed_at = clock.monotonic()

    @property
    def synced(self) -> bool:
        """Whether a first LIST succeeded."""
        return self._synced

    def items(self) -> Sequence[T]:
        """The kept values."""
        return list(self._items.values())

    def get(self, uid: str) -> T | None:
        """The kept value of one object."""
        return self._items.get(uid)

    def listen(self, listener: Callable[[T], None]) -> None:
        """Calls `listener` with the new value after a change, the last one after a delete."""
        self._listeners.append(listener)

    def _is_list_due(self) -> bool:
        """A watch lasts between nine and eleven tenths of its time, and is then due."""
        return self._clock.monotonic() - self._listed_at >= 0.9 * self._source.watch_s

    async def _list(self) -> str:
        """Page by page; a list that breaks off deletes nothing."""
        began, version = self._clock.monotonic(), ""
        found: set[str] = set()
        pages = self._wire.list_pages(self._source.path, self._source.params)
        async with aclosing(pages):
            async for page in pages:
                version = page.resource_version
                for obj in page.items:
                    found.add(uid := str(obj["metadata"]["uid"]))
                    self._store(uid, obj)
        for uid in [uid for uid in self._items if uid not in found]:
            self._remove(uid)
        self._synced, self._listed_at = True, began
        return version

    def _apply(self, kind: str, obj: Mapping[str, Any]) -> None:
        if kind == "DELETED":
            self._remove(str(obj["metadata"]["uid"]))
        elif kind in ("ADDED", "MODIFIED"):
            self._store(str(obj["metadata"]["uid"]), obj)

    def _store(self, uid: str, obj: Mapping[str, Any]) -> None:
        value = self._kept(obj)
        if value is None:
            self._remove(uid)
        elif self._items.get(uid) != value:
            self._items[uid] = value
            self._tell(value)

    def _kept(self, obj: Mapping[str, Any]) -> T | None:
        try:
            return self._keep(obj)
        except Unreadable as error:
            log.warning("%s %s: %s", self._source.path, obj["metadata"].get("name"), error)
            return None

    def _remove(self, uid: str) -> None:
        gone = self._items.pop(uid, None)
        if gone is not None:
            self._tell(gone)

    def _tell(self, value: T) -> None:
        for listener in self._listeners:
            listener(value)
