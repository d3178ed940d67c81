"""The Dispersed adapter keeps the contract against the sandbox, and its own market's traps."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr

from overspill.core.errors import (
    AuthRejected,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    ProviderError,
)
from overspill.core.lease import Handle
from overspill.core.recovery import Evidence, Patience, Verdict, judge
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import ClosingReason, Phase
from overspill.providers import dispersed
from overspill.providers.dispersed_request import is_ready, parts_of
from overspill.providers.dispersed_sign import Signer, canonical
from overspill.providers.dispersed_wire import RunLog
from overspill.testing.clock import ManualClock
from overspill.testing.contract import ProviderContract, drive

from .akash_rig import TOKEN, WORKLOAD
from .dispersed_rig import CREDENTIALS, DispersedRig, account, dispersed_rig


@pytest.fixture
async def rig() -> AsyncIterator[DispersedRig]:
    async with dispersed_rig() as made:
        yield made


class TestDispersedOnTheSandbox(ProviderContract):
    """Every check of the kit, over real HTTP."""


def test_it_is_off_until_the_experiment_is_wanted() -> None:
    with pytest.raises(ProviderError, match="is experimental"):
        dispersed.create(account(experimental="false"), CREDENTIALS, ManualClock())


def test_both_keys_are_needed() -> None:
    with pytest.raises(AuthRejected, match="secretKey"):
        dispersed.create(account(), {"apiKey": "pk_x"}, ManualClock())


def test_a_price_that_is_none_is_said_in_words() -> None:
    with pytest.raises(ProviderError, match="must look like rtx5090"):
        dispersed.create(account(pricesUsd="rtx5090"), CREDENTIALS, ManualClock())


async def test_offers_are_what_has_a_price_in_the_settings(rig: DispersedRig) -> None:
    (offer,) = await rig.provider.offers(None)
    assert (offer.gpu_model, offer.gpu_count) == ("rtx4090", 1)
    assert offer.price_usd_per_hour == Decimal("0.35")
    assert offer.min_billable == timedelta(hours=1)
    assert not offer.is_firm


async def test_prices_of_the_settings_make_offers() -> None:
    async with dispersed_rig(pricesUsd="rtx4090=0.4, h100=2.5", maxGpus="4") as rig:
        with_h100 = {o.gpu_model: o for o in await rig.provider.offers(None)}
        assert with_h100["h100"].price_usd_per_hour == 10


async def test_the_body_is_a_batch_job_that_ends_by_itself(rig: DispersedRig) -> None:
    request = rig.request()
    await drive(rig, request)
    body = rig.only.details["body"]
    inner = body["parameters"]["parameters"]
    assert body["task"] == "BATCH"
    assert body["title"] == request.key
    assert abs(body["max_timeout_run_ms"] - 36_000_000) < 5000
    assert body["max_retry_count"] == 0
    assert inner["ports"] == [22, 5000]
    host, image, tag = inner["host"], inner["image"], inner["tag"]
    assert (host, image, tag) == ("registry.example", "train", "1")
    assert inner["env"]["OVERSPILL_RUN"] == "exec /bin/sh -c 'echo <a> && true' 012 yes"
    assert inner["env"]["OVERSPILL_REPORT_TOKEN"] == TOKEN


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "ubuntu:24.04"}, "not declared to run ours: build the image with ENTRYPOINT"),
        ({"image": "registry.example/a@sha256:0"}, "by digest"),
        ({"command": ()}, "no command"),
    ],
    ids=["not ready", "digest", "no command"],
)
async def test_what_cannot_be_told_is_refused_unsent(
    rig: DispersedRig, changes: dict[str, object], why: str
) -> None:
    workload = replace(WORKLOAD, **changes)  # type: ignore[arg-type]  # one field at a time
    before = len(rig.wire.seen)
    with pytest.raises(OfferRejected, match=why):
        await rig.provider.open(replace(rig.request(), workload=workload))
    assert len(rig.wire.seen) == before


async def test_a_clock_that_is_wrong_is_named_and_not_the_key(rig: DispersedRig) -> None:
    rig.clock.advance(600)
    with pytest.raises(AuthRejected, match="our clock is 10 minutes ahead of the market's"):
        await rig.provider.leases()


async def test_a_wrong_key_is_not_the_clock(rig: DispersedRig) -> None:
    wrong = replace(rig.account, endpoint=rig.app.urls["dispersed"])
    config, _ = dispersed.settings(wrong, CREDENTIALS)
    other = dispersed.Dispersed(wrong, config, SecretStr("sk_other"), rig.clock, rig.wire)
    with pytest.raises(AuthRejected) as caught:
        await other.leases()
    assert "clock" not in str(caught.value)
    await other.aclose()


async def test_no_nonce_is_ever_used_twice(rig: DispersedRig) -> None:
    await drive(rig, rig.request())
    await rig.provider.leases()
    rig.fault("status", status=503, count=1)
    await rig.provider.leases()
    nonces = [request.headers["x-nonce"] for request in rig.wire.seen]
    assert len(nonces) > 4
    assert len(set(nonces)) == len(nonces)


def test_a_signature_is_that_of_the_official_example() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    signer = Signer(SecretStr("pk_1"), SecretStr("sk_1"), clock)
    url = "https://api.dispersed.com/v1/job-runs?limit=10&filter%5Bjob_uuid%5D=a%20b"
    sent = next(signer.auth_flow(httpx.Request("GET", url)))
    nonce, empty = sent.headers["x-nonce"], hashlib.sha256(b"").hexdigest()
    query = "filter%5Bjob_uuid%5D=a+b&limit=10"
    told = f"pk_1|1767225600000|{nonce}|GET|/v1/job-runs|{query}|{empty}"
    wanted = hmac.new(b"sk_1", told.encode(), hashlib.sha256).hexdigest()
    assert len(nonce) == 32
    assert sent.headers["x-time"] == "1767225600000"
    assert sent.headers["x-signature"] == wanted


def test_bodies_go_out_sorted_compact_and_in_ascii() -> None:
    assert canonical('{"b": "ü", "a": {"d": 1, "c": 2}}'.encode()) == (
        b'{"a":{"c":2,"d":1},"b":"\\u00fc"}'
    )
    assert canonical(b"") == b""


async def test_running_billed_by_the_begun_hour_and_gone(rig: DispersedRig) -> None:
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase is Phase.PENDING
    await rig.pass_time(timedelta(seconds=2))
    assert (await rig.provider.observe(step.handle)).phase is Phase.STARTING
    await rig.pass_time(timedelta(seconds=3))
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.gpu_count, seen.gpu_model) == (Phase.RUNNING, 1, "rtx4090")
    assert [(e.port, e.host) for e in seen.endpoints] == [(5000, "192.0.2.1")]
    await rig.pass_time(timedelta(hours=1))
    assert rig.only.charged == Decimal("0.34") * 2
    assert (await rig.provider.observe(step.handle)).billed_usd == Decimal("0.68")
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound, match="CANCELLED") as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd == Decimal("0.68")


async def test_a_job_that_nobody_took_had_no_machine_and_no_bill(rig: DispersedRig) -> None:
    rig.fault("never_assigned", count=1)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=301))
    with pytest.raises(LeaseNotFound, match="FAILED") as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd is None


async def test_a_job_that_was_over_long_ago_is_not_billed_beyond_its_longest_run(
    rig: DispersedRig,
) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(hours=30))
    with pytest.raises(LeaseNotFound) as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd == Decimal("0.34") * 11, "ten hours, the start before them"


async def test_a_bigger_machine_is_read_back_with_its_price(rig: DispersedRig) -> None:
    rig.fault("bigger_node", gpus=6, count=1)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert seen.gpu_count == 6
    assert seen.price_usd_per_hour == Decimal("2.04")


async def test_a_bigger_machine_over_the_cap_is_closed_by_the_engine(rig: DispersedRig) -> None:
    rig.fault("bigger_node", gpus=6, count=1)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    evidence = Evidence(await rig.provider.observe(step.handle), report=None)
    capped = replace(
        rig.request().lease, max_usd_per_hour=Decimal("0.5"), hard_deadline=rig.deadline
    )
    judged = judge(capped, evidence, Patience(SlaClass("any")), rig.clock.now())
    assert (judged.verdict, judged.closing) == (Verdict.CLOSE, ClosingReason.MISMATCH)


async def test_another_gpu_is_read_back(rig: DispersedRig) -> None:
    rig.fault("wrong_gpu", gpu={"model": "t4", "ram": "16Gi", "interface": "pcie"}, count=1)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    assert (await rig.provider.observe(step.handle)).gpu_model == "t4"


async def test_running_without_any_address_is_running(rig: DispersedRig) -> None:
    rig.fault("empty_endpoints", count=1)
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    seen = await rig.provider.observe(step.handle)
    assert (seen.phase, seen.endpoints) == (Phase.RUNNING, ())


async def test_a_job_nobody_takes_is_ended_by_the_market(rig: DispersedRig) -> None:
    rig.fault("never_assigned", count=1)
    step = await drive(rig, rig.request())
    assert (await rig.provider.observe(step.handle)).phase is Phase.PENDING
    await rig.pass_time(timedelta(seconds=301))
    with pytest.raises(LeaseNotFound, match="FAILED"):
        await rig.provider.observe(step.handle)
    with pytest.raises(NoCapacity):
        await rig.provider.open(replace(rig.request(), handle=step.handle))


async def test_the_longest_run_ends_a_job_without_us(rig: DispersedRig) -> None:
    await drive(rig, rig.request())
    await rig.pass_time(timedelta(hours=10, seconds=1))
    assert await rig.open_things() == 0


@pytest.mark.parametrize(("code", "is_done"), [(0, True), (3, False)])
async def test_a_command_that_ended(rig: DispersedRig, code: int, is_done: bool) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.app.world.executor.finish(rig.only.lease_name, code)
    await rig.pass_time(timedelta(seconds=1))
    if is_done:
        assert (await rig.provider.observe(step.handle)).phase is Phase.SUCCEEDED
    else:
        with pytest.raises(LeaseNotFound, match="FAILED"):
            await rig.provider.observe(step.handle)
    assert await rig.provider.leases() == []


async def running(rig: DispersedRig) -> Handle:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    return step.handle


async def read(rig: DispersedRig, handle: Handle, tail: int = 10) -> list[bytes]:
    return [line async for line in rig.provider.logs(handle, follow=False, tail=tail)]


async def test_the_log_is_read_out_of_the_run(rig: DispersedRig) -> None:
    handle = await running(rig)
    rig.log("one\nzwei ä\r\nhalf".encode())
    assert await read(rig, handle) == [b"one", "zwei ä".encode(), b"half"]
    assert await read(rig, handle, tail=2) == ["zwei ä".encode(), b"half"]
    assert await read(rig, handle, tail=0) == []


async def test_a_job_without_a_machine_has_said_nothing(rig: DispersedRig) -> None:
    step = await drive(rig, rig.request())
    assert await read(rig, step.handle) == []


async def test_a_followed_log_grows_by_whole_lines_and_ends_with_the_job(
    rig: DispersedRig,
) -> None:
    handle = await running(rig)
    rig.log(b"one\ntwo\nha")
    lines = rig.provider.logs(handle, follow=True, tail=1)
    assert await anext(lines) == b"two"
    rig.log(b"one\ntwo\nhalf\nend")
    assert await anext(lines) == b"half"
    await rig.provider.close(handle)
    assert [line async for line in lines] == [b"end"]


async def test_a_log_that_was_cut_by_the_market_is_not_told_again(rig: DispersedRig) -> None:
    handle = await running(rig)
    rig.log(b"one\ntwo\n")
    lines = rig.provider.logs(handle, follow=True, tail=9)
    assert [await anext(lines), await anext(lines)] == [b"one", b"two"]
    rig.log(b"two\n")
    await rig.provider.close(handle)
    assert [line async for line in lines] == []


async def test_a_job_that_is_over_still_has_its_log(rig: DispersedRig) -> None:
    handle = await running(rig)
    rig.log(b"one\n")
    rig.app.world.executor.finish(rig.only.lease_name, 3)
    await rig.pass_time(timedelta(seconds=1))
    assert await read(rig, handle) == [b"one"]


@pytest.mark.parametrize("job", ["", "never-was"], ids=["unopened", "unknown"])
async def test_the_log_of_what_is_not_there_is_not_found(rig: DispersedRig, job: str) -> None:
    with pytest.raises(LeaseNotFound):
        await read(rig, Handle("x", job))


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"logs": "one\ntwo\n"}, "one\ntwo\n"),
        ({"data": {"logs": ["one", "two\n"]}}, "one\ntwo\n"),
        ({"logs": None}, ""),
        ({}, ""),
    ],
    ids=["text", "lines", "null", "absent"],
)
def test_output_comes_as_a_text_or_as_lines(told: dict[str, object], text: str) -> None:
    assert RunLog.model_validate(told).text() == text


async def test_every_page_of_the_list_is_read(rig: DispersedRig) -> None:
    await drive(rig, rig.request())
    rentals, model = rig.rentals.rentals, rig.only
    for n in range(120):
        rentals.open_stopped(replace(model, id=f"job-{n}", key=f"other-{n}"))
    before = len(rig.wire.seen)
    assert len(await rig.provider.leases()) == 121
    assert len(rig.wire.seen) - before == 3


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("ubuntu", ("", "ubuntu", "latest")),
        ("team/train:2", ("", "team/train", "2")),
        ("ghcr.io/team/train:2", ("ghcr.io", "team/train", "2")),
        ("localhost:5000/train", ("localhost:5000", "train", "latest")),
    ],
)
def test_an_image_is_taken_apart(image: str, parts: tuple[str, str, str]) -> None:
    assert parts_of(image) == parts


def test_images_are_declared_by_pattern() -> None:
    assert is_ready("ghcr.io/team/train:2", ("ghcr.io/team/*",))
    assert is_ready("team/train:2", ("team/train:2",))
    assert not is_ready("team/train:3", ("team/train:2",))
    assert not is_ready("team/train:3", ())
