"""What stands between a simulated process and the world: an API server that fails, a paused
process, requests that outlive their sender, events that come late or never.

One `Wrongs` per history, one `Line` per process; `testing.simulation` puts them together.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from overspill.core.errors import ClusterUnavailable, OverspillError
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.kube.wire import Listing
from overspill.ports import OpenRequest, OpenStep
from overspill.testing.fakeapi import FakeApi, Json
from overspill.testing.fakeapi_parts import parse
from overspill.testing.market import FakeMarket
from overspill.testing.virtualtime import START

T = TypeVar("T")


@dataclass
class Wrongs:
    """Everything that may go wrong beside the market's own lies. `heal` ends it all."""

    api_fail: float = 0.0
    """The API server refuses a call before it is carried out."""
    api_lose: float = 0.0
    """A write is carried out, its answer never arrives."""
    api_late_s: float = 0.0
    """A write whose answer is lost may be carried out this much later."""
    api_down: Sequence[tuple[float, float]] = ()
    """Windows (from, until) in which the API server is not there."""
    ear_lag_s: float = 0.0
    ear_misses: float = 0.0
    """Events that come late, and events that never come (the truth LIST heals them)."""
    deaf: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Kinds of which a process hears nothing but the truth LIST."""
    market_s: float = 0.0
    """How long a question to the market may be on its way."""
    stale_s: float = 0.0
    """A process that starts is shown lists this old for its first LIST."""
    skews: Mapping[str, timedelta] = field(default_factory=dict)
    """How wrong each process's wall clock is."""
    pauses: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """SIGSTOP and SIGCONT: a window in which a process's calls do not leave it."""

    def heal(self) -> None:
        """From now on nothing goes wrong any more (clocks stay as they are)."""
        self.api_fail = self.api_lose = self.ear_lag_s = self.ear_misses = self.stale_s = 0.0
        self.market_s = 0.0
        self.api_down, self.pauses, self.deaf = (), {}, {}


class SimApi(FakeApi):
    """The API server in memory on the simulation's time, which remembers its past lists."""

    def __init__(self) -> None:
        super().__init__()
        self._times: list[tuple[float, int]] = []

    @property
    def now(self) -> str:
        """Virtual wall time, as creationTimestamp shows it."""
        try:
            passed = asyncio.get_running_loop().time()
        except RuntimeError:
            passed = 0.0
        return (START + timedelta(seconds=passed)).strftime("%Y-%m-%dT%H:%M:%SZ")

    @now.setter
    def now(self, _value: str) -> None:
        """Time is the loop's; nothing else sets it."""

    def _shown(self, obj: Json) -> Json:
        """The stored document itself: neither the engine nor a history changes what it reads."""
        return obj

    def stored(self, path: str) -> Json | None:
        """An object as it is now, without a call and without a fault: for oracles."""
        return self._objects.get(parse(path).key)

    def as_of(self, path: str, age_s: float) -> Listing:
        """The collection as it was that long ago: what a lagging API server may list."""
        then = asyncio.get_running_loop().time() - age_s
        version = max((v for t, v in self._times if t <= then), default=self._version)
        place, found = parse(path), dict[str, Json]()
        for at, kind, collection, obj in self._history:
            if at <= version and place.covers(collection, obj):
                uid = obj["metadata"]["uid"]
                found.pop(uid, None)
                if kind != "DELETED":
                    found[uid] = self._shown(obj)
        return Listing(list(found.values()), str(version))

    async def _record(self, kind: str, place: Any, obj: Json) -> None:
        self._times.append((asyncio.get_running_loop().time(), self._version))
        await super()._record(kind, place, obj)


class Line:
    """One process's way to the API server and to the market."""

    def __init__(self, identity: str, wrongs: Wrongs, dice: random.Random) -> None:
        self.identity = identity
        self.wrongs = wrongs
        self.dice = dice

    async def awake(self) -> None:
        """Returns when the process is not paused."""
        while (window := self.wrongs.pauses.get(self.identity)) is not None:
            now = asyncio.get_running_loop().time()
            if not window[0] <= now < window[1]:
                return
            await asyncio.sleep(window[1] - now)

    async def travel(self) -> None:
        """A question on its way to the market."""
        await self.awake()
        if self.wrongs.market_s:
            await asyncio.sleep(self.dice.random() * self.wrongs.market_s)

    def happens(self, probability: float) -> bool:
        """Throws the history's dice."""
        return probability > 0 and self.dice.random() < probability

    def is_down(self) -> bool:
        """Whether the API server is away now."""
        now = asyncio.get_running_loop().time()
        return any(a <= now < b for a, b in self.wrongs.api_down)

    async def outliving(self, call: Awaitable[T]) -> T:
        """A request that has left is carried out even when its sender has died meanwhile."""
        task = asyncio.ensure_future(call)
        task.add_done_callback(_retrieved)
        return await asyncio.shield(task)


