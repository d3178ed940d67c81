"""Whole objects of our kinds, as the API server gives them and as the core sees them.

Every field differs from its default, so that a mapping that forgets one is found out.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.lease import Closing, Handle, JobRef, Lease, Permit
from overspill.core.offer import Offer
from overspill.core.vocabulary import (
    CapacityType,
    ClosingReason,
    InterconnectClass,
    LeaseState,
    TrustTier,
)
from overspill.core.workload import LeaseRequest, PortableWorkload, SecretEnv

AT = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
JOB_UID = "11111111-1111-4111-8111-111111111111"


def full_offer() -> Offer:
    """An offer in which nothing is left at its default."""
    return Offer(
        provider="akash",
        offer_id="screen-77",
        place="akash/us-west",
        capacity_type=CapacityType.COMMUNITY,
        trust_tier=TrustTier.AUDITED,
        gpu_model="h100",
        gpu_count=2,
        price_usd_per_hour=Decimal("3.123456789"),
        as_of=AT,
        node_count=2,
        region="us-west",
        gpu_memory_gib=Decimal("79.6"),
        compute_capability=(9, 0),
        interconnect=InterconnectClass.NVLINK,
        is_divisible=True,
        is_firm=False,
        reliability=Decimal("0.9975"),
        verification="audited",
        egress_usd_per_gib=Decimal("0.01"),
        cold_start=timedelta(seconds=90),
        mtbf=timedelta(hours=40),
        min_billable=timedelta(seconds=60),
        available_until=AT + timedelta(days=3),
        unavailable_reason="reclaiming",
        attributes=(("denom", "uact"), ("owner", "akash1xyz")),
    )


def full_request() -> LeaseRequest:
    """A rented request in which nothing is left at its default."""
    workload = PortableWorkload(
        image="team-a/train:1",
        command=("/bin/sh", "-c", "run"),
        args=("--fast", ""),
        env=(("B", "2"), ("A", "")),
        secret_env=(SecretEnv("TOKEN", "hub", "token", optional=True),),
        ports=(8080, 9000),
        cpu_units=Decimal("7.5"),
        memory_gib=Decimal(64),
        disk_gib=Decimal("100.25"),
        working_dir="/work",
    )
    return LeaseRequest(
        gpu_count=2,
        num_nodes=2,
        workload=workload,
        home_node="",
        report_url="https://report.example",
        secret_digest="d1g35t",  # noqa: S106  (a digest for tests)
        active_deadline_seconds=3600,
        grace_period_seconds=45,
        labels=(("overspill.dev/job", "train"),),
    )


def full_lease(**changes: Any) -> Lease:
    """A Closed lease in which nothing is left at its default."""
    fields: dict[str, Any] = {
        "name": "gl-abcdef01-0123456789abcdef01",
        "namespace": "team-a",
        "uid": "22222222-2222-4222-8222-222222222222",
        "resource_version": "17",
        "job": JobRef("team-a", "train", JOB_UID),
        "attempt": 3,
        "provider": "akash",
        "cluster_id": "abcdef01-0000-4000-8000-000000000000",
        "offer": full_offer(),
        "request": full_request(),
        "max_usd_per_hour": Decimal("6.5"),
        "max_total_usd": Decimal("120.000001"),
        "hard_deadline": AT + timedelta(days=1, microseconds=250_000),
        "created_at": AT,
        "is_home": False,
        "has_finalizer": True,
        "state": LeaseState.CLOSED,
        "permit": Permit(4, "pod-a_10.0.0.1:8443", 9, AT, AT + timedelta(seconds=20)),
        "handle": Handle("gl-abcdef01-0123456789abcdef01", "18234", (("bid", "3"), ("gseq", "1"))),
        "price_usd_per_hour": Decimal("3.05"),
        "active_since": AT + timedelta(minutes=2),
        "closed_at": AT + timedelta(hours=5),
        "billed_usd": Decimal("14.99"),
        "closing": Closing(ClosingReason.FINISHED, AT + timedelta(hours=4), "exit code 0", 2),
        "conditions": (
            {
                "type": "Finished",
                "status": "True",
                "reason": "CommandSucceeded",
                "message": "exit code 0",
                "lastTransitionTime": "2026-03-01T16:30:15Z",
            },
        ),
    }
    return Lease(**(fields | changes))


def planned_lease(**changes: Any) -> Lease:
    """A lease as placement hands it over: no uid, no version, no status."""
    fresh: dict[str, Any] = {
        "uid": "",
        "resource_version": "",
        "state": LeaseState.PLANNED,
        "permit": None,
        "handle": None,
        "price_usd_per_hour": None,
        "active_since": None,
        "closed_at": None,
        "billed_usd": None,
        "closing": None,
        "conditions": (),
    }
    return full_lease(**(fresh | changes))


def job_json(name: str = "train", **spec: Any) -> dict[str, Any]:
    """The smallest GPUJob, as one would POST it."""
    container = {"name": "main", "image": "team-a/train:1", "command": ["run"]}
    return {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "GPUJob",
        "metadata": {"name": name, "namespace": "team-a"},
        "spec": {
            "gpu": {"count": 1},
            "template": {"spec": {"containers": [container]}},
            **spec,
        },
    }


def stored(obj: dict[str, Any], uid: str, version: int, **meta: Any) -> dict[str, Any]:
    """An object with what the API server adds to it."""
    server = {
        "uid": uid,
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": "2026-03-01T12:30:15Z",
    }
    return {**obj, "metadata": {**obj["metadata"], **server, **meta}}
