"""The Lium adapter on the sandbox. There is no published specification to hold it against."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.ports import OpenRequest
from overspill.providers._settings import settings_of
from overspill.providers.lium import Lium
from overspill.providers.lium_config import DEFAULT_ENDPOINT, Config
from overspill.sandbox.app import running
from overspill.sandbox.markets.lium.market import LiumMarket
from overspill.sandbox.options import SandboxOptions
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .sandbox_rig import KEY, SandboxRig

LISTING = Listing(why_whole="the maker's client (lium-io) reads GET /pods once, as one array")
SHELF = Listing(why_whole="the maker's client reads GET /executors once, as one array")


class LiumRig(SandboxRig):
    """Its pods end by themselves, so the adapter's clock is set to the sandbox's."""

    def request(self, attempt: int = 1) -> OpenRequest:
        asked = super().request(attempt)
        deadline = self.deadline
        lease = replace(asked.lease, created_at=self.began, hard_deadline=deadline)
        return replace(asked, lease=lease, hard_deadline=deadline)

    def set_clock(self) -> None:
        self.clock.advance(self.app.world.clock.now() - self.clock.now().timestamp())
        self.began = self.clock.now()
        self.deadline = self.began + timedelta(hours=9, minutes=20)

    @property
    def market_itself(self) -> LiumMarket:
        found = self.app.markets["lium"]
        assert isinstance(found, LiumMarket)
        return found


def account(*, regions: tuple[str, ...] = (), **config: str) -> ProviderAccount:
    settings = {"requestsPerSecond": "100", "listLagSeconds": "0"}
    return ProviderAccount("lium", ProviderType.LIUM, regions=regions, config=settings | config)


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> Lium:
    config = settings_of(Config, account, {"apiKey": KEY}, DEFAULT_ENDPOINT)
    return Lium(account, config, clock, wire)


@asynccontextmanager
async def lium_rig(*, regions: tuple[str, ...] = (), **config: str) -> AsyncIterator[LiumRig]:
    async with running(SandboxOptions(api_key=KEY, markets=("lium",))) as app:
        wire = FaultyTransport(httpx.AsyncHTTPTransport())
        rig = LiumRig(app, "lium", wire, account(regions=regions, **config), make)
        rig.set_clock()
        rig.listing, rig.shelf = LISTING, SHELF
        await rig.find_offer()
        yield rig
        for provider in rig.made:
            await provider.aclose()


def sent(rig: SandboxRig, method: str, end: str) -> list[Any]:
    """The requests of the adapter whose path ends so."""
    return [r for r in rig.wire.seen if r.method == method and r.url.path.endswith(end)]
