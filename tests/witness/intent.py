"""One intent, as the operator asks an adapter for it; the makers' clients are given the same."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from overspill.core.lease import JobRef, Lease
from overspill.core.offer import Offer
from overspill.core.vocabulary import CapacityType, TrustTier
from overspill.core.workload import LeaseRequest, PortableWorkload
from overspill.ports import OpenRequest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLUSTER = "c1u5ter8"


def offered(provider: str, offer_id: str, *attributes: tuple[str, str]) -> Offer:
    """One H100 at 2 USD per hour, with what the market's offers carry."""
    return Offer(
        provider=provider,
        offer_id=offer_id,
        place=f"{provider}/{offer_id}",
        capacity_type=CapacityType.ON_DEMAND,
        trust_tier=TrustTier.SECURE,
        gpu_model="h100",
        gpu_count=1,
        price_usd_per_hour=Decimal(2),
        as_of=NOW,
        attributes=attributes,
    )


def intent(
    key: str, offer: Offer, workload: PortableWorkload, deadline: datetime = NOW
) -> OpenRequest:
    """One GPU of `offer` under `key`, for at most 3 USD per hour and 20 in all."""
    lease = Lease(
        name=key,
        namespace="team",
        uid="u",
        resource_version="1",
        job=JobRef("team", "train", "0"),
        attempt=1,
        provider=offer.provider,
        cluster_id=CLUSTER,
        offer=offer,
        request=LeaseRequest(1, workload=workload),
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(20),
        hard_deadline=deadline,
        created_at=NOW,
    )
    asked = OpenRequest(
        key=key,
        cluster_id=CLUSTER,
        offer=offer,
        gpu_count=1,
        num_nodes=1,
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(20),
        hard_deadline=deadline,
        attempt=1,
        lease=lease,
    )
    return replace(asked, workload=workload)
