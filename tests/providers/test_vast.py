"""The Vast.ai adapter keeps the contract against the sandbox, and its own market's traps."""

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
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.offer import GpuRequirements, Requirements
from overspill.core.vocabulary import CapacityType, InterconnectClass, Phase, TrustTier
from overspill.core.workload import PortableWorkload
from overspill.providers.vast_logs import fetched
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import WORKLOAD
from .sandbox_rig import SandboxRig
from .vast_rig import vast_rig


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with vast_rig() as made:
        yield made


class TestVastOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


async def test_offers_are_whole_machines_with_the_disk_in_their_price(rig: SandboxRig) -> None:
    offers = await rig.provider.offers(None)
    aurora = [o for o in offers if o.gpu_model == "h100" and o.region == "US"]
    by_count = {o.gpu_count: o for o in aurora}
    assert set(by_count) == {1, 2, 4, 8, 16}
    one = by_count[1]
    storage = Decimal("0.15") * 43 / 730
    assert abs(one.price_usd_per_hour - (Decimal("1.55") + storage)) < Decimal("0.0001")
    assert not one.is_divisible
    assert {o.least_gpus - o.gpu_count for o in offers} == {0}, "none is tried for fewer GPUs"
    assert one.trust_tier is TrustTier.SECURE
    assert one.interconnect is InterconnectClass.NVLINK
    assert one.compute_capability == (9, 0)
    assert one.available_until is not None
    assert one.available_until - one.as_of > timedelta(days=29)
    assert all(o.reliability is None or o.reliability >= Decimal("0.95") for o in offers)


async def test_a_question_for_two_gpus_is_answered_with_machines_of_two(rig: SandboxRig) -> None:
    asked = Requirements(gpu=GpuRequirements(count=2, models=("h100",)))
    offers = await rig.provider.offers(asked)
    assert {(o.gpu_model, o.gpu_count) for o in offers} == {("h100", 2)}


