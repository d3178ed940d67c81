"""RunPod's catalogue as offers in our words: one per GPU type, cloud and country. Pure.

Prices are list prices per GPU; a pod pays for its disk too, so the disk of the settings is added
for each GPU: never quoted too low. Availability is a word, not a number.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TypedDict

from overspill.core.gpus import canonical_model, gpu_info, interconnect_of
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, InterconnectClass, TrustTier
from overspill.providers.runpod_config import Config
from overspill.providers.runpod_wire import DataCenter, GpuType

HOURS_PER_MONTH = Decimal(730)
_GB_PER_GIB = Decimal(2**30) / 10**9
_CONTINENTS = frozenset({"EU", "EUR", "AP", "AS", "OC", "SEA", "ME", "AF", "SA", "NA"})
_TIERS = {"SECURE": TrustTier.SECURE, "COMMUNITY": TrustTier.COMMUNITY}


def offers_of(
    gpu: GpuType, cloud: str, account: ProviderAccount, config: Config, now: datetime
) -> Iterable[Offer]:
    """The offers of one GPU type in one cloud; none when that cloud does not have it."""
    is_sold = gpu.secure if cloud == "SECURE" else gpu.community
    price = gpu.price.secure if cloud == "SECURE" else gpu.price.community
    most = gpu.max_count.secure if cloud == "SECURE" else gpu.max_count.community
    if not is_sold or price <= 0 or most < 1 or gpu.manufacturer != "NVIDIA":
        return
    per_gpu = price + disk_usd_per_hour(config, disk_gb(Decimal(config.disk_gib)))
    for country, centers in sorted(_by_country(gpu.data_centers).items()):
        ids = [c.id for c in centers if c.availability != "NONE"]
        stock = gpu.availability if not centers else "SOME" if ids else "NONE"
        yield Offer(
            provider=account.name,
            offer_id="/".join(filter(None, (cloud, gpu.id, country))),
            place=f"{account.name}/{country or cloud.lower()}",
            capacity_type=CapacityType.ON_DEMAND,
            trust_tier=_TIERS[cloud],
            gpu_count=int(most),
            price_usd_per_hour=per_gpu * int(most),
            as_of=now,
            region=country,
            is_divisible=True,
            verification=cloud.lower(),
            egress_usd_per_gib=account.egress_usd_per_gib,
            cold_start=account.cold_start,
            mtbf=account.mtbf,
            unavailable_reason="there is none left now" if stock in {None, "NONE"} else "",
            attributes=(
                ("gpu", gpu.id),
                ("cloud", cloud),
                ("dataCenters", " ".join(ids)),
                ("gpuUsdPerHour", str(price)),
            ),
            **_hardware(gpu),
        )


@lru_cache(maxsize=256)
def disk_gb(gib: Decimal) -> int:
    """Whole GB, as the market counts, that hold so many GiB."""
    return int((gib * _GB_PER_GIB).to_integral_value(rounding="ROUND_CEILING"))


def disk_usd_per_hour(config: Config, gb: int) -> Decimal:
    """What a container disk costs in an hour."""
    return config.disk_usd_per_gb_month * gb / HOURS_PER_MONTH


@lru_cache(maxsize=4096)
def country_of(data_center: str) -> str:
    """`US` of "US-KS-2", `RO` of "EU-RO-1"."""
    parts = data_center.split("-")
    where = parts[1] if len(parts) > 2 and parts[0] in _CONTINENTS else parts[0]
    return where if len(where) == 2 else ""


def _by_country(centers: list[DataCenter]) -> dict[str, list[DataCenter]]:
    """Where a type is to be had; one nameless place where the market does not say."""
    found: dict[str, list[DataCenter]] = {}
    for center in centers:
        found.setdefault(country_of(center.id), []).append(center)
    return found or {"": []}


def model_of(gpu: str, memory_gb: Decimal | None = None) -> str:
    """Our name of a type's id, which is the driver's name of it."""
    return canonical_model(gpu, memory_gb)


class _Hardware(TypedDict):
    gpu_model: str
    gpu_memory_gib: Decimal
    compute_capability: tuple[int, int] | None
    interconnect: InterconnectClass


def _hardware(gpu: GpuType) -> _Hardware:
    model = model_of(gpu.id, gpu.memory)
    info = gpu_info(model)
    told = interconnect_of(gpu.id)
    return {
        "gpu_model": model,
        "gpu_memory_gib": info.memory_gib if info else gpu.memory,
        "compute_capability": info.compute_capability if info else None,
        "interconnect": told if told is not InterconnectClass.NONE else InterconnectClass.PCIE,
    }
