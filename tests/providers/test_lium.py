"""The Lium adapter keeps the contract against the sandbox, and its own market's traps."""

import json
import shlex
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    RateLimited,
)
from overspill.core.lease import Handle
from overspill.core.vocabulary import CapacityType, InterconnectClass, LeaseState, Phase, TrustTier
from overspill.core.worst_case import lease_worst_case
from overspill.ports import IdempotencyClass
from overspill.providers import lium
from overspill.providers.lium_config import NOBODY
from overspill.providers.lium_request import template_of
from overspill.providers.lium_wire import Nodes, Pods
from overspill.runner.wrap import wrapped
from overspill.testing.contract import ProviderContract, drive
from overspill.testing.wire_faults import EXECUTED, Fault

from .akash_rig import WORKLOAD, request
from .lium_rig import LiumRig, lium_rig, sent
from .sandbox_rig import SandboxRig


@pytest.fixture
async def rig() -> AsyncIterator[LiumRig]:
    async with lium_rig() as made:
        yield made


class TestLiumOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


async def test_offers_are_nodes_at_their_owner_s_price(rig: LiumRig) -> None:
    offers = {o.region + o.gpu_model: o for o in await rig.provider.offers(None)}
    sxm = offers["USh100"]
    assert (sxm.price_per_gpu_hour, sxm.gpu_count) == (Decimal("1.55"), 16)
    assert (sxm.trust_tier, sxm.capacity_type) == (TrustTier.SECURE, CapacityType.ON_DEMAND)
    assert sxm.interconnect is InterconnectClass.NVLINK
    assert sxm.reliability == Decimal("0.9995")
    assert sxm.is_divisible
    assert offers["DEh100"].interconnect is InterconnectClass.PCIE
    assert offers["NLv100-32gb"].gpu_memory_gib == 32


async def test_a_node_that_starts_badly_and_goes_back_to_its_owner_is_offered_when_wanted() -> None:
    async with lium_rig(reliableOnly="false") as rig:
        (spot,) = [o for o in await rig.provider.offers(None) if o.verification == "spot"]
        assert (spot.capacity_type, spot.trust_tier) == (CapacityType.SPOT, TrustTier.COMMUNITY)
        assert (spot.is_divisible, spot.gpu_count, spot.least_gpus) == (False, 8, 8)
        rig.offer = spot
        with pytest.raises(OfferRejected, match="8 GPUs at least"):
            await rig.provider.open(rig.request())


@pytest.mark.parametrize(
    ("setting", "places"),
    [({"countries": "de, NO"}, {"DE", "NO"}), ({"minReliability": "0.9992"}, {"US"})],
    ids=["countries", "reliability"],
)
async def test_the_account_says_which_nodes_it_wants(
    setting: dict[str, str], places: set[str]
) -> None:
    async with lium_rig(**setting) as rig:
        assert {o.region for o in await rig.provider.offers(None)} == places


async def test_an_account_s_regions_are_countries() -> None:
    async with lium_rig(regions=("DE",)) as rig:
        assert {o.region for o in await rig.provider.offers(None)} == {"DE"}


def test_a_list_with_holes_is_read_all_the_same() -> None:
    nodes = [{"id": "n", "specs": None, "location": None, "gpu_count": "8"}, {"id": "m"}]
    assert [n.gpu_count for n in Nodes.model_validate(nodes).root] == [8, None]
    pods = [{"id": "p", "executor": {}, "ports_mapping": None, "gpu_count": "2"}]
    assert [p.gpu_count for p in Pods.model_validate(pods).root] == [2]


