"""Follows a collection of the API server: a LIST to begin with, then WATCH after WATCH.

What is made of it is the business of the two that inherit: `informer.Informer` keeps values of
nodes and pods itself, `ear.Ear` feeds the store. Errors of the API server only make it wait, and
a version that is too old (410, as a status or inside the stream) means a fresh LIST.
"""

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from overspill.core.errors import Gone, OverspillError
from overspill.kube.answers import Refused
from overspill.kube.wire import WatchLimits, Wire
from overspill.ports import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """What is listed and watched, and how patiently. `watch_s` is how long one watch lasts."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    watch_s: float = 60.0
    inactivity_s: float = 70.0
    backoff_first_s: float = 0.5
    backoff_last_s: float = 30.0


class Following(ABC):
    """One collection, followed by `run`; belongs to one event loop."""

    def __init__(self, wire: Wire, clock: Clock, source: Source) -> None:
        self._wire = wire
        self._clock = clock
        self._source = source
        self._version: str | None = None
        self._alive_at = clock.monotonic()
        self._failures = 0

    @property
    def last_event_age_s(self) -> float:
        """Seconds since the last sign of the server: event, bookmark, LIST, or a clean end."""
        return self._clock.monotonic() - self._alive_at

    async def run(self) -> None:
        """Lists and watches until cancelled. Errors of the API server only make it wait."""
        while True:
            try:
                if self._version is None or self._is_list_due():
                    self._seen(await self._list())
                await self._watch(self._version or "")
            except (Gone, Refused) as error:
                self._version = None  # too old to go on from, or not served (yet): LIST again
                await self._wait(error)
            except OverspillError as error:
                await self._wait(error)  # the next watch goes on where this one broke

    @abstractmethod
    def _is_list_due(self) -> bool:
        """Whether a LIST is due although the last watch ended well."""

    @abstractmethod
    async def _list(self) -> str:
        """Takes in a complete LIST; returns its version."""

    @abstractmethod
    def _apply(self, kind: str, obj: Mapping[str, Any]) -> None:
        """Takes in one event of the watch, bookmarks too."""

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
