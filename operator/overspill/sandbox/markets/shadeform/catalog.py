"""Shadeform's instance types over the sandbox's hosts: each host is a cloud with one region."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

SIZES = (1, 2, 4, 8)
OS_OPTIONS = ["ubuntu22.04_cuda12.2_shade_os", "ubuntu20.04_cuda12.0_shade_os"]
_FORM = {"sxm": "sxm5", "pcie": "pcie"}
_WITH_MEMORY = {"a100": "80Gi", "v100": "32Gi"}
"""Models whose bigger form has its memory in the name."""


class Catalog:
    """Types as one reading of the hosts gives them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def types(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every type that fits the filters."""
        found = [
            self._type(host, size)
            for host in self._world.supply.hosts.values()
            for size in SIZES
            if size <= host.gpus
        ]
        fitting = [kind for kind in found if _fits(kind, query)]
        if query.get("sort") == "price":
            fitting.sort(key=lambda kind: int(kind["hourly_price"]))
        return fitting

    def find(self, cloud: str, region: str, name: str) -> tuple[Host, int] | None:
        """The host and the number of GPUs that a create means."""
        for host in self._world.supply.hosts.values():
            for size in SIZES:
                if (host.name, region_of(host), type_name(host.gpu, size)) == (cloud, region, name):
                    return host, size
        return None

    def _type(self, host: Host, size: int) -> dict[str, Any]:
        seconds = int(host.boot_s)
        return {
            "cloud": host.name,
            "shade_instance_type": type_name(host.gpu, size),
            "cloud_instance_type": f"gpu_{size}x_{host.gpu.model}",
            "configuration": {**configuration(host, host.gpu, size), "os_options": OS_OPTIONS},
            "hourly_price": cents(host, size),
            "deployment_type": "vm",
            "availability": [
                {
                    "region": region_of(host),
                    "available": host.online and host.free.gpus >= size,
                    "display_name": f"{host.country}, {host.region}",
                }
            ],
            "boot_time": {"min_boot_in_sec": seconds, "max_boot_in_sec": seconds + 1},
        }


def region_of(host: Host) -> str:
    """A region's code."""
    return f"{host.region}-1"


def gpu_type(gpu: Gpu) -> str:
    """`A100_80G`, `H100`, `RTX4090`."""
    name = gpu.model.upper()
    return f"{name}_{gpu.ram[:-2]}G" if _WITH_MEMORY.get(gpu.model) == gpu.ram else name


def type_name(gpu: Gpu, size: int) -> str:
    """`H100_sxm5x8`; one GPU has no number."""
    form = f"_{_FORM[gpu.interface]}" if gpu.interface == "sxm" else ""
    return f"{gpu_type(gpu)}{form}" + (f"x{size}" if size > 1 else "")


def cents(host: Host, size: int) -> int:
    """Whole cents an hour for the whole instance."""
    price = host.usd_per_gpu_hour * size * 100
    return int(price.to_integral_value(ROUND_CEILING))


def usd_per_hour(host: Host, size: int) -> Decimal:
    """The same in dollars."""
    return Decimal(cents(host, size)) / 100


def configuration(host: Host, gpu: Gpu, size: int) -> dict[str, Any]:
    """The hardware, as types and instances both tell it."""
    return {
        "memory_in_gb": host.memory_gib * size // host.gpus,
        "storage_in_gb": host.storage_gib * size // host.gpus,
        "vcpus": host.cpu_units * size // host.gpus,
        "num_gpus": size,
        "gpu_type": gpu_type(gpu),
        "interconnect": _FORM[gpu.interface],
        "nvlink": gpu.interface == "sxm",
        "vram_per_gpu_in_gb": int(gpu.ram.removesuffix("Gi")),
        "gpu_manufacturer": "nvidia",
    }


def _fits(kind: dict[str, Any], query: Mapping[str, str]) -> bool:
    places, hardware = kind["availability"], kind["configuration"]
    told = {
        "cloud": kind["cloud"],
        "region": places[0]["region"],
        "num_gpus": str(hardware["num_gpus"]),
        "gpu_type": hardware["gpu_type"],
        "shade_instance_type": kind["shade_instance_type"],
        "available": str(places[0]["available"]).lower(),
    }
    return all(query[name] == value for name, value in told.items() if name in query)