def test_the_command_survives_what_hosts_do_to_templates() -> None:
    """One word of entrypoint, a line split as a shell does it, trimmed values, dropped names."""
    script = r"""printf '%s|' "$0" "$@" "$EMPTY" "$EDGES" "$PYTHONPATH" 'a\nb\\' "it's" """
    workload = replace(
        WORKLOAD,
        command=wrapped(("/bin/sh", "-c", script, "zero", "grüße $HOME `id`", "two\nlines")),
        args=(),
        env=(("EMPTY", ""), ("EDGES", " x "), ("PYTHONPATH", "/opt"), ("PLAIN", "a b")),
        working_dir="/",
    )
    body = template_of(request(workload=workload))
    kept = body["environment"]
    assert kept["PLAIN"] == "a b"
    assert not {"EMPTY", "EDGES", "PYTHONPATH"} & set(kept)
    assert not set("'\"$`\n") & set("".join(kept.values()))
    done = subprocess.run(
        [body["entrypoint"], *shlex.split(body["startup_commands"])],
        env={"PATH": "/usr/bin:/bin", **{k: v.strip() for k, v in kept.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert r"zero|grüße $HOME `id`|two" + "\n" + r"lines|| x |/opt|a\nb\\|it's|" in done.stdout


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"command": ()}, "no command")],
    ids=["no command"],
)
async def test_what_cannot_be_told_is_refused_unsent(
    rig: LiumRig, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=replace(WORKLOAD, **changes)))
    assert rig.market_itself.templates == {}


async def test_a_rent_carries_the_key_the_hours_and_nobody_s_ssh_key(rig: LiumRig) -> None:
    await drive(rig, rig.request())
    (rent,) = sent(rig, "POST", "/rent")
    body = json.loads(rent.content)
    assert rent.headers["idempotency-key"] == body["pod_name"] == rig.request().key
    assert (body["termination_hours"], body["gpu_count"]) == (10, 1)
    assert body["user_public_key"] == [NOBODY]
    (template,) = rig.market_itself.templates.values()
    assert template["internal_ports"] == [22, 5000]
    assert (template["is_private"], template["one_time_template"]) == (True, True)


async def test_ssh_is_open_to_those_whose_keys_are_named() -> None:
    keys = "ssh-ed25519 AAAA me@here\nssh-rsa BBBB you@there"
    async with lium_rig(sshPublicKeys=keys) as rig:
        await drive(rig, rig.request())
        assert rig.only.details["user_public_key"] == keys.splitlines()


@pytest.mark.parametrize("fault", [*EXECUTED, Fault.NO_CONNECTION], ids=lambda f: f.name.lower())
async def test_a_template_whose_answer_is_lost_is_found_again(rig: LiumRig, fault: Fault) -> None:
    rig.wire.set(fault, times=1, matches=lambda r: r.url.path.endswith("/templates") and costs(r))
    step = await drive(rig, rig.request())
    assert step.is_complete
    assert len(rig.market_itself.templates) == 1
    assert await rig.open_things() == 1


def costs(sent: Any) -> bool:
    return sent.method == "POST"


async def test_a_public_template_of_our_name_is_not_ours(rig: LiumRig) -> None:
    foreign = {**template_of(rig.request()), "is_private": False, "docker_image": "evil"}
    rig.market_itself.templates["foreign"] = foreign
    await drive(rig, rig.request())
    assert rig.only.details["template_id"] != "foreign"


async def test_the_same_key_is_the_same_pod_even_under_a_lagging_list(rig: LiumRig) -> None:
    rig.fault("list_lag", seconds=20, count=1)
    prepared = await rig.provider.open(rig.request())
    asked = replace(rig.request(), handle=prepared.handle)
    first = await rig.provider.open(asked)
    again = await rig.restarted().open(asked)
    assert first.handle == again.handle
    assert not (await rig.provider.open(replace(asked, handle=first.handle))).is_complete
    assert await rig.open_things() == 1


@pytest.mark.parametrize("fault", ["rent_in_progress", "outcome_unknown"])
async def test_a_conflict_of_keys_says_nothing_and_the_list_decides(
    rig: LiumRig, fault: str
) -> None:
    prepared = await rig.provider.open(rig.request())
    asked = replace(rig.request(), handle=prepared.handle)
    rig.fault(fault, count=1)
    with pytest.raises(OpenUncertain):
        await rig.provider.open(asked)
    found = await rig.restarted().open(rig.request())
    assert (found.handle.external_id, found.next_costs) == (rig.only.id, False)
    assert (await drive(rig, rig.request())).is_complete
    assert await rig.open_things() == 1


