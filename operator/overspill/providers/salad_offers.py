"""SaladCloud's GPU classes as offers in our words: one instance of a class, taken whole. Pure.

A class has a price for each priority, in USD for one instance with all its GPUs; CPU, memory and
disk are in it. It has no places: an offer is in the one country that the account allows, or
nowhere in particular.
"""

import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from overspill.core.gpus import canonical_model, gpu_info, interconnect_of
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import InterconnectClass, TrustTier
from overspill.providers.salad_config import Config
from overspill.providers.salad_wire import GpuClass

SECURE = "secure"
_LIMITS = ("min_vcpu", "max_vcpu", "min_ram", "max_ram", "max_storage")


def offer_of(
    gpu: GpuClass, account: ProviderAccount, config: Config, now: datetime, free: int | None
) -> Offer | None:
    """One class as an offer; None when it is not sold as the settings want it."""
    price = gpu.usd_per_hour(config.priority)
    is_secure = gpu.gpu_class_type == SECURE
    if price is None or (config.secure_only and not is_secure):
        return None
    model, memory = model_of(gpu), _named_memory(gpu.name)
    info, told = gpu_info(model), interconnect_of(gpu.name)
    return Offer(
        provider=account.name,
        offer_id=gpu.id,
        place=f"{account.name}/{gpu.gpu_class_type}",
        capacity_type=account.capacity_type,
        trust_tier=TrustTier.SECURE if is_secure else TrustTier.COMMUNITY,
        gpu_model=model,
        gpu_count=gpu.gpu_count,
        price_usd_per_hour=price,
        as_of=now,
        region=region_of(account),
        gpu_memory_gib=info.memory_gib if info else memory,
        compute_capability=info.compute_capability if info else None,
        interconnect=told if told is not InterconnectClass.NONE else InterconnectClass.PCIE,
        verification=gpu.gpu_class_type,
        egress_usd_per_gib=account.egress_usd_per_gib,
        cold_start=account.cold_start,
        mtbf=account.mtbf,
        unavailable_reason="no machine of it is free now" if free == 0 else "",
        attributes=(("class", gpu.id), ("priority", config.priority), *_limits(gpu)),
        least_gpus=gpu.gpu_count,
    )


def model_of(gpu: GpuClass) -> str:
    """Our name of a class: "RTX 4090 (24 GB)"."""
    return canonical_model(gpu.name, _named_memory(gpu.name))


def countries_of(account: ProviderAccount) -> tuple[str, ...]:
    """The two-letter regions of the account, as this market writes them."""
    return tuple(r.lower() for r in account.regions if len(r) == 2 and r.isalpha())


def region_of(account: ProviderAccount) -> str:
    """The one country that is allowed; with several or none, the market does not say where."""
    countries = countries_of(account) if account.regions else ()
    return countries[0].upper() if len(countries) == 1 else ""


def _limits(gpu: GpuClass) -> list[tuple[str, str]]:
    told = [(name, getattr(gpu, name)) for name in _LIMITS]
    return [(name, str(value)) for name, value in told if value]


@lru_cache(maxsize=4096)
def _named_memory(name: str) -> Decimal | None:
    found = re.search(r"(\d+) ?GB", name, re.IGNORECASE)
    return Decimal(found.group(1)) if found else None
