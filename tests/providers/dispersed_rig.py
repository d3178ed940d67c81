"""The Dispersed adapter on the sandbox. There is no published specification to hold it against."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.ports import OpenRequest
from overspill.providers.dispersed import Dispersed, settings
from overspill.sandbox.app import running
from overspill.sandbox.options import SandboxOptions
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .akash_rig import TOKEN
from .sandbox_rig import KEY, SandboxRig

CREDENTIALS = {"apiKey": KEY, "secretKey": f"sk_{KEY}"}


class DispersedRig(SandboxRig):
    """Its signatures have a time, so the adapter's clock is set to the sandbox's."""

    def request(self, attempt: int = 1) -> OpenRequest:
        return replace(super().request(attempt), hard_deadline=self.deadline)

    async def stock(self, count: int) -> list[str]:
        """Only what has a price in the settings is offered."""
        added = await super().stock(count)
        prices = ", ".join(f"{model}=0.3" for model in added)
        self.account = account(pricesUsd=prices)
        return added

    def set_clock(self) -> None:
        behind = self.app.world.clock.now() - self.clock.now().timestamp()
        self.clock.advance(behind)
        self.deadline = self.clock.now() + timedelta(hours=10)


def account(**config: str) -> ProviderAccount:
    values = {
        "requestsPerSecond": "100",
        "listLagSeconds": "0",
        "experimental": "true",
        "runnerImages": "registry.example/*",
    }
    return ProviderAccount("dispersed", ProviderType.DISPERSED, config=values | config)


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> Dispersed:
    return Dispersed(account, *settings(account, CREDENTIALS), clock, wire)


@asynccontextmanager
async def dispersed_rig(**config: str) -> AsyncIterator[DispersedRig]:
    async with running(SandboxOptions(api_key=KEY, markets=("dispersed",))) as app:
        wire = FaultyTransport(httpx.AsyncHTTPTransport())
        secrets = (*CREDENTIALS.values(), TOKEN)
        rig = DispersedRig(app, "dispersed", wire, account(**config), make, secrets=secrets)
        rig.set_clock()
        rig.listing = rig.shelf = Listing(page=50)
        await rig.find_offer("rtx4090")
        yield rig
        for provider in rig.made:
            await provider.aclose()