async def test_a_refused_repeat_does_not_deny_the_first_rent(rig: LiumRig) -> None:
    prepared = await rig.provider.open(rig.request())
    asked = replace(rig.request(), handle=prepared.handle)
    rig.wire.set(Fault.LOST_ANSWER, times=1, matches=costs)
    with pytest.raises(OpenUncertain):
        await rig.provider.open(asked)
    poor = {"error": {"code": "insufficient_balance", "message": "Insufficient balance"}}
    rig.fault("status", method="POST", status=403, body=poor, count=1)
    step = await rig.restarted().open(asked)
    assert step.handle.external_id == rig.only.id


async def test_a_market_without_keys_is_refused_unless_the_account_says_so(rig: LiumRig) -> None:
    rig.fault("no_features")
    with pytest.raises(OfferRejected, match="idempotency keys"):
        await rig.provider.open(rig.request())
    assert rig.provider.capabilities.idempotency is IdempotencyClass.A
    async with lium_rig(idempotencyKeys="false") as other:
        other.fault("no_features")
        assert other.provider.capabilities.idempotency is IdempotencyClass.B
        assert (await drive(other, other.request())).is_complete


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (402, "API_KEY_BUDGET_EXCEEDED", InsufficientFunds),
        (403, "insufficient_balance", InsufficientFunds),
        (403, "missing_scope", AuthRejected),
        (404, "not_found", NoCapacity),
        (400, "executor_unavailable", OfferRejected),
        (409, "price_changed", OfferRejected),
        (422, "validation_error", OfferRejected),
        (409, "", OpenUncertain),
        (500, "internal", OpenUncertain),
    ],
)
async def test_a_refused_rent_says_what_to_do_next(
    rig: LiumRig, status: int, code: str, kind: type[Exception]
) -> None:
    body = {"error": {"code": code, "message": "no"}} if code else {"detail": "no"}
    rig.fault("status", method="POST", path=".*/rent", status=status, body=body)
    with pytest.raises(kind):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_an_older_server_says_it_in_words(rig: LiumRig) -> None:
    body = {"error": "Insufficient balance"}
    rig.fault("status", method="POST", path=".*/rent", status=403, body=body)
    with pytest.raises(InsufficientFunds):
        await drive(rig, rig.request())


async def test_429_is_waited_out_as_long_as_it_says(rig: LiumRig) -> None:
    prepared = await rig.provider.open(rig.request())
    told = {"Retry-After": "12"}
    rig.fault("status", method="POST", path=".*/rent", status=429, body={}, headers=told, count=1)
    with pytest.raises(RateLimited) as caught:
        await rig.provider.open(replace(rig.request(), handle=prepared.handle))
    assert caught.value.retry_after == timedelta(seconds=12)


async def test_a_template_that_was_not_used_keeps_no_secret(rig: LiumRig) -> None:
    await rig.provider.open(rig.request())
    assert rig.secrets[1] in str(rig.market_itself.templates)
    rig.market_itself.balance_usd = Decimal(0)
    with pytest.raises(InsufficientFunds):
        await drive(rig, rig.request())
    assert len(rig.market_itself.templates) == 1
    assert rig.secrets[1] not in str(rig.market_itself.templates)


async def test_a_template_goes_with_its_pod(rig: LiumRig) -> None:
    step = await drive(rig, rig.request())
    await rig.provider.close(step.handle)
    assert rig.market_itself.templates == {}


