"""Keeps a collection of the API server in memory: a consistent LIST, then WATCH, and so on.

Used by `home` for nodes and pods. Keeps only what `keep` makes of an object. Every LIST replaces
the content, with deletes for what it lacks, and a watch that has lasted its time is followed by
one: an event that never came is healed within `watch_s`, as the truth LIST heals our own kinds.
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from overspill.core.errors import Gone, OverspillError
from overspill.kube.answers import Refused
from overspill.kube.mapping import Unreadable
from overspill.kube.wire import WatchLimits, Wire
from overspill.ports import Clock

T = TypeVar("T")
Keep = Callable[[Mapping[str, Any]], T | None]
"""Makes the kept value of an object; None for one that does not matter."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """What is listed and watched, and how patiently. `watch_s` is the time between two LISTs."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    watch_s: float = 60.0
    inactivity_s: float = 70.0
    backoff_first_s: float = 0.5
    backoff_last_s: float = 30.0


class Informer(Generic[T]):
    """One collection, kept fresh by `run`; belongs to one event loop."""

    def __init__(self, wire: Wire, clock: Clock, source: Source, keep: Keep[T]) -> None:
        self._wire = wire
        self._clock = clock
        self._source = source
        self._keep = keep
        self._items: dict[str, T] = {}
        self._listeners: list[Callable[[T], None]] = []
        self._version: str | None = None
        self._synced = False
        self._alive_at = self._listed_at = clock.monotonic()
        self._failures = 0

    @property
    def synced(self) -> bool:
        """Whether a first LIST succeeded."""
        return self._synced

    @property
    def last_event_age_s(self) -> float:
        """Seconds since the last sign of the server: event, bookmark, LIST, or a clean end."""
        return self._clock.monotonic() - self._alive_at

    def items(self) -> Sequence[T]:
        """The kept values."""
        return list(self._items.values())

    def get(self, uid: str) -> T | None:
        """The kept value of one object."""
        return self._items.get(uid)

    def listen(self, listener: Callable[[T], None]) -> None:
        """Calls `listener` with the new value after a change, the last one after a delete."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Lists and watches until cancelled. Errors of the API server only make it wait."""
        while True:
            try:
                if self._version is None or self._is_list_due():
                    await self._list()
                await self._watch(self._version or "")
            except (Gone, Refused) as error:
                self._version = None  # too old to go on from, or not served (yet): LIST again
                await self._wait(error)
            except OverspillError as error:
                await self._wait(error)  # the next watch goes on where this one broke

    def _is_list_due(self) -> bool:
        """A watch lasts between nine and eleven tenths of its time, and is then due."""
        return self._clock.monotonic() - self._listed_at >= 0.9 * self._source.watch_s

    async def _list(self) -> None:
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
        self._seen(version)

    async def _watch(self, version: str) -> None:
        """Follows one watch to its end."""
        started = self._clock.monotonic()
        params = {**self._source.params, "resourceVersion": version}
        events = self._wire.watch(self._source.path, params, self._limits())
        async with aclosing(events):
            async for kind, obj in events:
                self._apply(kind, obj)
                self._seen(str(obj["metadata"]["resourceVersion"]))
        self._alive_at = self._clock.monotonic()
        if self._alive_at - started < 1.0:
            await self._wait()  # a server that hangs up at once must not make us spin

    def _limits(self) -> WatchLimits:
        """Jitter keeps many watches from ending together."""
        spread = self._source.watch_s * (0.9 + 0.2 * random.random())  # noqa: S311  (not a secret)
        return WatchLimits(timeout_s=max(1.0, spread), inactivity_s=self._source.inactivity_s)

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

    def _seen(self, version: str) -> None:
        self._version = version
        self._alive_at = self._clock.monotonic()
        self._failures = 0

    async def _wait(self, error: OverspillError | None = None) -> None:
        """Exponential backoff with jitter."""
        if error is not None:
            log.info("%s: %s", self._source.path, error)
        longest = self._source.backoff_first_s * 2 ** min(self._failures, 16)
        self._failures += 1
        capped = min(longest, self._source.backoff_last_s)
        await self._clock.sleep(capped * (0.5 + random.random() / 2))  # noqa: S311  (not a secret)
