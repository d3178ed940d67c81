"""The RunPod adapter keeps the contract against the sandbox, and its own market's traps."""

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
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.vocabulary import CapacityType, InterconnectClass, Phase, TrustTier
from overspill.providers import runpod
from overspill.providers._entrypoint import PROGRAM_IMAGES, is_program
from overspill.providers.runpod_offers import country_of
from overspill.testing.clock import ManualClock
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import WORKLOAD
from .runpod_rig import account, runpod_rig
from .sandbox_rig import KEY, SandboxRig


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with runpod_rig() as made:
        yield made


class TestRunPodOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


async def test_offers_are_types_by_cloud_and_country_at_list_price(rig: SandboxRig) -> None:
    offers = await rig.provider.offers(None)
    sxm = next(o for o in offers if o.attribute("gpu") == "NVIDIA H100 80GB HBM3")
    disk = Decimal("0.10") * 43 / 730
    assert sxm.price_per_gpu_hour == Decimal("1.55") + disk
    assert (sxm.gpu_model, sxm.gpu_count, sxm.region) == ("h100", 8, "US")
    assert sxm.interconnect is InterconnectClass.NVLINK
    assert sxm.trust_tier is TrustTier.SECURE
    assert sxm.is_divisible
    assert not sxm.unavailable_reason
    assert {o.trust_tier for o in offers} == {TrustTier.SECURE}


async def test_community_machines_are_offered_when_asked_for() -> None:
    async with runpod_rig(clouds="SECURE, COMMUNITY") as rig:
        offers = await rig.provider.offers(None)
        cheap = [o for o in offers if o.trust_tier is TrustTier.COMMUNITY]
        assert [o.attribute("gpuUsdPerHour") for o in cheap] == ["0.4"]


async def test_a_type_that_is_sold_out_is_marked_not_hidden(rig: SandboxRig) -> None:
    for host in rig.app.world.supply.hosts.values():
        rig.keeper().kill(host)
    offers = await rig.provider.offers(None)
    assert offers
    assert all(o.unavailable_reason for o in offers)


async def test_an_account_of_one_country_asks_and_orders_there() -> None:
    async with runpod_rig(regions=("DE",)) as rig:
        offers = await rig.provider.offers(None)
        assert {o.region for o in offers} == {"DE"}
        await drive(rig, rig.request())
        assert rig.only.host.name == "borealis"


def test_a_data_centers_country_is_in_its_name() -> None:
    names = {"US-KS-2": "US", "EU-RO-1": "RO", "EUR-IS-1": "IS", "CA-MTL-1": "CA", "odd": ""}
    assert {name: country_of(name) for name in names} == names


async def test_the_command_survives_whatever_stands_in_it(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    service, env = rig.only.service, dict(rig.only.service.env)
    assert [*service.command, *service.args] == ["/bin/sh", "-c", 'eval "$OVERSPILL_RUN"']
    assert env["OVERSPILL_RUN"] == "exec /bin/sh -c 'echo <a> && true' 012 yes"
    assert env["OVERSPILL_REPORT_TOKEN"] == rig.secrets[1]


async def test_as_json_the_entrypoint_is_ours_too() -> None:
    async with runpod_rig(startCommand="json", programImages="registry.example/*") as rig:
        await drive(rig, rig.request())
        told = json.loads(rig.only.details["args"])
        assert told == {"entrypoint": ["/bin/sh"], "cmd": [*WORKLOAD.command[1:], *WORKLOAD.args]}
        assert "OVERSPILL_RUN" not in dict(rig.only.service.env)


@pytest.mark.parametrize(
    ("image", "is_one"),
    [
        ("vllm/vllm-openai:v0.9", True),
        ("docker.io/vllm/vllm-openai@sha256:0", True),
        ("ghcr.io/huggingface/text-generation-inference", True),
        ("nvcr.io/nim/meta/llama", True),
        ("registry.example:5000/train", False),
        ("pytorch/pytorch:2.9", False),
        ("ubuntu", False),
    ],
)
def test_images_known_for_a_program_as_entrypoint(image: str, is_one: bool) -> None:
    assert is_program(image, PROGRAM_IMAGES) is is_one


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "vllm/vllm-openai:v0.9"}, "entrypoint of vllm/vllm-openai:v0.9 is a program"),
        ({"command": ()}, "no command"),
        ({"disk_gib": Decimal(100_000)}, "disk of 107375 GB"),
    ],
    ids=["a program", "no command", "a bigger disk"],
)
async def test_what_cannot_be_told_is_refused_unsent(
    rig: SandboxRig, changes: dict[str, object], why: str
) -> None:
    workload = replace(WORKLOAD, **changes)  # type: ignore[arg-type]  # one field at a time
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=workload))
    assert "create_received" not in [e.event for e in rig.app.world.ledger.entries()]


