"""The io.net adapter keeps the contract against the sandbox, and its own market's traps."""

import json
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
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.vocabulary import Phase
from overspill.ports import OpenStep
from overspill.providers.ionet_request import resource_id
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import WORKLOAD
from .ionet_rig import PREFIX, ionet_rig
from .sandbox_rig import SandboxRig


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with ionet_rig() as made:
        yield made


class TestIoNetOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


async def quoted(rig: SandboxRig) -> OpenStep:
    step: OpenStep = await rig.provider.open(rig.request())
    return step


def deploys(rig: SandboxRig) -> int:
    return sum(request.method == "POST" for request in rig.wire.seen)


async def test_offers_have_the_fees_in_their_price(rig: SandboxRig) -> None:
    offers = await rig.provider.offers(None)
    sxm = next(o for o in offers if o.gpu_model == "h100" and o.region == "US")
    assert sxm.price_per_gpu_hour == Decimal("0.40") * Decimal("1.05")  # the cheapest host there
    assert sxm.gpu_count == 8
    assert sxm.min_billable == timedelta(hours=1)
    assert sxm.is_divisible
    assert not sxm.unavailable_reason


async def test_what_is_sold_out_is_marked_not_hidden(rig: SandboxRig) -> None:
    for host in rig.app.world.supply.hosts.values():
        rig.keeper().kill(host)
    offers = await rig.provider.offers(None)
    assert offers
    assert all(o.unavailable_reason for o in offers)


async def test_a_quote_comes_first_costs_nothing_and_asks_for_a_permit(rig: SandboxRig) -> None:
    step = await quoted(rig)
    assert step.next_costs
    assert not step.is_complete
    assert not step.handle.external_id
    assert deploys(rig) == 0
    asked = [r for r in rig.wire.seen if r.url.path == f"{PREFIX}/price"][-1]
    assert json.loads(asked.url.params["location_ids"]) == [int(step.handle.get("place"))]


async def test_a_quote_over_the_cap_is_refused_and_nothing_is_booked(rig: SandboxRig) -> None:
    rig.fault("price_rises", factor=30, count=1)
    with pytest.raises(OfferRejected, match="over the cap"):
        await quoted(rig)
    assert deploys(rig) == 0


async def test_the_whole_price_stays_below_the_total_of_the_lease(rig: SandboxRig) -> None:
    rig.fault("price_rises", factor=6, count=1)
    short = replace(rig.request(), max_total_usd=Decimal("4.5"))
    with pytest.raises(OfferRejected, match="over the lease's total"):
        await rig.provider.open(short)


async def test_hours_reach_to_the_hard_deadline(rig: SandboxRig) -> None:
    deadline = rig.clock.now() + timedelta(hours=3, minutes=1)
    await drive(rig, replace(rig.request(), hard_deadline=deadline))
    assert rig.only.details["hours"] == 4


async def test_no_more_hours_than_the_money_buys(rig: SandboxRig) -> None:
    await drive(rig, replace(rig.request(), max_total_usd=Decimal("1.30")))
    assert rig.only.details["hours"] == 3  # at 0.42 USD
    assert rig.only.charged <= Decimal("1.30")


async def test_too_little_money_for_an_hour_is_refused_unsent(rig: SandboxRig) -> None:
    with pytest.raises(OfferRejected, match=r"an hour costs 0\.4200 USD"):
        await rig.provider.open(replace(rig.request(), max_total_usd=Decimal("0.40")))


async def test_at_most_so_many_hours_are_bought_at_once() -> None:
    async with ionet_rig(maxPrepaidHours="2") as rig:
        await drive(rig, rig.request())
        assert rig.only.details["hours"] == 2


async def test_the_body_has_key_derived_id_command_and_secrets_apart(rig: SandboxRig) -> None:
    request = rig.request()
    await drive(rig, request)
    body = rig.only.details["body"]
    container = body["container_config"]
    assert body["resource_private_name"] == request.key
    assert body["resource_id"] == rig.only.id == resource_id(request.key)
    assert body["on_incomplete_booking"] == "full_refund"
    assert container["entrypoint"] == ["/bin/sh"]
    assert container["args"] == [*WORKLOAD.command[1:], *WORKLOAD.args]
    assert container["traffic_port"] == 5000
    assert container["secret_env_variables"] == {"OVERSPILL_REPORT_TOKEN": rig.secrets[1]}
    assert rig.secrets[1] not in json.dumps(container["env_variables"])


async def test_what_is_there_under_the_key_is_adopted_before_anything_is_booked(
    rig: SandboxRig,
) -> None:
    first = await drive(rig, rig.request())
    before = deploys(rig)
    again = await drive(rig, rig.request(), rig.restarted())
    assert again.handle.external_id == first.handle.external_id
    assert deploys(rig) == before
    assert await rig.open_things() == 1


async def test_a_second_order_with_one_id_would_be_another_deployment(rig: SandboxRig) -> None:
    """The market is believed to let it through; so this adapter may never send one blindly."""
    ready = replace(rig.request(), handle=(await quoted(rig)).handle)
    await rig.provider.open(ready)
    await rig.provider.open(ready)
    assert await rig.open_things() == 2


async def test_an_incomplete_booking_is_no_capacity_and_costs_nothing(rig: SandboxRig) -> None:
    rig.fault("incomplete_booking", count=1)
    with pytest.raises(NoCapacity, match="came to nothing"):
        await drive(rig, rig.request())
    assert rig.rentals.balance_usd == 10_000
    assert await rig.provider.leases() == []


