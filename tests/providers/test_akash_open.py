"""The steps of opening at Akash, one by one, on the double."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import yaml

from overspill.core.errors import (
    InsufficientFunds,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
)
from overspill.core.lease import Handle
from overspill.core.offer import GpuRequirements, Requirements
from overspill.core.workload import SecretEnv
from overspill.ports import IdempotencyClass, OpenRequest
from overspill.testing.contract import drive
from overspill.testing.wire_faults import Fault

from .akash_double import gpu_line
from .akash_rig import TOKEN, WORKLOAD, DoubleRig, double_rig, request


def sent(rig: DoubleRig, method: str, path: str) -> list[Any]:
    """Bodies of the requests sent to a path."""
    return [
        json.loads(r.content or b"{}")
        for r in rig.wire.seen
        if (r.method, r.url.path) == (method, path)
    ]


async def test_each_step_says_whether_the_next_costs() -> None:
    rig = double_rig()
    asked = rig.request()
    first = await rig.provider.open(asked)
    assert (first.is_complete, first.next_costs, first.handle.data) == (False, False, ())
    second = await rig.provider.open(replace(asked, handle=first.handle))
    assert (second.is_complete, second.next_costs) == (False, True)
    assert dict(second.handle.data) == {"provider": "akash1good", "gseq": "1", "oseq": "1"}
    assert second.price_usd_per_hour == Decimal("1.2")
    third = await rig.provider.open(replace(asked, handle=second.handle))
    assert third.is_complete
    assert third.price_usd_per_hour == Decimal("1.2")


async def test_the_sdl_carries_key_secrets_and_ceiling_and_the_handle_no_secret() -> None:
    rig = double_rig()
    step = await drive(rig, rig.request())
    (body,) = sent(rig, "POST", "/v1/deployments")
    sdl = yaml.safe_load(body["data"]["sdl"])
    key = rig.request().key
    assert list(sdl["profiles"]["placement"]) == [key]
    price = sdl["profiles"]["placement"][key]["pricing"]["job"]
    assert price == {"denom": "uact", "amount": "5000"}
    environment = sdl["services"]["job"]["env"]
    assert f"GPUJOB_KEY={key}" in environment
    assert f"OVERSPILL_REPORT_TOKEN={TOKEN}" in environment
    assert sdl["services"]["job"]["args"] == ["012", "yes"]
    assert sdl["profiles"]["compute"]["job"]["resources"] == {
        "cpu": {"units": "1500m"},
        "memory": {"size": "4096Mi"},
        "storage": [{"size": "20992Mi"}],
        "gpu": {
            "units": 1,
            "attributes": {
                "vendor": {"nvidia": [{"model": "h100", "ram": "80Gi", "interface": "sxm"}]}
            },
        },
    }
    assert TOKEN not in repr(step)


async def test_the_deposit_is_sized_to_the_ceiling() -> None:
    rig = double_rig()
    asked = rig.request()
    await rig.provider.open(asked)
    await rig.provider.open(replace(asked, hard_deadline=rig.clock.now() + timedelta(hours=1)))
    await rig.provider.open(replace(asked, hard_deadline=rig.clock.now()))
    deposits = [body["data"]["deposit"] for body in sent(rig, "POST", "/v1/deployments")]
    assert deposits == [20.0, 3.0, 0.5]


async def test_an_escrow_that_lasts_is_left_alone() -> None:
    rig = double_rig()
    asked = replace(rig.request(), max_total_usd=Decimal(5))
    await drive(rig, asked)
    assert rig.console.settings == {}


async def test_an_escrow_that_would_run_dry_is_refilled() -> None:
    rig = double_rig()
    first = await drive(rig, rig.request())
    assert rig.console.settings == {first.handle.external_id: True}
    second = await rig.provider.open(rig.request(2))
    rig.console.settings[second.handle.external_id] = False
    await drive(rig, replace(rig.request(2), handle=second.handle))
    assert rig.console.settings[second.handle.external_id]


@pytest.mark.parametrize("setting", ["false", "true"])
async def test_an_escrow_that_cannot_be_refilled_is_said_and_the_lease_taken(setting: str) -> None:
    rig = double_rig(autoTopUp=setting)
    asked = rig.request()
    first = await rig.provider.open(asked)
    rig.wire.set(Fault.SERVER_ERROR, matches=lambda r: "settings" in r.url.path)
    chosen = await rig.provider.open(replace(asked, handle=first.handle))
    assert "may run dry" in chosen.message
    assert (await drive(rig, replace(asked, handle=chosen.handle))).is_complete


async def test_it_waits_for_better_bids_but_not_for_ever() -> None:
    rig = double_rig(bidSettleSeconds="8")
    asked = rig.request()
    step = await rig.provider.open(asked)
    asked = replace(asked, handle=step.handle)
    assert not (await rig.provider.open(asked)).next_costs
    rig.clock.advance(7)
    rig.console.bids[step.handle.external_id][1]["bid"]["price"]["amount"] = "100"
    assert not (await rig.provider.open(asked)).next_costs
    rig.clock.advance(1)
    chosen = await rig.provider.open(asked)
    assert chosen.handle.get("provider") == "akash1dear"


async def test_a_chosen_deployment_that_stays_unreadable_after_a_restart_is_given_up() -> None:
    rig = double_rig()
    asked, again = await _chosen(rig), rig.restarted()
    rig.console.deployments.clear()
    waiting = await again.open(asked)
    assert (waiting.handle, waiting.is_complete) == (asked.handle, False)
    rig.clock.advance(61)
    with pytest.raises(NoCapacity, match="was made and is gone"):
        await again.open(asked)


async def test_no_bid_in_the_window_closes_the_deployment() -> None:
    rig = double_rig(bidWindowSeconds="45")
    rig.console.offered = []
    asked = rig.request()
    step = await rig.provider.open(asked)
    asked = replace(asked, handle=step.handle)
    rig.clock.advance(44)
    assert not (await rig.provider.open(asked)).is_complete
    rig.clock.advance(1)
    with pytest.raises(NoCapacity, match="no provider made a bid"):
        await rig.provider.open(asked)
    assert rig.console.live() == 0


async def test_only_too_dear_bids_say_how_dear() -> None:
    rig = double_rig()
    rig.console.offered = [("akash1dear", "9000")]
    with pytest.raises(NoCapacity, match=r"the cheapest at 5\.4000 USD per hour"):
        await drive(rig, rig.request())
    assert rig.console.live() == 0


async def test_a_bid_that_went_away_is_followed_by_the_next() -> None:
    rig = double_rig()
    rig.console.refuse["POST /v1/leases"] = (400, "Cannot create lease: bid is no longer open")
    step = await drive(rig, rig.request())
    assert step.handle.get("provider") == "akash1dear"
    assert step.handle.get("refused") == "akash1good"
    assert rig.console.live() == 1


async def test_an_order_taken_by_our_own_late_request_is_adopted() -> None:
    rig = double_rig()
    asked = await _chosen(rig)
    await rig.restarted().open(asked)
    rig.console.refuse["POST /v1/leases"] = (400, "order has already been matched or closed")
    step = await rig.provider.open(asked)
    assert step.is_complete
    assert rig.console.live() == 1


async def test_an_order_taken_by_nobody_is_closed() -> None:
    rig = double_rig()
    asked = await _chosen(rig)
    rig.console.refuse["POST /v1/leases"] = (400, "order has already been matched or closed")
    with pytest.raises(NoCapacity):
        await rig.provider.open(asked)
    assert rig.console.live() == 0


@pytest.mark.parametrize(
    ("path", "status", "message", "error"),
    [
        ("POST /v1/deployments", 402, "Not enough balance to cover", InsufficientFunds),
        ("POST /v1/deployments", 400, "Insufficient funds", InsufficientFunds),
        ("POST /v1/deployments", 400, "Deposit too low", InsufficientFunds),
        ("POST /v1/deployments", 400, "Console trial expired", InsufficientFunds),
        ("POST /v1/deployments", 400, "Invalid GPU attributes", OfferRejected),
        ("POST /v1/deployments", 400, "Unit price exceeds the maximum", OfferRejected),
        ("POST /v1/deployments", 400, "something new", OfferRejected),
        ("POST /v1/deployments", 500, "Insufficient funds", OpenUncertain),
        ("POST /v1/leases", 400, "Deployment closed", NoCapacity),
        ("POST /v1/leases", 400, "escrow cannot be settled yet", OpenUncertain),
        ("POST /v1/leases", 422, "invalid manifest", OfferRejected),
        ("POST /v1/leases", 503, "provider away", OpenUncertain),
    ],
)
async def test_documented_refusals(
    path: str, status: int, message: str, error: type[ProviderError]
) -> None:
    rig = double_rig()
    rig.console.refuse[path] = (status, f"Failed to create it: {message}.")
    with pytest.raises(error) as refused:
        await drive(rig, rig.request())
    assert "Failed to create it" not in str(refused.value)


async def test_a_refusal_by_the_chain_is_a_refusal() -> None:
    rig = double_rig()
    original = rig.console.answer

    def refusing(asked: Any) -> Any:
        answer = original(asked)
        body = answer.json()
        body["data"]["signTx"]["code"] = 5
        return type(answer)(201, json=body)

    rig.console.answer = refusing  # type: ignore[method-assign]  # a double's own double
    rig.wire.inner = rig.console.transport()
    with pytest.raises(OfferRejected, match="code 5"):
        await rig.provider.open(rig.request())


async def test_a_lease_over_the_cap_is_closed_at_once() -> None:
    rig = double_rig()
    asked = await _chosen(rig)
    bid = rig.console.bids[str(asked.handle.external_id if asked.handle else "")][0]["bid"]
    bid["price"]["amount"] = "5001"
    with pytest.raises(OfferRejected, match="over the cap"):
        await rig.provider.open(asked)
    assert rig.console.live() == 0


async def test_a_changed_secret_cannot_take_the_old_order() -> None:
    rig = double_rig()
    asked = await _chosen(rig)
    changed = replace(asked, secrets={"OVERSPILL_REPORT_TOKEN": "another"})
    with pytest.raises(OfferRejected, match="other values"):
        await rig.restarted().open(changed)
    assert rig.console.live() == 0


async def test_a_running_lease_is_adopted_whatever_the_secret_is_now() -> None:
    rig = double_rig()
    step = await drive(rig, rig.request())
    changed = replace(
        rig.request(), handle=step.handle, secrets={"OVERSPILL_REPORT_TOKEN": "another"}
    )
    assert (await rig.restarted().open(changed)).is_complete
    assert rig.console.live() == 1


async def test_an_adopted_lease_without_manifest_gets_it() -> None:
    rig = double_rig()
    step = await drive(rig, rig.request())
    held = rig.console.deployments[step.handle.external_id]
    manifest = held.pop("sent")
    again = rig.restarted()
    bare = Handle(step.handle.key, step.handle.external_id)
    adopted = await again.open(replace(rig.request(), handle=bare))
    assert adopted.next_costs
    done = await again.open(replace(rig.request(), handle=adopted.handle))
    assert done.is_complete
    assert held["sent"] == manifest


async def test_what_the_market_closed_meanwhile_is_no_capacity() -> None:
    rig = double_rig()
    asked = await _chosen(rig)
    assert asked.handle is not None
    await rig.provider.close(asked.handle)
    bare = Handle(asked.key, asked.handle.external_id)
    with pytest.raises(NoCapacity):
        await rig.restarted().open(replace(asked, handle=bare))


@pytest.mark.parametrize(
    "asked",
    [
        replace(request(), workload=None),
        replace(request(), num_nodes=2),
        replace(request(), secrets={}),
    ],
    ids=["not portable", "a gang", "a secret is missing"],
)
async def test_what_akash_cannot_run_is_refused_before_anything_is_sent(
    asked: OpenRequest,
) -> None:
    rig = double_rig()
    with pytest.raises(OfferRejected):
        await rig.provider.open(asked)
    assert rig.wire.seen == []


async def test_an_optional_secret_may_be_missing() -> None:
    rig = double_rig()
    optional = replace(WORKLOAD, secret_env=(SecretEnv("X", "s", "k", optional=True),))
    step = await drive(rig, replace(request(workload=optional), secrets={}))
    assert step.is_complete


async def test_offers_may_be_narrowed_to_models() -> None:
    rig = double_rig()
    rig.console.models.append(gpu_line("rtx4090", ram="24Gi", interface="PCIe"))
    wanted = Requirements(GpuRequirements(models=("rtx4090",)))
    assert [o.gpu_model for o in await rig.provider.offers(wanted)] == ["rtx4090"]
    assert [o.gpu_model for o in await rig.provider.offers(None)] == ["h100", "rtx4090"]


async def test_offers_need_the_prices_but_not_the_providers() -> None:
    rig = double_rig()
    rig.console.refuse["GET /v1/providers"] = (400, "no")
    rig.console.hosts = []
    (offer,) = await rig.provider.offers(None)
    assert offer.reliability is None


def test_what_it_declares() -> None:
    declared = double_rig(quarantineSeconds="5").provider.capabilities
    assert declared.idempotency is IdempotencyClass.B
    assert declared.restarts_exited
    assert declared.can_set_command
    assert not declared.has_dead_mans_switch
    assert declared.quarantine == timedelta(seconds=5)
    assert declared.permit_validity > declared.request_timeout


async def _chosen(rig: DoubleRig) -> OpenRequest:
    """A request whose bid is chosen: the next step would take the lease."""
    asked = rig.request()
    for _ in range(2):
        asked = replace(asked, handle=(await rig.provider.open(asked)).handle)
    return asked