async def test_no_capacity_comes_in_prose(rig: SandboxRig) -> None:
    rig.fault("no_capacity", count=1)
    with pytest.raises(NoCapacity):
        await rig.provider.open(rig.request())
    assert await rig.open_things() == 0


async def test_a_rule_that_was_broken_is_no_lack_of_capacity(rig: SandboxRig) -> None:
    body = {"title": "Bad Request", "status": 400, "detail": "mounts are mutually exclusive"}
    kind = "application/problem+json"
    rig.fault("status", method="POST", status=400, body=body, content_type=kind, count=1)
    with pytest.raises(OfferRejected):
        await rig.provider.open(rig.request())


async def test_a_pool_of_others_is_refused_and_the_key_is_fine(rig: SandboxRig) -> None:
    rig.fault("pool_forbidden", count=1)
    with pytest.raises(OfferRejected):
        await rig.provider.open(rig.request())
    assert await rig.provider.leases() == []


async def test_too_little_money_is_insufficient_funds(rig: SandboxRig) -> None:
    rig.rentals.balance_usd = Decimal(1)
    with pytest.raises(InsufficientFunds):
        await rig.provider.open(rig.request())


async def test_an_unknown_field_would_be_refused_by_name(rig: SandboxRig) -> None:
    body = {"title": "Unprocessable Entity", "status": 422, "detail": "no", "errors": ["$: x"]}
    kind = "application/problem+json"
    rig.fault("status", method="POST", status=422, body=body, content_type=kind, count=1)
    with pytest.raises(OfferRejected, match="422"):
        await rig.provider.open(rig.request())


async def test_429_is_waited_out_as_long_as_it_says(rig: SandboxRig) -> None:
    body = {"title": "Too Many Requests", "status": 429, "detail": "the minute window"}
    told = {"Retry-After": "12", "RateLimit": '"minute";r=0;t=12'}
    kind = "application/problem+json"
    rig.fault("status", status=429, body=body, content_type=kind, headers=told, count=1)
    with pytest.raises(RateLimited) as caught:
        await rig.provider.open(rig.request())
    assert caught.value.retry_after == timedelta(seconds=12)


