"""Vast.ai's search as offers in our words: one per ask, which is taken whole or not at all.

Pure; called by `vast.py`. `dph_total` holds the storage of the search's disk; where it does not,
the storage is added, so that no price is quoted too low. Storage is billed per GB and month.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from overspill.core.gpus import canonical_model, gpu_info, interconnect_of
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, InterconnectClass, TrustTier
from overspill.providers.vast_config import Config
from overspill.providers.vast_wire import Ask

HOURS_PER_MONTH = Decimal(730)
_GB_PER_GIB = Decimal(2**30) / 10**9
_DATACENTER = 1


def query(config: Config, account: ProviderAccount, wanted: Requirements | None) -> dict[str, Any]:
    """The search's body."""
    spot = account.capacity_type is CapacityType.SPOT
    body: dict[str, Any] = {
        "type": "bid" if spot else "ondemand",
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "gpu_arch": {"eq": "nvidia"},
        "reliability": {"gte": float(config.min_reliability)},
        "order": [["dph_total", "asc"]],
        "limit": config.offer_limit,
        "allocated_storage": float(disk_gb(Decimal(config.disk_gib))),
    }
    if config.verified_only:
        body["verified"] = {"eq": True}
    if config.datacenter_only:
        body["datacenter"] = {"eq": True}
    countries = config.countries or tuple(r for r in account.regions if len(r) == 2)
    if countries:
        body["geolocation"] = {"in": list(countries)}
    if wanted is not None:
        body["num_gpus"] = {"eq": wanted.gpu.count}
    return body


def offer_of(ask: Ask, account: ProviderAccount, config: Config, now: datetime) -> Offer:
    """One ask as an offer."""
    hardware = _hardware(ask.gpu_name, ask.gpu_ram)
    spot = account.capacity_type is CapacityType.SPOT
    bid = bid_usd(ask, config) if spot else None
    return Offer(
        provider=account.name,
        offer_id=str(ask.id),
        place=f"{account.name}/{ask.machine_id}",
        capacity_type=account.capacity_type,
        trust_tier=TrustTier.SECURE if ask.hosting_type == _DATACENTER else TrustTier.COMMUNITY,
        gpu_model=hardware.model,
        gpu_count=ask.num_gpus,
        price_usd_per_hour=_price(ask, config, bid),
        as_of=now,
        region=region_of(ask.geolocation),
        gpu_memory_gib=hardware.memory_gib,
        compute_capability=_capability(ask) or hardware.compute_capability,
        interconnect=InterconnectClass.NVLINK if ask.bw_nvlink else hardware.interconnect,
        reliability=ask.reliability2,
        verification=ask.verification or "",
        egress_usd_per_gib=(ask.inet_up_cost or Decimal(0)) * _GB_PER_GIB,
        cold_start=account.cold_start,
        mtbf=account.mtbf,
        available_until=_until(ask, now),
        unavailable_reason="" if ask.rentable else "the host does not rent it out now",
        attributes=tuple(_attributes(ask, bid).items()),
        least_gpus=ask.num_gpus,
    )


@lru_cache(maxsize=256)
def disk_gb(gib: Decimal) -> int:
    """Whole GB, as the market counts, that hold so many GiB."""
    return int((gib * _GB_PER_GIB).to_integral_value(rounding="ROUND_CEILING"))


def storage_usd_per_hour(usd_per_gb_month: Decimal, gb: int) -> Decimal:
    """What a disk costs in an hour."""
    return usd_per_gb_month * gb / HOURS_PER_MONTH


def region_of(geolocation: str | None) -> str:
    """The country of "California, US"; countries that are written out stay so."""
    return (geolocation or "").rsplit(",", 1)[-1].strip()


def bid_usd(ask: Ask, config: Config) -> Decimal:
    """What we would bid for the machine's GPUs: a little more than would win now."""
    lowest = ask.min_bid if ask.min_bid is not None else ask.dph_base
    return (lowest * (1 + config.bid_margin)).quantize(Decimal("0.0001"), rounding="ROUND_UP")


def _price(ask: Ask, config: Config, bid: Decimal | None) -> Decimal:
    gb = disk_gb(Decimal(config.disk_gib))
    storage = storage_usd_per_hour(ask.storage_cost, gb)
    if bid is not None:
        return bid + storage
    return max(ask.dph_total, ask.dph_base + storage)


def _attributes(ask: Ask, bid: Decimal | None) -> Mapping[str, str]:
    facts = {
        "gpu_name": ask.gpu_name,
        "machine": str(ask.machine_id),
        "storage_cost": str(ask.storage_cost),
        "dph_base": str(ask.dph_base if bid is None else bid),
    }
    return facts | ({"bid": str(bid)} if bid is not None else {})


def _capability(ask: Ask) -> tuple[int, int] | None:
    return None if not ask.compute_cap else (ask.compute_cap // 100, ask.compute_cap % 100 // 10)


@dataclass(frozen=True, slots=True)
class _Hardware:
    model: str
    memory_gib: Decimal
    compute_capability: tuple[int, int] | None
    interconnect: InterconnectClass


@lru_cache(maxsize=4096)
def _hardware(name: str, ram_mb: Decimal) -> _Hardware:
    """What a name and its memory mean; a search has thousands of asks and few models."""
    memory = (ram_mb / 1024).quantize(Decimal("0.1"))
    model = canonical_model(name, memory)
    info, told = gpu_info(model), interconnect_of(name)
    return _Hardware(
        model,
        info.memory_gib if info else memory,
        info.compute_capability if info else None,
        told if told is not InterconnectClass.NONE else InterconnectClass.PCIE,
    )


def _until(ask: Ask, now: datetime) -> datetime | None:
    if ask.duration is None:
        return None
    return now + timedelta(seconds=float(min(ask.duration, Decimal(10**9))))
