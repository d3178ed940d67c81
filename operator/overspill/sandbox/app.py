"""Wires one sandbox: the shared world, the markets over it, the fault layer and the control.

`serve` is what the command line runs; it returns when told to stop, and leaves nothing behind.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.control import Control
from overspill.sandbox.executor.choose import choose
from overspill.sandbox.fault_layer import FaultLayer, Handler
from overspill.sandbox.faults import Faults
from overspill.sandbox.hosts import HostKeeper
from overspill.sandbox.ledger import Event, Ledger
from overspill.sandbox.markets.akash.chain import AkashOptions, Chain
from overspill.sandbox.markets.akash.market import AkashMarket
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.supply import load_supply
from overspill.sandbox.timeline import Timeline
from overspill.sandbox.workload import Workload
from overspill.sandbox.world import World

_TICK_S = 0.1
_MAX_BODY = 4 * 2**20


class SandboxApp:
    """The parts of one sandbox, wired."""

    ticking: asyncio.Task[None]

    def __init__(self, options: SandboxOptions) -> None:
        clock, timeline = SandboxClock(options.time_scale), Timeline()
        supply = load_supply(options.supply, options.seed)
        ledger = Ledger(self._now, options.ledger)
        faults = Faults(clock, ledger)
        self._chosen = choose(options, clock, self._witness)
        executor = self._chosen.executor
        self.world = World(clock, timeline, supply, ledger, faults, executor, options.seed)
        self.chain = Chain(self.world, _akash(options))
        self.akash = AkashMarket(self.chain, options.api_key)
        self.layer = FaultLayer(self.world, self.akash.key_of)
        self.control = Control(self.world, self.akash, HostKeeper(self.world, [self.akash]))

    def web(self) -> web.Application:
        """The aiohttp application."""

        @web.middleware
        async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.layer.handle(request, handler)

        app = web.Application(middlewares=[faults], client_max_size=_MAX_BODY)
        app.add_routes(self.akash.routes())
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
            self.chain.settle_all()
            await asyncio.sleep(_TICK_S)

    async def close(self) -> None:
        """Ends what runs and closes the ledger."""
        await self.layer.close()
        await self.world.executor.close()
        self.world.ledger.close()


@asynccontextmanager
async def running(options: SandboxOptions) -> AsyncIterator[SandboxApp]:
    """A sandbox that listens while the context is open; its `world.base_url` says where."""
    app = SandboxApp(options)
    runner = web.AppRunner(app.web(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    app.world.base_url = f"http://{host}:{port}"
    app.ticking = asyncio.create_task(app.tick())
    try:
        yield app
    finally:
        app.ticking.cancel()
        await asyncio.wait([app.ticking])
        await runner.cleanup()
        await app.close()
        if not app.ticking.cancelled():
            app.ticking.result()  # time stopped by an error of ours: say so, do not hide it


async def serve(options: SandboxOptions, ready: Callable[[SandboxApp], Awaitable[None]]) -> None:
    """Listens until `ready` returns, or until an error of ours stops its time."""
    async with running(options) as app:
        told = asyncio.ensure_future(ready(app))
        await asyncio.wait({told, app.ticking}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()


def _akash(options: SandboxOptions) -> AkashOptions:
    return AkashOptions(
        wallet_usd=options.wallet_usd,
        deposit_usd=options.deposit_usd,
        managed_deposits=options.managed_deposits,
        trial=options.trial,
        restart_backoff_s=options.restart_backoff_s,
    )