async def test_running_billed_and_gone(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase in {Phase.PENDING, Phase.STARTING}
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert seen.phase is Phase.RUNNING
    pod = step.handle.external_id
    assert [(e.port, e.host, e.external_port, e.scheme) for e in seen.endpoints] == [
        (5000, f"{pod}-5000.proxy.runpod.net", 443, "https")
    ]
    await rig.pass_time(timedelta(hours=1))
    assert abs(rig.only.charged - step.price_usd_per_hour) < Decimal("0.01")
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_a_tcp_port_is_reached_directly() -> None:
    async with runpod_rig(tcpPorts="5000") as rig:
        step = await drive(rig, rig.request())
        await rig.pass_time(timedelta(seconds=5))
        seen = await rig.provider.observe(step.handle)
        assert [(e.port, e.host, e.scheme) for e in seen.endpoints] == [(5000, "192.0.2.1", "tcp")]


async def test_a_stopped_pod_is_lost_costs_nothing_and_is_still_held(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.rentals.rentals.stop(rig.only, "maintenance")
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.price_usd_per_hour) == (Phase.LOST, None)
    (held,) = await rig.provider.leases()
    assert held.is_live
    await rig.provider.close(step.handle)
    assert await rig.open_things() == 0


async def test_money_that_runs_out_ends_the_pod(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.rentals.balance_usd = Decimal("0.10")
    await rig.pass_time(timedelta(hours=1))
    with pytest.raises(LeaseNotFound):
        await rig.provider.observe(step.handle)


async def test_a_machine_that_is_silent_is_unknown(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.keeper().kill(rig.only.host)
    assert (await rig.provider.observe(step.handle)).phase is Phase.UNKNOWN


async def test_a_pod_whose_cost_is_not_told_yet_is_not_complete(rig: SandboxRig) -> None:
    rig.fault("cost_unknown", count=2)
    step = await rig.provider.open(rig.request())
    assert not step.is_complete
    again = replace(rig.request(), handle=step.handle)
    assert not (await rig.provider.open(again)).is_complete
    assert (await rig.provider.open(again)).price_usd_per_hour > 0


async def test_a_price_over_the_cap_is_terminated(rig: SandboxRig) -> None:
    offer = rig.offer
    assert offer is not None
    attributes = tuple(a for a in offer.attributes if a[0] != "gpuUsdPerHour")
    rig.offer = replace(offer, attributes=attributes)
    with pytest.raises(OfferRejected, match="over the cap"):
        await drive(rig, replace(rig.request(), max_usd_per_hour=Decimal(1)))
    assert await rig.open_things() == 0


async def test_another_gpu_than_offered_is_terminated(rig: SandboxRig) -> None:
    rig.fault("wrong_gpu", gpu={"model": "t4", "ram": "16Gi", "interface": "pcie"}, count=1)
    with pytest.raises(OfferRejected, match="a Tesla T4, a h100 was offered"):
        await drive(rig, rig.request())
    assert await rig.open_things() == 0


async def test_every_page_of_the_list_is_read(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    rentals, model = rig.rentals.rentals, rig.only
    for n in range(250):
        rentals.open_stopped(replace(model, id=f"pod{n}", key=f"other-{n}"))
    before = len(rig.wire.seen)
    held = await rig.provider.leases()
    assert len(held) == 251
    assert rig.request().key in {h.handle.key for h in held}
    assert len(rig.wire.seen) - before == 3


async def test_a_list_that_promises_more_and_does_not_give_it_is_no_list(rig: SandboxRig) -> None:
    body = {"pods": [], "pagination": {"hasNextPage": True, "nextCursor": None}}
    rig.fault("status", status=200, body=body, path="/v2/pods")
    with pytest.raises(Unavailable, match="does not end"):
        await rig.provider.leases()


async def test_a_lagging_list_hides_a_fresh_pod_for_a_while(rig: SandboxRig) -> None:
    rig.fault("list_lag", seconds=20, count=1)
    await rig.provider.open(rig.request())
    assert await rig.provider.leases() == []
    await rig.pass_time(timedelta(seconds=21))
    assert len(await rig.provider.leases()) == 1


def test_interruptible_pods_are_refused_when_the_account_is_made() -> None:
    spot = replace(account(), capacity_type=CapacityType.SPOT)
    with pytest.raises(ProviderError, match="rents no interruptible pods"):
        runpod.create(spot, {"apiKey": KEY}, ManualClock())


async def test_the_log_is_read_out_of_the_event_stream(
    rig: SandboxRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runpod, "SILENCE_S", 0.5)  # the stream never ends by itself
    step = await drive(rig, rig.request())
    rig.log("one\nzwei ä\nthree".encode())
    lines = [line async for line in rig.provider.logs(step.handle, follow=False, tail=2)]
    assert lines == ["zwei ä".encode(), b"three"]


async def test_a_followed_log_ends_with_the_pod(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one")
    lines = rig.provider.logs(step.handle, follow=True, tail=10)
    assert await anext(lines) == b"one"
    rig.log(b"one\ntwo")
    assert await anext(lines) == b"two"
    await rig.provider.close(step.handle)
    assert await anext(lines, None) is None


async def test_the_log_of_what_is_not_there_is_not_found(rig: SandboxRig) -> None:
    with pytest.raises(LeaseNotFound):
        [line async for line in rig.provider.logs(Handle("x", "1"), follow=False, tail=10)]
