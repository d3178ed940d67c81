"""Shadeform's catalogue as offers in our words: one per type, cloud and region. Pure.

An instance is taken whole. Prices are cents per hour for all of it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypedDict

from overspill.core.gpus import canonical_model, gpu_info, interconnect_of
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import InterconnectClass
from overspill.providers.shadeform_config import Config
from overspill.providers.shadeform_wire import Availability, Configuration, InstanceType

CENTS = Decimal(100)
VIRTUAL_MACHINE = "vm"
"""The one kind of deployment on which the market is known to start a container for us."""


def offers_of(
    kind: InstanceType, account: ProviderAccount, config: Config, now: datetime
) -> Iterable[Offer]:
    """The offers of one type; none for what no container can be started on."""
    hardware = kind.configuration
    is_ours = kind.deployment_type == VIRTUAL_MACHINE and hardware.num_gpus > 0
    if not is_ours or kind.hourly_price <= 0 or hardware.gpu_manufacturer.lower() != "nvidia":
        return
    if config.clouds and kind.cloud not in config.clouds:
        return
    for place in kind.availability:
        if not _is_wanted(place, account.regions):
            continue
        yield Offer(
            provider=account.name,
            offer_id=f"{kind.cloud}/{place.region}/{kind.shade_instance_type}",
            place=f"{account.name}/{kind.cloud}/{place.region}",
            capacity_type=account.capacity_type,
            trust_tier=account.trust_tier,
            gpu_count=hardware.num_gpus,
            price_usd_per_hour=kind.hourly_price / CENTS,
            as_of=now,
            region=country_of(place) or place.region,
            egress_usd_per_gib=account.egress_usd_per_gib,
            cold_start=_cold_start(kind, account),
            mtbf=account.mtbf,
            unavailable_reason="" if place.available else "there is none left now",
            attributes=(
                ("cloud", kind.cloud),
                ("region", place.region),
                ("type", kind.shade_instance_type),
                ("memoryGb", str(hardware.memory_in_gb)),
                ("storageGb", str(hardware.storage_in_gb)),
                ("vcpus", str(hardware.vcpus)),
            ),
            least_gpus=hardware.num_gpus,
            **_hardware(hardware),
        )


def model_of(hardware: Configuration) -> str:
    """Our name of what an instance has: "A100_80G" is an a100-80gb."""
    return canonical_model(hardware.gpu_type, hardware.vram_per_gpu_in_gb)


def country_of(place: Availability) -> str:
    """`US` of "US, Wichita, KS"; "" where the words begin otherwise."""
    first = place.display_name.split(",")[0].strip()
    return first if len(first) == 2 and first.isupper() else ""


def _is_wanted(place: Availability, regions: tuple[str, ...]) -> bool:
    return not regions or place.region in regions or country_of(place) in regions


def _cold_start(kind: InstanceType, account: ProviderAccount) -> timedelta:
    longest = kind.boot_time.max_boot_in_sec if kind.boot_time else None
    return timedelta(seconds=longest) if longest else account.cold_start


class _Hardware(TypedDict):
    gpu_model: str
    gpu_memory_gib: Decimal
    compute_capability: tuple[int, int] | None
    interconnect: InterconnectClass


def _hardware(told: Configuration) -> _Hardware:
    model = model_of(told)
    info = gpu_info(model)
    fabric = interconnect_of(f"{told.gpu_type} {told.interconnect}")
    if told.nvlink:
        fabric = InterconnectClass.NVLINK
    return {
        "gpu_model": model,
        "gpu_memory_gib": info.memory_gib if info else told.vram_per_gpu_in_gb,
        "compute_capability": info.compute_capability if info else None,
        "interconnect": fabric if fabric is not InterconnectClass.NONE else InterconnectClass.PCIE,
    }