def _retrieved(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled():
        task.exception()


class FaultyApi:
    """`ports.KubeVerbs` and the lists of `kube.wire.Wire`, as one process meets them."""

    def __init__(self, api: SimApi, line: Line) -> None:
        self._api = api
        self._line = line
        self.is_first_list = True

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """GET."""
        return await self._read(lambda: self._api.get(path, params), path)

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST."""
        return await self._write(lambda: self._api.create(path, body), path)

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        content_type: str = "application/merge-patch+json",
    ) -> Json:
        """PATCH."""
        call = lambda: self._api.patch(path, body, content_type=content_type)  # noqa: E731
        return await self._write(call, path)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """DELETE."""
        return await self._write(lambda: self._api.delete(path, body), path)

    async def list_all(self, path: str, params: Mapping[str, str] | None = None) -> list[Json]:
        """A complete quorum LIST."""
        return await self._read(lambda: self._api.list_all(path, params), path)

    async def list_kept(
        self, path: str, keep: Callable[[Json], T], params: Mapping[str, str] | None = None
    ) -> list[T]:
        """What `keep` makes of each object of a complete quorum LIST."""
        return await self._read(lambda: self._api.list_kept(path, keep, params), path)

    async def list_pages(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Listing, None]:
        """The truth LIST; the first one of a process may be an old one."""
        if self.is_first_list and self._line.wrongs.stale_s:
            yield self._api.as_of(path, self._line.wrongs.stale_s)
            return
        yield await self._read(lambda: self._api.list_consistent(path, params), path)

    async def _read(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        await self._line.awake()
        self._maybe_away(what)
        await asyncio.sleep(self._line.dice.random() * 0.02)
        return await call()

    async def _write(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        await self._line.awake()
        self._maybe_away(what)
        if self._line.happens(self._line.wrongs.api_lose):
            await self._lost(call)
            raise ClusterUnavailable(f"{what}: no answer")
        await asyncio.sleep(self._line.dice.random() * 0.02)
        answer = await self._line.outliving(call())
        await self._line.awake()
        return answer

    async def _lost(self, call: Callable[[], Awaitable[Any]]) -> None:
        async def later(delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            try:
                await call()
            except OverspillError:
                return  # the server refused it; nobody hears that

        late = self._line.dice.random() * self._line.wrongs.api_late_s
        await self._line.outliving(later(late if self._line.happens(0.5) else 0.0))

    def _maybe_away(self, what: str) -> None:
        if self._line.is_down() or self._line.happens(self._line.wrongs.api_fail):
            raise ClusterUnavailable(f"{what}: the API server does not answer")


class FarMarket:
    """`ports.Provider`: the market as one process reaches it."""

    def __init__(self, market: FakeMarket, line: Line) -> None:
        self._market = market
        self._line = line
        self.name = market.name
        self.capabilities = market.capabilities

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """See ports.Provider."""
        await self._line.awake()
        return await self._market.offers(requirements)

    async def open(self, request: OpenRequest) -> OpenStep:
        """Once on its way, a request is carried out, whatever becomes of its sender."""
        return await self._line.outliving(self._open(request))

    async def _open(self, request: OpenRequest) -> OpenStep:
        await self._line.awake()
        return await self._market.open(request)

    async def observe(self, handle: Handle) -> Observation:
        """See ports.Provider."""
        await self._line.travel()
        return await self._market.observe(handle)

    async def close(self, handle: Handle) -> None:
        """See ports.Provider."""
        await self._line.awake()
        await self._line.outliving(self._market.close(handle))

    async def leases(self) -> Sequence[HeldLease]:
        """See ports.Provider."""
        await self._line.travel()
        return await self._market.leases()
