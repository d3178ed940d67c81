"""Wires one sandbox: the shared world, the markets over it, the fault layers and the control.

Every market listens on a port of its own, so that each has its paths as the real one has them;
the control surface is reached on any of these ports.
`serve` is what the command line runs; it returns when told to stop, and leaves nothing behind.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from overspill.sandbox import markets
from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.control import Control
from overspill.sandbox.executor.choose import choose
from overspill.sandbox.fault_layer import FaultLayer, Handler
from overspill.sandbox.faults import Faults
from overspill.sandbox.fleet import Fleet
from overspill.sandbox.hosts import HostKeeper
from overspill.sandbox.ledger import Event, Ledger
from overspill.sandbox.markets.akash.chain import Chain
from overspill.sandbox.markets.akash.market import AkashMarket
from overspill.sandbox.markets.market import Market
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.timeline import Timeline
from overspill.sandbox.traces import supply_of
from overspill.sandbox.workload import Workload
from overspill.sandbox.world import World

_TICK_S = 0.1
_MAX_BODY = 4 * 2**20


class SandboxApp:
    """The parts of one sandbox, wired."""

    ticking: asyncio.Task[None]

    def __init__(self, options: SandboxOptions) -> None:
        clock, timeline = SandboxClock(options.time_scale), Timeline()
        supply = supply_of(options)
        ledger = Ledger(self._now, options.ledger)
        faults = Faults(clock, ledger, markets.faults())
        self._chosen = choose(options, clock, self._witness)
        executor = self._chosen.executor
        whole = World(clock, timeline, supply, ledger, faults, executor, options.seed)
        self.markets = {
            name: markets.create(name)(whole.of(name), options) for name in options.markets
        }
        if not self.markets:
            raise ValueError("A sandbox serves at least one market.")
        self.fleet = Fleet(self.markets)
        self.world = next(iter(self.markets.values())).world
        self.control = Control(whole, self.fleet, HostKeeper(whole, list(self.markets.values())))
        self._layers = {name: FaultLayer(m.world, m.key_of) for name, m in self.markets.items()}

    @property
    def akash(self) -> AkashMarket:
        """The Akash market. Raises LookupError where it is not served."""
        found = self.markets["akash"]
        assert isinstance(found, AkashMarket)  # noqa: S101 -- made under this name
        return found

    @property
    def chain(self) -> Chain:
        """Akash's chain."""
        return self.akash.chain

    @property
    def urls(self) -> dict[str, str]:
        """Where each market listens."""
        return {name: market.world.base_url for name, market in self.markets.items()}

    def web(self, market: Market) -> web.Application:
        """The aiohttp application of one market."""
        layer = self._layers[market.name]

        @web.middleware
        async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await layer.handle(request, handler)

        app = web.Application(middlewares=[faults], client_max_size=_MAX_BODY)
        app.add_routes(market.routes())
        app.add_routes(self.control.routes())
        return app

    def _now(self) -> float:
        return self.world.now()

    def facts(self) -> dict[str, str | bool]:
        """What a client must know beside the URL."""
        chosen = self._chosen
        return {"bridge_address": chosen.bridge_address, "is_isolated": chosen.is_isolated}

    def notes(self) -> list[str]:
        """Sentences for the person who started it."""
        return [self._chosen.note]

    def _witness(self, workload: Workload, copy: str, exit_code: int | None) -> None:
        event = Event.STARTED if exit_code is None else Event.EXITED
        end = {} if exit_code is None else {"exit_code": exit_code}
        self.world.ledger.write(
            event,
            market="sandbox",
            key=workload.key,
            id=workload.lease,
            provider=workload.host,
            detail={"copy": copy, **end},
        )

    async def tick(self) -> None:
        """Lets time pass between requests."""
        while True:
            self.world.timeline.run(self.world.clock.now())
            self.fleet.settle()
            await asyncio.sleep(_TICK_S)

    async def close(self) -> None:
        """Ends what runs and closes the ledger."""
        for layer in self._layers.values():
            await layer.close()
        await self.world.executor.close()
        self.world.ledger.close()


@asynccontextmanager
async def running(options: SandboxOptions) -> AsyncIterator[SandboxApp]:
    """A sandbox that listens while the context is open; its `urls` say where."""
    app = SandboxApp(options)
    async with AsyncExitStack() as listening:
        for number, market in enumerate(app.markets.values()):
            port = options.port + number if options.port else 0
            runner = web.AppRunner(app.web(market), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            listening.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, options.host, port).start()
            market.world.base_url = "http://{}:{}".format(*runner.addresses[0][:2])
        async with _ticking(app):
            yield app


@asynccontextmanager
async def _ticking(app: SandboxApp) -> AsyncIterator[None]:
    app.ticking = asyncio.create_task(app.tick())
    try:
        yield
    finally:
        app.ticking.cancel()
        await asyncio.wait([app.ticking])
        await app.close()
        if not app.ticking.cancelled():
            app.ticking.result()  # time stopped by an error of ours: say so, do not hide it


async def serve(options: SandboxOptions, ready: Callable[[SandboxApp], Awaitable[None]]) -> None:
    """Listens until `ready` returns, or until an error of ours stops its time."""
    async with running(options) as app:
        told = asyncio.ensure_future(ready(app))
        await asyncio.wait({told, app.ticking}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
