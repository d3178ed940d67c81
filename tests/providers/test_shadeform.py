"""The Shadeform adapter keeps the contract against the sandbox, and its own market's traps."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
)
from overspill.core.vocabulary import BillEnd, CapacityType, InterconnectClass, Phase
from overspill.providers import shadeform
from overspill.providers.shadeform_observe import observation
from overspill.providers.shadeform_offers import country_of
from overspill.providers.shadeform_request import auto_delete
from overspill.providers.shadeform_wire import Availability, Instance
from overspill.testing.clock import ManualClock
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import WORKLOAD
from .sandbox_rig import KEY
from .shadeform_rig import ShadeformRig, account, shadeform_rig


@pytest.fixture
async def rig() -> AsyncIterator[ShadeformRig]:
    async with shadeform_rig() as made:
        yield made


class TestShadeformOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


async def test_prices_are_cents_for_the_whole_instance(rig: ShadeformRig) -> None:
    offers = {o.offer_id: o for o in await rig.provider.offers(None)}
    eight = offers["aurora/us-west-1/H100_sxm5x8"]
    assert (eight.price_usd_per_hour, eight.gpu_count) == (Decimal("12.40"), 8)
    assert not eight.is_divisible
    assert eight.least_gpus == 8
    assert (eight.gpu_model, eight.region) == ("h100", "US")
    assert eight.interconnect is InterconnectClass.NVLINK
    assert eight.cold_start == timedelta(seconds=4)


async def test_memory_in_a_name_tells_the_variants_apart(rig: ShadeformRig) -> None:
    offers = {o.offer_id: o for o in await rig.provider.offers(None)}
    assert offers["cascade/us-east-1/A100_80G_sxm5"].gpu_model == "a100-80gb"
    assert offers["dune/eu-central-1/A100"].gpu_model == "a100-40gb"
    assert offers["harbor/eu-west-1/V100_32G_sxm5"].gpu_model == "v100-32gb"
    assert offers["dune/eu-central-1/A100"].interconnect is InterconnectClass.PCIE


async def test_what_is_sold_out_is_marked_not_hidden(rig: ShadeformRig) -> None:
    rig.keeper().kill(rig.app.world.supply.hosts["aurora"])
    offers = [o for o in await rig.provider.offers(None) if o.offer_id.startswith("aurora")]
    assert offers
    assert all(o.unavailable_reason for o in offers)


async def test_only_the_clouds_and_regions_of_the_account_are_offered() -> None:
    async with shadeform_rig(clouds="aurora, borealis", regions=("DE",)) as rig:
        offers = await rig.provider.offers(None)
        assert {o.place for o in offers} == {"shadeform/borealis/eu-west-1"}


@pytest.mark.parametrize(
    ("words", "country"), [("US, Wichita, KS", "US"), ("Toronto, Canada", ""), ("", "")]
)
def test_a_country_is_read_only_where_it_stands(words: str, country: str) -> None:
    assert country_of(Availability(region="x", display_name=words)) == country


async def test_the_command_survives_whatever_stands_in_it(rig: ShadeformRig) -> None:
    await drive(rig, rig.request())
    service, env = rig.only.service, dict(rig.only.service.env)
    assert [*service.command, *service.args] == ["/bin/sh", "-c", 'eval "$OVERSPILL_RUN"']
    assert env["OVERSPILL_RUN"] == "exec /bin/sh -c 'echo <a> && true' 012 yes"
    assert env["OVERSPILL_REPORT_TOKEN"] == rig.secrets[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "vllm/vllm-openai:v0.9"}, "entrypoint of vllm/vllm-openai:v0.9 is a program"),
        ({"command": ()}, "no command"),
        ({"disk_gib": Decimal(100_000)}, "GB of disk"),
        ({"memory_gib": Decimal(5000)}, "GB of memory"),
        ({"cpu_units": Decimal(500)}, "CPUs"),
        ({"ports": (22,)}, "port 22"),
    ],
    ids=["a program", "no command", "a big disk", "much memory", "many cpus", "the ssh port"],
)
async def test_what_cannot_be_had_is_refused_unsent(
    rig: ShadeformRig, changes: dict[str, object], why: str
) -> None:
    workload = replace(WORKLOAD, **changes)  # type: ignore[arg-type]  # one field at a time
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=workload))
    assert "create_received" not in [e.event for e in rig.app.world.ledger.entries()]


async def test_the_market_deletes_it_at_the_hard_deadline_without_us(rig: ShadeformRig) -> None:
    request = rig.request()
    step = await drive(rig, request)
    assert rig.only.details["body"]["auto_delete"] == auto_delete(
        request.hard_deadline, request.max_total_usd
    )
    await rig.pass_time(timedelta(hours=9))
    assert await rig.open_things() == 1
    await rig.pass_time(timedelta(hours=2))
    assert await rig.open_things() == 0
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)
    assert rig.only_ended.charged <= step.price_usd_per_hour * 10


async def test_the_market_deletes_it_when_its_money_is_spent(rig: ShadeformRig) -> None:
    await drive(rig, replace(rig.request(), max_total_usd=Decimal("3.109")))
    await rig.pass_time(timedelta(hours=5))
    assert await rig.open_things() == 0
    assert rig.only_ended.charged <= Decimal("3.10")


def test_the_worst_case_is_what_the_switch_leaves(rig: ShadeformRig) -> None:
    ending = rig.provider.capabilities.ending
    assert (ending.by, ending.slack) == (BillEnd.DEADLINE, timedelta(minutes=15))


async def test_running_billed_and_gone(rig: ShadeformRig) -> None:
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase in {Phase.PENDING, Phase.STARTING}
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert seen.phase is Phase.RUNNING
    assert [e.port for e in seen.endpoints] == [5000]
    await rig.pass_time(timedelta(hours=1))
    await rig.provider.close(step.handle)
    await rig.pass_time(timedelta(seconds=2))
    with pytest.raises(LeaseNotFound) as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd is not None
    assert abs(gone.value.billed_usd - rig.only_ended.charged) < Decimal("0.001")


async def test_what_is_being_deleted_costs_nothing_and_is_not_gone(rig: ShadeformRig) -> None:
    step = await drive(rig, rig.request())
    rig.fault("slow_delete", seconds=60)
    await rig.provider.close(step.handle)
    assert await rig.provider.leases() == []
    assert (await rig.provider.observe(step.handle)).phase is Phase.TERMINATING
    await rig.pass_time(timedelta(seconds=61))
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_a_machine_that_cannot_be_made_is_deleted_and_the_next_offer_taken(
    rig: ShadeformRig,
) -> None:
    rig.fault("creation_fails", count=1)
    with pytest.raises(NoCapacity):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_too_little_money_is_insufficient_funds_though_it_is_a_409(
    rig: ShadeformRig,
) -> None:
    rig.rentals.balance_usd = Decimal(4)
    with pytest.raises(InsufficientFunds):
        await rig.provider.open(rig.request())


async def test_a_409_without_a_code_of_the_market_is_uncertain(rig: ShadeformRig) -> None:
    rig.fault("status", method="POST", status=409, body="conflict", count=1)
    with pytest.raises(OpenUncertain):
        await rig.provider.open(rig.request())


async def test_sold_out_under_a_fresh_listing_is_no_capacity(rig: ShadeformRig) -> None:
    for host in rig.app.world.supply.hosts.values():
        rig.keeper().kill(host)
    with pytest.raises(NoCapacity):
        await rig.provider.open(rig.request())


async def test_any_other_code_is_this_offers_alone(rig: ShadeformRig) -> None:
    body = {"error_code": "REGION_CLOSED", "error": "no"}
    rig.fault("status", method="POST", status=409, body=body, count=1)
    with pytest.raises(OfferRejected, match="409"):
        await rig.provider.open(rig.request())


async def test_a_price_over_the_cap_is_deleted(rig: ShadeformRig) -> None:
    rig.fault("cents_move", factor=10, count=1)
    with pytest.raises(OfferRejected, match="over the cap"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_another_gpu_than_offered_is_deleted(rig: ShadeformRig) -> None:
    rig.fault("wrong_gpu", gpu={"model": "t4", "ram": "16Gi", "interface": "pcie"}, count=1)
    with pytest.raises(OfferRejected, match="a T4, a h100 was offered"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


def test_a_failure_after_it_ran_is_a_loss() -> None:
    never, once = "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
    seen = {
        at: observation(Instance.model_validate({"id": "x", "status": "error", "active_at": at}))
        for at in (never, once)
    }
    assert [seen[never].phase, seen[once].phase] == [Phase.FAILED, Phase.LOST]
    assert seen[never].started_at is None


@pytest.mark.parametrize(
    ("told", "usd"), [("103.4", "103.4"), ("$15.00", "15.00"), ("", None), (None, None)]
)
def test_an_estimate_that_cannot_be_read_is_not_told(told: str | None, usd: str | None) -> None:
    found = Instance.model_validate({"id": "x", "cost_estimate": told})
    assert found.cost_estimate == (None if usd is None else Decimal(usd))


def test_interruptible_instances_are_refused_when_the_account_is_made() -> None:
    spot = replace(account(), capacity_type=CapacityType.SPOT)
    with pytest.raises(ProviderError, match="rents no interruptible instances"):
        shadeform.create(spot, {"apiKey": KEY}, ManualClock())
