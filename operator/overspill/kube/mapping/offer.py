"""The offer inside a GPULease: read, and written once when the lease is planned."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.offer import Offer
from overspill.core.vocabulary import CapacityType, InterconnectClass, TrustTier
from overspill.kube.mapping.reading import Fields
from overspill.kube.mapping.writing import instant, money, pair, present, ratio, seconds


def read_offer(offer: Fields) -> Offer:
    """The core's Offer of `spec.offer`."""
    return Offer(
        provider=offer.required("provider"),
        offer_id=offer.text("offerID"),
        place=offer.text("place"),
        capacity_type=offer.required_word("capacityType", CapacityType),
        trust_tier=offer.required_word("trustTier", TrustTier),
        gpu_model=offer.text("gpuModel"),
        gpu_count=offer.number("gpuCount", 1),
        price_usd_per_hour=offer.money("pricePerHourUSD"),
        as_of=offer.required_time("asOfTime"),
        node_count=offer.number("nodeCount", 1),
        region=offer.text("region"),
        gpu_memory_gib=offer.decimal("gpuMemoryGiB"),
        compute_capability=offer.version_pair("computeCapability"),
        interconnect=offer.word("interconnect", InterconnectClass, InterconnectClass.NONE),
        is_divisible=offer.flag("isDivisible"),
        is_firm=offer.flag("isFirm", True),
        reliability=offer.decimal("reliability"),
        verification=offer.text("verification"),
        egress_usd_per_gib=offer.decimal("egressUSDPerGiB") or Decimal(0),
        cold_start=offer.span("coldStartSeconds", timedelta(0)),
        mtbf=offer.seconds("mtbfSeconds"),
        min_billable=offer.span("minBillableSeconds", timedelta(0)),
        available_until=offer.time("availableUntilTime"),
        unavailable_reason=offer.text("unavailableReason"),
        attributes=tuple(sorted((k, str(v)) for k, v in offer.mapping("attributes").items())),
    )


def write_offer(offer: Offer) -> dict[str, Any]:
    """`spec.offer` of the core's Offer."""
    named = {"offerID": offer.offer_id, "place": offer.place, "gpuModel": offer.gpu_model}
    return named | present(
        {
            "provider": offer.provider,
            "capacityType": offer.capacity_type.value,
            "trustTier": offer.trust_tier.value,
            "gpuCount": offer.gpu_count,
            "pricePerHourUSD": money(offer.price_usd_per_hour),
            "asOfTime": instant(offer.as_of),
            "nodeCount": offer.node_count,
            "region": offer.region,
            "gpuMemoryGiB": money(offer.gpu_memory_gib),
            "computeCapability": pair(offer.compute_capability),
            "interconnect": offer.interconnect.value,
            "isDivisible": offer.is_divisible,
            "isFirm": offer.is_firm,
            "reliability": ratio(offer.reliability),
            "verification": offer.verification,
            "egressUSDPerGiB": money(offer.egress_usd_per_gib),
            "coldStartSeconds": seconds(offer.cold_start),
            "mtbfSeconds": seconds(offer.mtbf),
            "minBillableSeconds": seconds(offer.min_billable),
            "availableUntilTime": instant(offer.available_until),
            "unavailableReason": offer.unavailable_reason,
            "attributes": dict(offer.attributes),
        }
    )
