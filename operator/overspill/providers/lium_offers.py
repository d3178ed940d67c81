"""Lium's nodes as offers in our words. Pure; called by `lium.py`.

A node is rented whole, or, where its owner allows it, by the GPU. `tier` tells how likely the owner
takes it back: `spot` nodes are Spot, whatever the account says.
"""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from overspill.core.gpus import canonical_model, gpu_info, interconnect_of
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, InterconnectClass, TrustTier
from overspill.providers.lium_config import Config
from overspill.providers.lium_wire import Node

SECURE, SPOT = "secure", "spot"


def offer_of(node: Node, account: ProviderAccount, config: Config, now: datetime) -> Offer | None:
    """One node as an offer; None when it has no price, no GPU, or is not wanted."""
    total, price = node.gpu_count or node.specs.gpu.count, node.price_per_gpu
    if not total or not price or not _is_wanted(node, account, config):
        return None
    free = total if node.available_gpu_count is None else node.available_gpu_count
    is_whole = node.min_gpu_count_for_rental is None
    least = node.min_gpu_count_for_rental or total
    count = total if is_whole or free < 1 else free
    model, memory = model_of(node)
    info = gpu_info(model)
    return Offer(
        provider=account.name,
        offer_id=node.id,
        place=f"{account.name}/{node.id}",
        capacity_type=CapacityType.SPOT if node.tier == SPOT else account.capacity_type,
        trust_tier=TrustTier.SECURE if node.tier == SECURE else TrustTier.COMMUNITY,
        gpu_model=model,
        gpu_count=count,
        price_usd_per_hour=price * count,
        as_of=now,
        region=country_of(node),
        is_divisible=not is_whole and count > 1,
        gpu_memory_gib=info.memory_gib if info else memory,
        compute_capability=info.compute_capability if info else None,
        interconnect=_interconnect(node),
        reliability=None if node.reliability_score is None else node.reliability_score / 100,
        verification=node.tier or "",
        egress_usd_per_gib=account.egress_usd_per_gib,
        cold_start=account.cold_start,
        mtbf=account.mtbf,
        unavailable_reason=_unavailable(free, total, is_whole=is_whole),
        attributes=(
            ("node", node.id),
            ("leastGpus", str(least)),
            ("isWhole", "yes" if is_whole else ""),
        ),
        least_gpus=least,
    )


def model_of(node: Node) -> tuple[str, Decimal | None]:
    """Our name of its GPUs, and the GiB of one."""
    seen = node.specs.gpu.first
    name = node.machine_name or (seen.name if seen else "")
    return _model(name, seen.capacity if seen else None)


@lru_cache(maxsize=4096)
def _model(name: str, capacity_mib: Decimal | None) -> tuple[str, Decimal | None]:
    """A list has many nodes and few models."""
    memory = capacity_mib / 1024 if capacity_mib else None
    return canonical_model(name, memory), memory


def country_of(node: Node) -> str:
    """ISO 3166, or nothing."""
    return str(node.location.get("country_code") or "").upper()


def _is_wanted(node: Node, account: ProviderAccount, config: Config) -> bool:
    countries = config.countries or tuple(r for r in account.regions if len(r) == 2)
    if countries and country_of(node) not in {c.upper() for c in countries}:
        return False
    if config.reliable_only and node.frequent_rent_failures:
        return False
    score = node.reliability_score
    return not config.min_reliability or (
        score is not None and score / 100 >= Decimal(str(config.min_reliability))
    )


def _interconnect(node: Node) -> InterconnectClass:
    if node.nvlink is not None:
        return InterconnectClass.NVLINK if node.nvlink else InterconnectClass.PCIE
    told = _told(node.machine_name)
    return told if told is not InterconnectClass.NONE else InterconnectClass.PCIE


_told = lru_cache(maxsize=4096)(interconnect_of)


def _unavailable(free: int, total: int, *, is_whole: bool) -> str:
    if free < 1:
        return "all of it is rented out"
    return "a part of it is rented out, and it goes whole" if is_whole and free < total else ""