async def test_the_container_runs_our_command_with_secrets_and_ports(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    service, details = rig.only.service, rig.only.details
    assert [*service.command, *service.args] == [*WORKLOAD.command, *WORKLOAD.args]
    assert dict(service.env)["OVERSPILL_REPORT_TOKEN"] == rig.secrets[1]
    assert [port.port for port in service.ports] == [5000]
    assert (details["runtype"], rig.only.key) == ("args", rig.request().key)


async def test_running_with_its_endpoint_and_billed_only_then(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase is Phase.STARTING
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert seen.phase is Phase.RUNNING
    assert [(e.port, e.host) for e in seen.endpoints] == [(5000, "192.0.2.1")]
    await rig.pass_time(timedelta(hours=1))
    bill = rig.only.charged
    assert abs(bill - step.price_usd_per_hour) < Decimal("0.01")
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_a_consumed_ask_is_no_capacity(rig: SandboxRig) -> None:
    await drive(rig, rig.request(1))
    rig.offers.clear()
    with pytest.raises(NoCapacity, match="the offer is gone"):
        await rig.provider.open(rig.request(2))
    assert await rig.open_things() == 1


async def test_an_offer_gone_under_a_fresh_listing_is_no_capacity(rig: SandboxRig) -> None:
    rig.fault("offer_gone", count=1)
    with pytest.raises(NoCapacity):
        await rig.provider.open(rig.request())
    assert await rig.open_things() == 0


async def test_a_refusal_that_left_an_instance_is_destroyed(rig: SandboxRig) -> None:
    rig.fault("refused_with_contract", count=1)
    with pytest.raises(NoCapacity, match="which was destroyed"):
        await rig.provider.open(rig.request())
    assert await rig.open_things() == 0


async def test_a_leftover_that_cannot_be_destroyed_is_uncertain(rig: SandboxRig) -> None:
    rig.fault("refused_with_contract", count=1)
    rig.fault("status", method="DELETE", status=503)
    with pytest.raises(OpenUncertain):
        await rig.provider.open(rig.request())
    held = await rig.provider.leases()
    assert [(h.handle.key, h.is_live) for h in held] == [(rig.request().key, True)]


async def test_a_price_over_the_cap_is_destroyed(rig: SandboxRig) -> None:
    rig.fault("price_moves", factor=9, count=1)
    with pytest.raises(OfferRejected, match="over the cap"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_another_gpu_than_offered_is_destroyed(rig: SandboxRig) -> None:
    rig.fault("wrong_gpu", gpu={"model": "t4", "ram": "16Gi", "interface": "pcie"}, count=1)
    with pytest.raises(OfferRejected, match="a h100 was offered"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_a_bigger_disk_than_quoted_is_refused_before_it_costs(rig: SandboxRig) -> None:
    asked = rig.request()
    cap = asked.offer.price_usd_per_hour
    big = replace(WORKLOAD, disk_gib=Decimal(4000))
    with pytest.raises(OfferRejected, match="disk of 4295 GB"):
        await rig.provider.open(replace(asked, workload=big, max_usd_per_hour=cap))
    assert "create_received" not in [e.event for e in rig.app.world.ledger.entries()]


@pytest.mark.parametrize(
    ("workload", "why"),
    [
        (None, "one container"),
        (replace(WORKLOAD, command=()), "no command"),
        (replace(WORKLOAD, ports=tuple(range(1, 66))), "64 ports"),
    ],
    ids=["no workload", "no command", "too many ports"],
)
async def test_what_cannot_be_told_is_refused_unsent(
    rig: SandboxRig, workload: PortableWorkload | None, why: str
) -> None:
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=workload))
    assert await rig.open_things() == 0


async def test_an_empty_account_is_insufficient_funds(rig: SandboxRig) -> None:
    rig.rentals.balance_usd = Decimal(0)
    with pytest.raises(InsufficientFunds):
        await rig.provider.open(rig.request())


async def test_credit_that_runs_out_stops_what_runs_and_it_is_lost(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.rentals.balance_usd = Decimal("0.10")
    await rig.pass_time(timedelta(hours=1))
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.reason) == (Phase.LOST, "StoppedByMarket")
    (held,) = await rig.provider.leases()
    assert held.is_live  # its disk still bills
    await rig.provider.close(step.handle)
    assert await rig.open_things() == 0


async def test_a_host_that_left_is_lost_and_a_silent_one_is_unknown(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.fault("status_null", count=1)
    assert (await rig.provider.observe(step.handle)).phase is Phase.UNKNOWN
    rig.keeper().kill(rig.only.host)
    assert (await rig.provider.observe(step.handle)).phase is Phase.LOST


async def test_an_exited_container_has_failed_and_tells_no_code(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.app.world.executor.finish(rig.only.lease_name, 0)
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.exit_code) == (Phase.FAILED, None)


async def test_the_end_of_the_hosts_contract_ends_the_lease(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    seen = await rig.provider.observe(step.handle)
    assert seen.ends_at is not None
    await rig.pass_time(timedelta(days=31))
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_a_hundred_instances_come_in_pages_of_25(rig: SandboxRig) -> None:
    rentals = rig.rentals.rentals
    await drive(rig, rig.request())
    model = rig.only
    for n in range(99):
        rentals.open_stopped(replace(model, id=str(40_000_000 + n), key=f"other-{n}"))
    before = len(rig.wire.seen)
    assert len(await rig.provider.leases()) == 100
    assert len(rig.wire.seen) - before == 4


async def test_a_lagging_list_hides_a_fresh_instance_for_a_while(rig: SandboxRig) -> None:
    rig.fault("list_lag", seconds=20, count=1)
    step = await rig.provider.open(rig.request())
    assert await rig.provider.leases() == []
    waiting = await rig.provider.open(replace(rig.request(), handle=step.handle))
    assert not waiting.is_complete
    await rig.pass_time(timedelta(seconds=21))
    done = await rig.provider.open(replace(rig.request(), handle=step.handle))
    assert done.is_complete


async def test_an_instance_that_never_shows_is_given_up(rig: SandboxRig) -> None:
    rig.fault("list_lag", seconds=10_000, count=1)
    step = await rig.provider.open(rig.request())
    again = replace(rig.request(), handle=step.handle)
    assert not (await rig.provider.open(again)).is_complete
    await rig.pass_time(rig.provider.capabilities.not_found_grace + timedelta(seconds=1))
    with pytest.raises(NoCapacity, match="is gone"):
        await rig.provider.open(again)


async def test_too_many_requests_in_plain_text_is_rate_limited(rig: SandboxRig) -> None:
    rig.fault("status", status=429, body="API requests too frequent", count=1)
    with pytest.raises(RateLimited):
        await rig.provider.open(rig.request())
    assert await rig.open_things() == 0


async def test_a_spent_search_quota_waits_for_the_next_day(rig: SandboxRig) -> None:
    body = {"error": "search_quota_exceeded", "msg": "Daily search quota exceeded"}
    rig.fault("status", status=429, body=body, path="/api/v0/bundles/", count=1)
    before = len(rig.wire.seen)
    with pytest.raises(RateLimited) as caught:
        await rig.provider.offers(None)
    now = rig.clock.now()
    assert (now + caught.value.retry_after).hour == 0
    assert len(rig.wire.seen) == before + 1


async def test_the_balance_is_the_credit(rig: SandboxRig) -> None:
    rig.rentals.balance_usd = Decimal("12.50")
    assert await rig.provider.balance_usd() == Decimal("12.5")


async def test_spot_bids_a_little_over_the_lowest_and_reads_its_price_back() -> None:
    async with vast_rig(CapacityType.SPOT) as rig:
        offer = rig.offer
        assert offer is not None
        assert offer.capacity_type is CapacityType.SPOT
        step = await drive(rig, replace(rig.request(), max_usd_per_hour=offer.price_usd_per_hour))
        assert rig.only.details["is_bid"]
        assert step.price_usd_per_hour <= offer.price_usd_per_hour
        assert rig.only.rates.running == Decimal(offer.attribute("bid"))


async def test_close_that_does_not_stick_is_seen_in_the_list(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.fault("close_sticks", count=1)
    await rig.provider.close(step.handle)
    assert [held.handle.external_id for held in await rig.provider.leases()] == [
        step.handle.external_id
    ]
    await rig.provider.close(step.handle)
    assert await rig.provider.leases() == []


async def test_the_log_is_fetched_without_the_key(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\ntwo\nthree")
    lines = [line async for line in rig.provider.logs(step.handle, follow=False, tail=10)]
    assert lines == [b"one", b"two", b"three"]


async def test_a_log_that_never_comes_is_said_so(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.fault("status", path="/_s3/.*", status=403, body="<Error>AccessDenied</Error>")
    with pytest.raises(Unavailable, match="did not bring it in time"):
        [line async for line in rig.provider.logs(step.handle, follow=False, tail=10)]


async def test_the_log_of_what_is_not_there_is_not_found(rig: SandboxRig) -> None:
    with pytest.raises(LeaseNotFound):
        [line async for line in rig.provider.logs(Handle("x", "1"), follow=False, tail=10)]


async def test_a_log_at_a_plain_address_is_not_fetched_from_a_real_market(
    rig: SandboxRig,
) -> None:
    lines = fetched("vast", "http://127.0.0.1/log", "https://console.vast.ai", rig.clock)
    with pytest.raises(Unavailable, match="no https address"):
        await anext(lines)
