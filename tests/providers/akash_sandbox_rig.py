"""The Akash adapter on the sandbox, each exchange held against the official OpenAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx

from overspill.ports import OpenRequest
from overspill.providers.akash import Akash
from overspill.providers.akash_config import config_of
from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.options import SandboxOptions
from overspill.testing.clock import ManualClock
from overspill.testing.contract import drive
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .akash_rig import LISTING, SHELF, TOKEN, account, request
from .akash_spec import Checked, find_spec
from .sandbox_rig import stocked

KEY = "a-key-of-the-sandbox"


@dataclass
class SandboxRig:
    """The adapter on a sandbox in this process; both clocks move together, by hand."""

    app: SandboxApp
    wire: FaultyTransport
    clock: ManualClock = field(default_factory=ManualClock)
    secrets: tuple[str, ...] = (KEY, TOKEN)
    listing: Listing = LISTING
    shelf: Listing = SHELF
    config: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made: list[Akash] = []
        self.provider = self.restarted()

    def restarted(self) -> Akash:
        ours = replace(account(**self.config), endpoint=self.app.world.base_url)
        config = config_of(ours, {"apiKey": KEY})
        self.made.append(Akash(ours, config, self.clock, self.wire))
        return self.made[-1]

    def request(self, attempt: int = 1) -> OpenRequest:
        return replace(request(attempt), max_usd_per_hour=Decimal(10))

    async def pass_time(self, after: timedelta) -> None:
        seconds = max(after.total_seconds(), 1.0)
        self.clock.advance(seconds)
        self.app.world.timeline.run(self.app.world.clock.advance(seconds))
        self.app.chain.settle_all()

    async def open_things(self) -> int:
        return sum(d.state == "active" for d in self.app.chain.deployments.values())

    async def fill(self, count: int) -> list[str]:
        self.fault("short_pages", most=self.listing.page)
        wanted = [self.request(attempt) for attempt in range(1, count + 1)]
        for asked in wanted:
            await drive(self, asked)
        return [asked.key for asked in wanted]

    async def stock(self, count: int) -> list[str]:
        return stocked(self.app.world.supply.hosts, count)

    async def lag(self, after: timedelta) -> None:
        seconds = after.total_seconds()
        self.config = {"listLagSeconds": str(seconds)}
        self.fault("list_lag", seconds=seconds)
        self.provider = self.restarted()

    def log(self, text: bytes) -> None:
        """What the container has printed so far."""
        self.app.world.executor.logs = lambda _: {"job-0": text}  # type: ignore[method-assign]  # the idle executor prints nothing

    def fault(self, action: str, **rule: Any) -> None:
        self.app.world.faults.add({"action": action, **rule})


@asynccontextmanager
async def akash_rig(**config: str) -> AsyncIterator[SandboxRig]:
    """A fresh market and an adapter on it."""
    async with running(SandboxOptions(api_key=KEY)) as app:
        real = httpx.AsyncHTTPTransport()
        folder = find_spec()
        wire = FaultyTransport(Checked(real, folder) if folder else real)
        rig = SandboxRig(app, wire, config=config)
        yield rig
        for provider in rig.made:
            await provider.aclose()