async def test_running_billed_from_the_rent_and_gone(rig: LiumRig) -> None:
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase is Phase.PENDING
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.gpu_model, seen.gpu_count) == (Phase.RUNNING, "h100", 1)
    assert [(e.port, e.scheme) for e in seen.endpoints] == [(5000, "tcp")]
    await rig.pass_time(timedelta(hours=1))
    assert abs(rig.only.charged - step.price_usd_per_hour) < Decimal("0.01")
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_without_us_the_market_ends_it_within_the_declared_worst_case(rig: LiumRig) -> None:
    step = await drive(rig, rig.request())
    rental, lease = rig.only, rig.request().lease
    await rig.pass_time(timedelta(days=30))
    assert rental.state == "ended"
    active = replace(
        lease,
        state=LeaseState.ACTIVE,
        price_usd_per_hour=step.price_usd_per_hour,
        active_since=lease.created_at,
    )
    worst = lease_worst_case(active, rig.provider.capabilities.ending, None, rig.began)
    assert worst.usd is not None
    assert 9 * step.price_usd_per_hour < rental.charged <= worst.usd
    assert worst.usd < 11 * step.price_usd_per_hour


async def test_hours_that_the_market_ignored_are_set_by_hand(rig: LiumRig) -> None:
    rig.fault("hours_ignored", count=1)
    step = await drive(rig, rig.request())
    seen = await rig.provider.observe(step.handle)
    assert seen.ends_at is not None
    assert abs(seen.ends_at - rig.deadline) < timedelta(seconds=1)
    await rig.pass_time(timedelta(hours=10))
    assert await rig.open_things() == 0


async def test_a_pod_that_never_begins_is_no_capacity(rig: LiumRig) -> None:
    rig.fault("never_begins", count=1)
    with pytest.raises(NoCapacity, match="CREATION_FAILED"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_a_price_over_the_cap_is_removed(rig: LiumRig) -> None:
    rig.fault("dearer_pod", factor=10, count=1)
    with pytest.raises(OfferRejected, match="over the cap"):
        await drive(rig, replace(rig.request(), max_usd_per_hour=Decimal(3)))
    assert await rig.open_things() == 0


async def test_another_gpu_than_offered_is_removed(rig: LiumRig) -> None:
    rig.fault("wrong_gpu", gpu={"model": "t4", "ram": "16Gi", "interface": "pcie"}, count=1)
    with pytest.raises(OfferRejected, match="a t4, a h100 was offered"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_a_host_that_left_is_lost_and_still_held(rig: LiumRig) -> None:
    step = await drive(rig, rig.request())
    rig.keeper().kill(rig.only.host)
    assert (await rig.provider.observe(step.handle)).phase is Phase.LOST
    (held,) = await rig.provider.leases()
    assert held.is_live


async def test_money_that_runs_out_ends_the_pod(rig: LiumRig) -> None:
    step = await drive(rig, rig.request())
    rig.rentals.balance_usd = Decimal("0.10")
    await rig.pass_time(timedelta(hours=1))
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_the_balance_is_what_is_left(rig: LiumRig) -> None:
    rig.rentals.balance_usd = Decimal("12.5")
    assert await rig.provider.balance_usd() == Decimal("12.5")


async def test_what_was_rented_and_is_gone_is_given_up_after_a_while(rig: SandboxRig) -> None:
    handle = Handle("gl-x", "no-such-pod")
    asked = replace(rig.request(), handle=handle)
    assert not (await rig.provider.open(asked)).is_complete
    await rig.pass_time(timedelta(seconds=21))
    with pytest.raises(NoCapacity, match="was made and is gone"):
        await rig.provider.open(asked)


async def test_the_log_is_the_container_s(rig: LiumRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lium, "SILENCE_S", 0.5)
    step = await drive(rig, rig.request())
    rig.log("one\nzwei ä\nthree".encode())
    lines = [line async for line in rig.provider.logs(step.handle, follow=False, tail=2)]
    assert lines == ["zwei ä".encode(), b"three"]
    with pytest.raises(LeaseNotFound):
        [line async for line in rig.provider.logs(Handle("x", "1"), follow=False, tail=10)]