async def test_an_unpaid_booking_is_not_complete(rig: SandboxRig) -> None:
    ready = replace(rig.request(), handle=(await quoted(rig)).handle)
    step = await rig.provider.open(ready)
    rig.fault("unpaid", count=1)
    ready = replace(ready, handle=step.handle)
    assert not (await rig.provider.open(ready)).is_complete
    assert (await rig.provider.open(ready)).is_complete


async def test_running_paid_whole_and_gone(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    assert step.price_usd_per_hour == Decimal("0.42")
    paid = rig.only.charged
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert seen.phase is Phase.RUNNING
    assert (seen.price_usd_per_hour, seen.billed_usd) == (Decimal("0.42"), paid)
    assert seen.ends_at is not None
    assert seen.ends_at - rig.clock.now() > timedelta(hours=9)
    assert [(e.port, e.scheme) for e in seen.endpoints] == [(5000, "http")]
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound) as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd == paid


async def test_a_url_that_never_comes_is_no_failure(rig: SandboxRig) -> None:
    rig.fault("empty_endpoints", count=1)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(minutes=30))
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.endpoints) == (Phase.RUNNING, ())


async def test_hours_that_run_out_end_the_deployment_without_us(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(hours=11))
    assert await rig.open_things() == 0
    with pytest.raises(LeaseNotFound, match="completed"):
        await rig.provider.observe(step.handle)


async def test_a_host_that_gives_up_is_gone_and_the_bill_is_told(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.rentals.end(step.handle.external_id, "unstable")
    with pytest.raises(LeaseNotFound, match="failed") as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd


async def test_another_gpu_than_offered_is_destroyed(rig: SandboxRig) -> None:
    rig.fault("wrong_gpu", gpu={"model": "t4", "ram": "16Gi", "interface": "pcie"}, count=1)
    with pytest.raises(OfferRejected, match="a Tesla T4, a h100 was offered"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_too_little_money_in_the_account_is_insufficient_funds(rig: SandboxRig) -> None:
    rig.rentals.balance_usd = Decimal(1)
    with pytest.raises(InsufficientFunds):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_validation_errors_are_a_rejected_offer(rig: SandboxRig) -> None:
    step = await quoted(rig)
    body = {"detail": [{"loc": ["body", "gpus_per_container"], "msg": "8 only", "type": "x"}]}
    rig.fault("status", method="POST", status=422, body=body, count=1)
    with pytest.raises(OfferRejected, match="422"):
        await rig.provider.open(replace(rig.request(), handle=step.handle))


async def test_room_that_is_gone_between_quote_and_booking_is_no_capacity(rig: SandboxRig) -> None:
    step = await quoted(rig)
    for host in rig.app.world.supply.hosts.values():
        rig.keeper().kill(host)
    with pytest.raises(NoCapacity):
        await rig.provider.open(replace(rig.request(), handle=step.handle))


async def test_429_is_waited_out_as_long_as_it_says(rig: SandboxRig) -> None:
    rig.fault("status", status=429, body={"detail": "slow"}, headers={"Retry-After": "21"}, count=1)
    with pytest.raises(RateLimited) as caught:
        await quoted(rig)
    assert caught.value.retry_after == timedelta(seconds=21)


async def test_every_page_of_the_list_is_read(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    rentals, model = rig.rentals.rentals, rig.only
    for n in range(230):
        rentals.open_stopped(replace(model, id=f"{n:08}-other", key=f"other-{n}"))
    before = len(rig.wire.seen)
    assert len(await rig.provider.leases()) == 231
    assert len(rig.wire.seen) - before == 3


async def test_a_list_that_ends_before_its_total_is_no_list(rig: SandboxRig) -> None:
    body = {"data": {"deployments": [], "total": 4, "statuses": []}}
    rig.fault("status", status=200, body=body, path=f"{PREFIX}/deployments")
    with pytest.raises(Unavailable, match="not whole"):
        await rig.provider.leases()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ports": (80, 443)}, "one port"),
        ({"command": (), "working_dir": "/srv"}, "needs a command"),
    ],
    ids=["ports", "working dir"],
)
async def test_what_cannot_be_told_is_refused_unsent(
    rig: SandboxRig, changes: dict[str, object], why: str
) -> None:
    workload = replace(WORKLOAD, **changes)  # type: ignore[arg-type]  # one field at a time
    before = len(rig.wire.seen)
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=workload))
    assert len(rig.wire.seen) == before


async def test_an_account_of_one_country_books_there() -> None:
    async with ionet_rig() as rig:
        offers = await rig.provider.offers(None)
        rig.offer = next(o for o in offers if o.region == "DE")
        await drive(rig, rig.request())
        assert rig.only.host.name == "borealis"


async def test_the_end_of_the_log_is_read(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.log("one\nzwei ä\nthree\n".encode())
    lines = [line async for line in rig.provider.logs(step.handle, follow=False, tail=2)]
    assert lines == ["zwei ä".encode(), b"three"]
    followed = [line async for line in rig.provider.logs(step.handle, follow=True, tail=2)]
    assert followed[0] == b"one"


async def test_the_log_of_what_is_not_there_is_not_found(rig: SandboxRig) -> None:
    with pytest.raises(LeaseNotFound):
        [line async for line in rig.provider.logs(Handle("x", ""), follow=False, tail=10)]
