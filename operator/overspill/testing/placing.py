"""Builders of placement's world: small snapshots in a few words. Used by the tests of the core.

Home is the account `home` (own nodes at 1 USD per GPU and hour), the markets are `akash`
(Audited, OnDemand) and `spots` (Community, Spot). `NOW` is the moment of every plan.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.decision import Decision
from overspill.core.job import Checkpoint, Job
from overspill.core.lease import Closing, JobRef, Lease
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.placement import plan
from overspill.core.sla import SlaClass
from overspill.core.snapshot import ProviderAccount, Snapshot
from overspill.core.vocabulary import (
    CapacityType,
    ClosingReason,
    LeaseState,
    ProviderType,
    TrustTier,
)
from overspill.core.workload import LeaseRequest

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

HOME = ProviderAccount(
    "home", ProviderType.IN_CLUSTER, capacity_type=CapacityType.OWN, trust_tier=TrustTier.OWN
)
AKASH = ProviderAccount("akash", ProviderType.AKASH, trust_tier=TrustTier.AUDITED)
SPOTS = ProviderAccount("spots", ProviderType.VAST, capacity_type=CapacityType.SPOT)
ACCOUNTS = {account.name: account for account in (HOME, AKASH, SPOTS)}

STANDARD = SlaClass(
    "standard",
    is_default=True,
    capacity_types=(CapacityType.OWN, CapacityType.ON_DEMAND, CapacityType.SPOT),
    burst_after=timedelta(minutes=10),
)


def usd(amount: str | int) -> Decimal:
    """Dollars."""
    return Decimal(amount)


def make_job(name: str = "train", gpus: int = 1, **changes: Any) -> Job:
    """A job that came this moment, may burst and has 100 USD."""
    gpu = GpuRequirements(gpus, changes.pop("models", ()))
    job = Job(JobRef("team", name, f"uid-{name}"), "1", 1, NOW, gpu, {}, max_total_usd=usd(100))
    return replace(job, **changes)


def node(name: str, free: int, total: int = 8, **changes: Any) -> Offer:
    """A home node with H100s at 1 USD per GPU and hour."""
    count = free or total
    rate = changes.pop("rate", usd(1))
    attributes = (("gpusTotal", str(total)), ("leases", changes.pop("leases", "")))
    offer = Offer(
        "home",
        name,
        f"home/{name}",
        CapacityType.OWN,
        TrustTier.OWN,
        "h100",
        count,
        rate * count,
        NOW,
        gpu_memory_gib=usd(80),
        compute_capability=(9, 0),
        is_divisible=True,
        unavailable_reason="" if free else f"all {total} GPUs are taken",
        attributes=attributes,
    )
    return replace(offer, **changes)


def rent(offer_id: str = "a1", price: str = "2", gpus: int = 1, **changes: Any) -> Offer:
    """A whole offer of the market `akash`, price for all its GPUs."""
    offer = Offer(
        "akash",
        offer_id,
        f"akash/{offer_id}",
        CapacityType.ON_DEMAND,
        TrustTier.AUDITED,
        "h100",
        gpus,
        usd(price),
        NOW,
        gpu_memory_gib=usd(80),
        compute_capability=(9, 0),
        region="us-west",
        cold_start=timedelta(minutes=3),
    )
    provider = changes.get("provider", "akash")
    return replace(offer, place=f"{provider}/{offer_id}", **changes)


def make_lease(job: Job, offer: Offer, state: LeaseState, **changes: Any) -> Lease:
    """A lease of the job; an Active one has been charged for an hour."""
    attempt = changes.pop("attempt", 1)
    ended: ClosingReason | None = changes.pop("ended", None)
    started = NOW - HOUR if state not in (LeaseState.PLANNED, LeaseState.OPENING) else None
    found = Lease(
        name=f"gl-{job.ref.name}-{attempt}",
        namespace=job.ref.namespace,
        uid=f"lease-{job.ref.name}-{attempt}",
        resource_version="1",
        job=job.ref,
        attempt=attempt,
        provider=offer.provider,
        cluster_id="12345678",
        offer=offer,
        request=LeaseRequest(job.gpu.count, job.num_nodes),
        max_usd_per_hour=offer.price_usd_per_hour,
        max_total_usd=usd(100),
        hard_deadline=NOW + 24 * HOUR,
        created_at=NOW - HOUR,
        is_home=offer.provider == "home",
        state=state,
        active_since=started,
        price_usd_per_hour=offer.price_usd_per_hour,
        closed_at=NOW if state is LeaseState.CLOSED else None,
        closing=Closing(ended, NOW) if ended else None,
    )
    return replace(found, **changes)


def make_checkpoint(**changes: Any) -> Checkpoint:
    """Every half hour, 10 GiB."""
    return replace(Checkpoint("s3://team/train", timedelta(minutes=30), usd(10)), **changes)


def world(jobs: Iterable[Job], offers: Iterable[Offer], **changes: Any) -> Snapshot:
    """A snapshot with the three accounts and the class `standard`."""
    base = Snapshot(tuple(jobs), (), tuple(offers), ACCOUNTS, {"standard": STANDARD})
    return replace(base, **changes)


def decide(job: Job, *offers: Offer, now: datetime = NOW, **changes: Any) -> Decision:
    """The decision about one job among these offers."""
    (found,) = plan(world([job], offers, **changes), now)
    return found
