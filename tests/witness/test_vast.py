"""Vast.ai's own client drives the sandbox, and asks for the same thing as our adapter does."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from overspill.core.lease import JobRef, Lease
from overspill.core.offer import Offer
from overspill.core.vocabulary import CapacityType, TrustTier
from overspill.core.workload import LeaseRequest, PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.vast_request import body_of
from overspill.sandbox.options import SandboxOptions
from overspill.testing.clock import ManualClock
from overspill.testing.sandbox import Sandbox

Witness = Callable[..., dict[str, Any]]
LABEL = "gl-c1u5ter8-witness"
NOW = ManualClock().now()

OFFER = Offer(
    provider="vast",
    offer_id="1",
    place="vast/1",
    capacity_type=CapacityType.ON_DEMAND,
    trust_tier=TrustTier.SECURE,
    gpu_model="h100",
    gpu_count=1,
    price_usd_per_hour=Decimal(2),
    as_of=NOW,
)
WORKLOAD = PortableWorkload(
    image="python:3.12",
    command=("/bin/sh", "-c", "echo witness; sleep 100"),
    env=(("GREETING", "hello"),),
    ports=(8080,),
    disk_gib=Decimal("18.6"),
)


def test_a_whole_lease_life(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("vast",))) as market:
        seen = witness("vast_life.py", market.url, market.api_key, LABEL)
        assert market.summary()["held"] == {}
        events = [entry.event for entry in market.ledger() if entry.key.startswith(LABEL)]
    assert (seen["offer"]["gpu_name"], seen["offer"]["num_gpus"]) == ("H100 SXM", 1)
    assert seen["made"]["success"] is True
    shown = seen["seen"]
    assert shown["id"] == seen["made"]["new_contract"] == seen["listed"][0]
    assert shown["label"] == LABEL
    assert shown["image_args"] == ["-c", "echo witness; sleep 100"]
    assert shown["extra_env"] == {"GREETING": "hello", "-p 8080:8080": "1"}
    assert shown["dph_total"] < 3
    assert 9_999 < seen["credit"] <= 10_000
    assert seen["renamed"] == f"{LABEL}-2"
    assert seen["destroyed"]["success"] is True
    assert seen["after"] is None
    assert events[:3] == ["create_received", "created", "leased"]
    assert events[-1] == "closed"


def test_for_the_same_intent_our_body_is_the_clients(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("vast",))) as market:
        theirs = witness("vast_life.py", market.url, market.api_key, LABEL)["body"]
    ours = body_of(_request())
    # what the client sends empty is what the market takes for unset
    meant = {name: value for name, value in theirs.items() if value not in (None, False)}
    assert meant == {name: ours[name] for name in meant}
    assert set(ours) - set(meant) == {"target_state"}


def _request() -> OpenRequest:
    lease = Lease(
        name=LABEL,
        namespace="n",
        uid="u",
        resource_version="1",
        job=JobRef("n", "j", "u"),
        attempt=1,
        provider="vast",
        cluster_id="c1u5ter8",
        offer=OFFER,
        request=LeaseRequest(1, workload=WORKLOAD),
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(9),
        hard_deadline=NOW,
        created_at=NOW,
    )
    asked = OpenRequest(
        key=LABEL,
        cluster_id="c1u5ter8",
        offer=OFFER,
        gpu_count=1,
        num_nodes=1,
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(9),
        hard_deadline=NOW,
        attempt=1,
        lease=lease,
    )
    return replace(asked, workload=WORKLOAD)
