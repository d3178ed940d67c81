"""io.net's own client drives the sandbox, and for the same intent its body equals ours."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.lease import JobRef, Lease
from overspill.core.offer import Offer
from overspill.core.vocabulary import CapacityType, TrustTier
from overspill.core.workload import LeaseRequest, PortableWorkload, SecretEnv
from overspill.ports import OpenRequest
from overspill.providers.ionet_config import Config
from overspill.providers.ionet_request import body_of, resource_id, shape_of
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

Witness = Callable[..., dict[str, Any]]
NAME = "gl-c1u5ter8-witness"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HARDWARE, PLACE = 204, 5
"""H100 SXM in the US, as the sandbox numbers its own hosts."""

INTENT = {
    "name": NAME,
    "image": "python:3.12",
    "gpu": f"{HARDWARE}:1",
    "hours": 3,
    "port": 8080,
    "env": {"GREETING": "hello"},
    "secrets": {"TOKEN": "not-told"},
    "entrypoint": ["/bin/sh"],
    "args": ["-c", "sleep 100"],
    "location": PLACE,
    "resource_id": resource_id(NAME),
}


def test_a_whole_lease_life(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("ionet",))) as market:
        seen = _lived(witness, market)
        assert market.summary()["held"] == {}
        ledger = [entry for entry in market.ledger() if entry.key == NAME]
    assert "H100 80GB HBM3" in seen["hardware"]
    assert seen["id"] == resource_id(NAME)
    assert (seen["status"], seen["containers"]) == ("running", ["running"])
    assert seen["listed"] == {seen["id"]: NAME}
    assert seen["name_of_one"] is None  # the list alone tells it
    assert seen["paid"] == seen["quote"]
    assert round(seen["hourly"] * 3, 6) == round(seen["paid"], 6)
    assert seen["after"] == "destroyed"
    assert (seen["unknown"], seen["invalid"]) == (404, ["duration_hours"])
    assert [entry.event for entry in ledger][:3] == ["create_received", "created", "leased"]
    (charged,) = [entry.usd for entry in ledger if entry.event == "charged"]
    assert Decimal(charged) == Decimal(str(seen["paid"]))  # nothing is given back


def test_for_the_same_intent_its_body_equals_ours(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("ionet",))) as market:
        theirs = _lived(witness, market)["body"]
    request, config = _request(), Config(api_key="x", endpoint="https://api.io.solutions")
    ours = body_of(request, config, shape_of(request, config, NOW), PLACE)
    assert ours == theirs


def _lived(witness: Witness, market: Sandbox) -> dict[str, Any]:
    return witness(
        "ionet_life.py",
        json.dumps(INTENT),
        IOCLOUD_BASE_URL=market.url,
        IOCLOUD_API_KEY=market.api_key,
        IOCLOUD_DISABLE_KEYRING="1",
    )


def _request() -> OpenRequest:
    offer = Offer(
        provider="ionet",
        offer_id=str(HARDWARE),
        place="ionet",
        capacity_type=CapacityType.ON_DEMAND,
        trust_tier=TrustTier.COMMUNITY,
        gpu_model="h100",
        gpu_count=1,
        price_usd_per_hour=Decimal(2),
        as_of=NOW,
        attributes=(("hardware", str(HARDWARE)),),
    )
    workload = PortableWorkload(
        image="python:3.12",
        command=("/bin/sh", "-c", "sleep 100"),
        env=(("GREETING", "hello"),),
        secret_env=(SecretEnv("TOKEN", "s", "k"),),
        ports=(8080,),
    )
    deadline = NOW + timedelta(hours=2, minutes=30)
    lease = Lease(
        name=NAME,
        namespace="team",
        uid="u",
        resource_version="1",
        job=JobRef("team", "train", "0"),
        attempt=1,
        provider="ionet",
        cluster_id="c1u5ter8",
        offer=offer,
        request=LeaseRequest(1, workload=workload),
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(20),
        hard_deadline=deadline,
        created_at=NOW,
    )
    base = OpenRequest(
        key=NAME,
        cluster_id="c1u5ter8",
        offer=offer,
        gpu_count=1,
        num_nodes=1,
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(20),
        hard_deadline=deadline,
        attempt=1,
        lease=lease,
    )
    return replace(base, workload=workload, secrets={"TOKEN": "not-told"})
