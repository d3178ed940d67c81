"""The SaladCloud adapter keeps the contract against the sandbox, and its own market's traps."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    OfferRejected,
    ProviderError,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.vocabulary import CapacityType, InterconnectClass, Phase, TrustTier
from overspill.providers import salad
from overspill.providers.salad_offers import model_of
from overspill.providers.salad_request import LONGEST, body_of
from overspill.providers.salad_wire import GpuClass
from overspill.runner.wrap import wrapped
from overspill.testing.clock import ManualClock
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import H100, WORKLOAD, request
from .salad_rig import account, salad_rig
from .sandbox_rig import KEY, SandboxRig


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with salad_rig() as made:
        yield made


class TestSaladOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


async def test_offers_are_classes_at_the_price_of_the_priority(rig: SandboxRig) -> None:
    offers = await rig.provider.offers(None)
    sxm = next(o for o in offers if o.gpu_model == "h100" and o.price_usd_per_hour > Decimal("1.5"))
    assert (sxm.price_usd_per_hour, sxm.gpu_count, sxm.region) == (Decimal("1.55"), 1, "")
    assert (sxm.interconnect, sxm.gpu_memory_gib) == (InterconnectClass.NVLINK, 80)
    assert sxm.trust_tier is TrustTier.SECURE
    assert not sxm.is_divisible
    assert {o.trust_tier for o in offers} == {TrustTier.SECURE, TrustTier.COMMUNITY}
    assert {"rtx4090", "a100-80gb", "a100-40gb", "l40s"} <= {o.gpu_model for o in offers}


async def test_people_s_own_machines_are_left_out_where_they_are_not_wanted() -> None:
    async with salad_rig(secureOnly="true") as rig:
        tiers = {o.trust_tier for o in await rig.provider.offers(None)}
        assert tiers == {TrustTier.SECURE}


async def test_a_lower_priority_is_cheaper_and_gives_way() -> None:
    async with salad_rig(priority="batch", capacity_type=CapacityType.SPOT) as rig:
        offers = await rig.provider.offers(None)
        (t4,) = [o for o in offers if o.gpu_model == "t4"]
        assert t4.price_usd_per_hour == Decimal("0.072")
        assert t4.capacity_type is CapacityType.SPOT
        step = await drive(rig, rig.request())
        assert step.price_usd_per_hour == Decimal("0.24")  # the cheapest H100


def test_what_gives_way_is_not_sold_as_on_demand() -> None:
    with pytest.raises(ProviderError, match="gives way"):
        salad.create(account(priority="low"), {"apiKey": KEY}, ManualClock())


@pytest.mark.parametrize("missing", ["organization", "project"])
def test_organization_and_project_must_be_named(missing: str) -> None:
    ours = account()
    config = {name: value for name, value in ours.config.items() if name != missing}
    with pytest.raises(ProviderError, match=missing):
        salad.create(replace(ours, config=config), {"apiKey": KEY}, ManualClock())


async def test_classes_are_asked_in_turn_and_empty_ones_are_marked() -> None:
    async with salad_rig(availabilityChecks="4") as rig:
        for host in rig.app.world.supply.hosts.values():
            rig.keeper().kill(host)
        seen = [await rig.provider.offers(None) for _ in range(3)]
        empty = [sum(bool(o.unavailable_reason) for o in offers) for offers in seen]
        assert len(seen[0]) == 10
        # the fixture's own reading asked the first four while all were there
        assert empty == [4, 8, 10]


async def test_a_class_that_cannot_be_asked_is_offered_all_the_same(rig: SandboxRig) -> None:
    rig.fault("status", path=".*/availability/.*", status=503, body="down")
    assert all(not o.unavailable_reason for o in await rig.provider.offers(None))


async def test_an_account_of_one_country_orders_there() -> None:
    async with salad_rig(regions=("DE",)) as rig:
        await rig.find_offer("h100")
        offers = [o for o in await rig.provider.offers(None) if o.attribute("class")]
        assert {o.region for o in offers} == {"DE"}
        pcie = next(o for o in offers if o.price_usd_per_hour == Decimal("1.42"))
        rig.offer = pcie
        await drive(rig, rig.request())
        assert rig.only.host.name == "borealis"
        assert rig.only.details["body"]["country_codes"] == ["de"]


def test_models_are_in_the_class_s_name() -> None:
    names = {"RTX 4090 (24 GB)": "rtx4090", "RTX 3060 Ti (8 GB)": "rtx3060-ti", "L40S": "l40s"}
    found = {name: model_of(GpuClass(id="x", name=name, prices=[])) for name in names}
    assert found == names


def test_a_price_that_is_no_number_spoils_no_other() -> None:
    told = [{"priority": "high", "price": "n/a"}, {"priority": "low", "price": "0.10"}]
    gpu = GpuClass.model_validate({"id": "x", "name": "T4", "prices": told})
    assert (gpu.usd_per_hour("high"), gpu.usd_per_hour("low")) == (None, Decimal("0.10"))


def test_the_command_arrives_whole_through_short_lines() -> None:
    """The whole runner, quotes, ends of lines, backslashes and empty values, by a real shell."""
    script = r"""printf '%s|' "$0" "$@" "$EMPTY" "$LONG" 'a\nb\\' "it's" """ + "'\n'"
    workload = replace(
        WORKLOAD,
        command=wrapped(("/bin/sh", "-c", script, "zero", "grüße $HOME `id`", "two\nlines")),
        args=(),
        env=(("EMPTY", ""), ("LONG", "x" * 2500), ("PLAIN", "y")),
        working_dir="/",
    )
    asked = replace(request(workload=workload), offer=replace(H100, gpu_count=1))
    body = body_of(asked, ())
    values = body["container"]["environment_variables"]
    assert all(0 < len(v) <= LONGEST and "\n" not in v for v in values.values())
    assert all(v == v.strip() for v in values.values())
    assert (values["PLAIN"], "LONG" in values) == ("y", False)
    done = subprocess.run(
        body["container"]["command"],
        env={"PATH": "/usr/bin:/bin", **values, "OVERSPILL_REPORT_URL": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    told = "zero|grüße $HOME `id`|two\nlines||" + "x" * 2500 + r"|a\nb\\|it's|" + "\n|"
    assert told in done.stdout


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"command": ()}, "no command"),
        ({"ports": (80, 81)}, "one HTTP port"),
        ({"cpu_units": Decimal(1000)}, "at most 64 vCPUs"),
        ({"memory_gib": Decimal(1000)}, "at most 262144 MB"),
        ({"disk_gib": Decimal(10_000)}, "bytes of disk"),
    ],
    ids=["no command", "two ports", "cpu", "memory", "disk"],
)
async def test_what_cannot_be_told_is_refused_unsent(
    rig: SandboxRig, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=replace(WORKLOAD, **changes)))
    assert "create_received" not in [e.event for e in rig.app.world.ledger.entries()]


async def test_a_part_of_an_instance_is_not_sold(rig: SandboxRig) -> None:
    assert rig.offer is not None
    rig.offer = replace(rig.offer, gpu_count=8)
    with pytest.raises(OfferRejected, match="8 GPUs or none"):
        await rig.provider.open(rig.request())


async def test_a_price_that_rose_over_the_cap_is_refused_unsent(rig: SandboxRig) -> None:
    for host in rig.app.world.supply.hosts.values():
        host.usd_per_gpu_hour *= 10
    with pytest.raises(OfferRejected, match="over the cap"):
        await rig.provider.open(replace(rig.request(), max_usd_per_hour=Decimal(3)))
    assert "create_received" not in [e.event for e in rig.app.world.ledger.entries()]


async def test_a_price_that_rises_while_it_runs_is_seen(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    for host in rig.app.world.supply.hosts.values():
        host.usd_per_gpu_hour *= 10
    assert (await rig.provider.observe(step.handle)).price_usd_per_hour == step.price_usd_per_hour
    await rig.pass_time(timedelta(seconds=61))
    (held,) = await rig.provider.leases()
    assert held.price_usd_per_hour == 10 * step.price_usd_per_hour


async def test_a_repeated_create_finds_the_first_one_without_any_list(rig: SandboxRig) -> None:
    first = await rig.provider.open(rig.request())
    again = await rig.restarted().open(rig.request())
    assert again.handle == first.handle
    assert await rig.open_things() == 1


async def test_a_name_is_used_up_for_ever(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.provider.close(step.handle)
    with pytest.raises(OfferRejected, match="400"):
        await rig.provider.open(rig.request())
    assert await rig.open_things() == 0


async def test_a_conflict_and_an_html_page_are_looked_behind(rig: SandboxRig) -> None:
    first = await rig.provider.open(rig.request())
    for status in (409, 400, 403):
        html = "<html>no</html>"
        rig.fault("status", method="POST", status=status, body=html, content_type="text/html")
        assert (await rig.restarted().open(rig.request())).handle == first.handle
        rig.app.world.faults.clear()


async def test_no_credit_is_insufficient_funds(rig: SandboxRig) -> None:
    rig.rentals.balance_usd = Decimal(0)
    with pytest.raises(InsufficientFunds):
        await rig.provider.open(rig.request())


async def test_money_that_runs_out_stops_the_group_which_is_lost(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.rentals.balance_usd = Decimal("0.10")
    await rig.pass_time(timedelta(hours=1))
    assert (await rig.provider.observe(step.handle)).phase is Phase.LOST
    await rig.provider.close(step.handle)
    assert await rig.open_things() == 0


async def test_prepared_deployed_running_billed_and_gone(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase is Phase.PENDING
    await rig.pass_time(timedelta(seconds=1))
    assert (await rig.provider.observe(step.handle)).phase is Phase.STARTING
    await rig.pass_time(timedelta(seconds=4))
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.gpu_model) == (Phase.RUNNING, "h100")
    assert [(e.port, e.external_port, e.scheme) for e in seen.endpoints] == [(5000, 443, "https")]
    await rig.pass_time(timedelta(hours=1))
    assert abs(rig.only.charged - step.price_usd_per_hour) < Decimal("0.01")
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_waiting_for_a_machine_costs_nothing(rig: SandboxRig) -> None:
    for host in rig.app.world.supply.hosts.values():
        rig.keeper().kill(host)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(hours=1))
    assert (await rig.provider.observe(step.handle)).phase is Phase.STARTING
    assert rig.only.charged == 0
    for host in rig.app.world.supply.hosts.values():
        rig.keeper().revive(host)
    await rig.pass_time(timedelta(seconds=5))
    assert (await rig.provider.observe(step.handle)).phase is Phase.RUNNING


async def test_a_silent_move_is_a_restart_on_another_machine_and_told_once(
    rig: SandboxRig,
) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    before = (await rig.provider.observe(step.handle)).host_id
    rental = rig.only
    twin = replace(rental.host, name="twin", rented={})
    rig.app.world.supply.hosts["twin"] = twin
    rig.rentals.world.supply.hosts["twin"] = twin
    rig.keeper().kill(rental.host)
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.reason) == (Phase.STARTING, "Reallocating")
    charged = rental.charged
    await rig.pass_time(timedelta(seconds=2))
    assert rental.charged == charged  # another boot is not billed
    await rig.pass_time(timedelta(seconds=3))
    phases = []
    for _ in range(2):
        seen = await rig.provider.observe(step.handle)
        phases.append(seen.phase)
    assert phases == [Phase.RESTARTED, Phase.RUNNING]
    assert seen.host_id != before
    assert await rig.open_things() == 1


async def test_a_move_that_finds_no_machine_is_no_loss(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    host = rig.only.host
    rig.keeper().kill(host)
    assert (await rig.provider.observe(step.handle)).phase is Phase.STARTING
    rig.keeper().revive(host)
    await rig.pass_time(timedelta(seconds=5))
    assert (await rig.provider.observe(step.handle)).phase is Phase.RUNNING


@pytest.mark.parametrize(("code", "phase"), [(0, Phase.SUCCEEDED), (3, Phase.FAILED)])
async def test_an_end_is_told_without_its_code_and_bills_no_more(
    rig: SandboxRig, code: int, phase: Phase
) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=60))
    rig.app.world.executor.finish(rig.only.lease_name, code)
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.exit_code) == (phase, None)
    charged = rig.only.charged
    await rig.pass_time(timedelta(hours=1))
    assert rig.only.charged == charged
    (held,) = await rig.provider.leases()
    assert held.is_live  # until it is deleted
    await rig.provider.close(held.handle)


async def test_another_class_than_asked_for_is_deleted(rig: SandboxRig) -> None:
    await rig.provider.open(rig.request())
    rig.only.details["body"]["container"]["priority"] = "low"
    handle = Handle(rig.request().key, rig.request().key)
    with pytest.raises(OfferRejected, match="another class or priority"):
        await rig.provider.open(replace(rig.request(), handle=handle))
    assert await rig.open_things() == 0


async def test_a_list_that_may_be_cut_is_no_list(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    rentals, model = rig.rentals.rentals, rig.only
    for n in range(98):
        rentals.open_stopped(replace(model, id=f"{n:08}-{model.id[9:]}", key=f"other-{n}"))
    assert len(await rig.provider.leases()) == 99
    rentals.open_stopped(replace(model, id=f"{99:08}-{model.id[9:]}", key="other-99"))
    with pytest.raises(Unavailable, match="may be cut"):
        await rig.provider.leases()


async def test_other_projects_are_not_ours(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    rig.only.details["project"] = "somebody-s"
    assert await rig.provider.leases() == []


async def test_a_lagging_list_hides_a_fresh_group_but_its_name_finds_it(rig: SandboxRig) -> None:
    rig.fault("list_lag", seconds=20, count=1)
    first = await rig.provider.open(rig.request())
    assert await rig.provider.leases() == []
    assert (await rig.restarted().open(rig.request())).handle == first.handle


async def test_what_was_listed_and_is_gone_is_given_up_after_a_while(rig: SandboxRig) -> None:
    handle = Handle("gl-x", "gl-x")
    asked = replace(rig.request(), handle=handle)
    assert not (await rig.provider.open(asked)).is_complete
    await rig.pass_time(timedelta(seconds=11))
    with pytest.raises(ProviderError, match="was made and is gone"):
        await rig.provider.open(asked)


def _clocks_agree(rig: SandboxRig) -> None:
    rig.clock.advance(rig.app.world.clock.now() - rig.clock.now().timestamp())


async def test_the_log_is_read_backwards_over_pages(rig: SandboxRig) -> None:
    _clocks_agree(rig)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.log("\n".join(f"line {n}" for n in range(250)).encode())
    lines = [line async for line in rig.provider.logs(step.handle, follow=False, tail=240)]
    assert lines == [f"line {n}".encode() for n in range(10, 250)]
    few = [line async for line in rig.provider.logs(step.handle, follow=False, tail=2)]
    assert few == [b"line 248", b"line 249"]


async def test_a_followed_log_ends_with_the_group(rig: SandboxRig) -> None:
    _clocks_agree(rig)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.log(b"one")
    lines = rig.provider.logs(step.handle, follow=True, tail=10)
    assert await anext(lines) == b"one"
    rig.log(b"one\ntwo")
    assert await anext(lines) == b"two"
    await rig.provider.close(step.handle)
    assert await anext(lines, None) is None


async def test_the_log_of_what_is_not_there_is_not_found(rig: SandboxRig) -> None:
    with pytest.raises(LeaseNotFound):
        [line async for line in rig.provider.logs(Handle("x", "x1"), follow=False, tail=10)]
