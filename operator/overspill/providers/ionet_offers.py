"""io.net's hardware list as offers in our words, fees included. Pure; for `ionet.py`."""

from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.gpus import canonical_model, gpu_info, interconnect_of
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import InterconnectClass
from overspill.providers.ionet_wire import Hardware

HOUR = timedelta(hours=1)
MOST_GPUS = 8
"""Of one container."""


def offer_of(
    kind: Hardware, account: ProviderAccount, fees_percent: Decimal, now: datetime
) -> Offer | None:
    """The offer of one kind; None for what has no price or is not NVIDIA's."""
    is_foreign = kind.brand_name is not None and kind.brand_name.lower() not in {"nvidia", ""}
    if not kind.price or kind.price <= 0 or is_foreign:
        return None
    gpus = min(kind.max_gpus_per_container or MOST_GPUS, MOST_GPUS)
    model = canonical_model(kind.hardware_name)
    info, link = gpu_info(model), interconnect_of(kind.hardware_name)
    region = _country(kind.location)
    price = kind.price * (1 + fees_percent / 100) * gpus
    return Offer(
        provider=account.name,
        offer_id="/".join(filter(None, (str(kind.hardware_id), region))),
        place=f"{account.name}/{region or 'anywhere'}",
        capacity_type=account.capacity_type,
        trust_tier=account.trust_tier,
        gpu_model=model,
        gpu_count=gpus,
        price_usd_per_hour=price.quantize(Decimal("0.000001"), rounding="ROUND_UP"),
        as_of=now,
        region=region,
        gpu_memory_gib=info.memory_gib if info else None,
        compute_capability=info.compute_capability if info else None,
        interconnect=link if link is not InterconnectClass.NONE else InterconnectClass.PCIE,
        is_divisible=True,
        is_firm=True,
        egress_usd_per_gib=account.egress_usd_per_gib,
        cold_start=account.cold_start,
        mtbf=account.mtbf,
        min_billable=HOUR,
        unavailable_reason="" if kind.available > 0 else "there is none left now",
        attributes=(("hardware", str(kind.hardware_id)), ("name", kind.hardware_name)),
    )


def _country(location: str | None) -> str:
    """The place as an ISO country code; "" where the market names it otherwise."""
    word = (location or "").strip().upper()
    return word if len(word) == 2 and word.isalpha() else ""
