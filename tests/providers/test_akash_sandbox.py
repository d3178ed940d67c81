"""The Akash adapter keeps the contract against the sandbox, over real HTTP.

Every exchange is held against the official OpenAPI as well where it is beside the checkout, so
that adapter and sandbox cannot share one misreading of it.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core.errors import LeaseNotFound, NoCapacity
from overspill.core.vocabulary import Phase
from overspill.sandbox.hosts import HostKeeper
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import H100
from .akash_sandbox_rig import SandboxRig, akash_rig


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with akash_rig() as made:
        yield made


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
