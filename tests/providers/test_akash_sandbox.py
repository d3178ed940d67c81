"""The Akash adapter keeps the contract against the sandbox, over real HTTP.

Every exchange is held against the official OpenAPI as well where it is beside the checkout, so
that adapter and sandbox cannot share one misreading of it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from overspill.core.errors import LeaseNotFound, NoCapacity
from overspill.core.vocabulary import Phase
from overspill.ports import OpenRequest
from overspill.providers.akash import Akash
from overspill.providers.akash_config import config_of
from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.hosts import HostKeeper
from overspill.sandbox.options import SandboxOptions
from overspill.testing.clock import ManualClock
from overspill.testing.contract import ProviderContract, drive
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .akash_rig import H100, LISTING, TOKEN, account, request
from .akash_spec import Checked, find_spec

KEY = "a-key-of-the-sandbox"


@dataclass
class SandboxRig:
    """The adapter on a sandbox in this process; both clocks move together, by hand."""

    app: SandboxApp
    wire: FaultyTransport
    clock: ManualClock = field(default_factory=ManualClock)
    secrets: tuple[str, ...] = (KEY, TOKEN)
    listing: Listing = LISTING
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
        self.app.world.faults.add({"action": "short_pages", "most": self.listing.page})
        wanted = [self.request(attempt) for attempt in range(1, count + 1)]
        for asked in wanted:
            await drive(self, asked)
        return [asked.key for asked in wanted]

    async def lag(self, after: timedelta) -> None:
        seconds = after.total_seconds()
        self.config = {"listLagSeconds": str(seconds)}
        self.app.world.faults.add({"action": "list_lag", "seconds": seconds})
        self.provider = self.restarted()


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with running(SandboxOptions(api_key=KEY)) as app:
        real = httpx.AsyncHTTPTransport()
        folder = find_spec()
        wire = FaultyTransport(Checked(real, folder) if folder else real)
        rig = SandboxRig(app, wire)
        yield rig
        for provider in rig.made:
            await provider.aclose()


class TestAkashOnTheSandbox(ProviderContract):
    """The same checks as on the double."""


async def test_offers_carry_the_sandboxes_prices(rig: SandboxRig) -> None:
    offers = await rig.provider.offers(None)
    assert {offer.gpu_model for offer in offers} >= {"h100"}
    assert all(0 < offer.price_per_gpu_hour < 20 for offer in offers)


async def test_the_ledger_agrees_with_price_and_bill(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    (deployment,) = rig.app.chain.deployments.values()
    assert step.price_usd_per_hour == deployment.running[0].price * 600 / 10**6
    await rig.pass_time(timedelta(hours=1))
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound) as gone:
        await rig.provider.observe(step.handle)
    charged = deployment.leases[0].charged / 10**6
    assert charged > 0
    assert gone.value.billed_usd == charged


async def test_a_dead_host_is_unknown_and_its_end_is_lost(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    (deployment,) = rig.app.chain.deployments.values()
    host = deployment.running[0].host
    HostKeeper(rig.app.world, [rig.app.akash]).kill(host)
    assert (await rig.provider.observe(step.handle)).phase is Phase.UNKNOWN
    rig.app.chain.end_lease(deployment, deployment.leases[0], "lease_closed_reason_unstable")
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.reason) == (Phase.LOST, "ProviderUnstable")
    (held,) = await rig.provider.leases()
    assert held.is_live
    assert held.observation is not None
    assert held.observation.phase is Phase.LOST


async def test_a_long_lease_outlives_the_markets_small_deposit(rig: SandboxRig) -> None:
    asked = replace(rig.request(), max_total_usd=Decimal(100))
    step = await drive(rig, asked)
    for _ in range(8):
        await rig.pass_time(timedelta(hours=1))
    assert (await rig.provider.observe(step.handle)).phase is Phase.RUNNING
    (deployment,) = rig.app.chain.deployments.values()
    assert deployment.leases[0].charged / 10**6 > rig.app.chain.options.deposit_usd


async def test_a_bid_that_closes_gives_way_to_the_next(rig: SandboxRig) -> None:
    rig.app.world.faults.add({"action": "bid_closes", "count": 1})
    # without an interface, two hosts of the built-in supply can bid
    any_h100 = replace(H100, attributes=(("model", "h100"), ("ram", "80Gi")))
    step = await drive(rig, replace(rig.request(), offer=any_h100))
    assert len(step.handle.get("refused").split()) == 1
    assert step.handle.get("provider") not in step.handle.get("refused")
    assert await rig.open_things() == 1


async def test_no_bids_are_no_capacity_and_leave_nothing(rig: SandboxRig) -> None:
    rig.app.world.faults.add({"action": "no_bids", "count": 1})
    with pytest.raises(NoCapacity):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0
