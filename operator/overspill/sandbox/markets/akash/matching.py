"""Which hosts may bid on an order: audit, attributes, GPU model, free capacity.

Pure questions over a host and a group, asked by the chain when a bid is due and by bid screening.
"""

import re
from collections.abc import Iterable, Mapping

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.manifest import gpu_attributes
from overspill.sandbox.markets.akash.sdl import Group
from overspill.sandbox.supply import Host

AUDITOR = address("overspill-sandbox-auditor")
"""The platform's auditor; the console adds it to every placement."""


def host_attributes(host: Host) -> dict[str, str]:
    """What the host says about itself on the chain."""
    return {
        "region": host.region,
        "host": "akash",
        "tier": "community",
        "organization": host.name,
        "location-region": host.region,
        "country": host.country,
        "capabilities/gpu": "nvidia",
        f"capabilities/gpu/vendor/nvidia/model/{host.gpu.model}": "true",
        f"capabilities/gpu/vendor/nvidia/model/{host.gpu.model}/ram/{host.gpu.ram}": "true",
    }


def may_bid(host: Host, group: Group, reclamation_s: int | None) -> bool:
    """True when the host is able and allowed to serve the group now."""
    if not host.online or not group.slice.fits(host.free):
        return False
    if reclamation_s is not None and (host.reclamation_window_s or 0) < reclamation_s:
        return False
    return (
        is_signed(host, group.any_of, group.all_of)
        and has_attributes(host, group.attributes)
        and all(_unit_fits(host, unit.compute["resources"].get("gpu")) for unit in group.units)
    )


def is_signed(host: Host, any_of: Iterable[str], all_of: Iterable[str]) -> bool:
    """The console appends its auditor to `any_of`, so hosts nobody audited never match."""
    auditors = {AUDITOR} if host.audited else set()
    return bool(auditors & {AUDITOR, *any_of}) and set(all_of) <= auditors


def has_attributes(host: Host, wanted: Mapping[str, str]) -> bool:
    """Every wanted attribute, literally; values may be patterns with `*`."""
    own = host_attributes(host)
    return all(_like(own.get(key, ""), value) for key, value in wanted.items())


def carries_gpu(gpu: Gpu, key: str) -> bool:
    """True when a chain key like `vendor/nvidia/model/h100/ram/80Gi` describes this GPU."""
    parts = key.split("/")
    named = dict(zip(parts[::2], parts[1::2], strict=False))
    return (
        named.get("vendor") == "nvidia"
        and named.get("model", "*") in {"*", gpu.model}
        and named.get("ram", gpu.ram) == gpu.ram
        and named.get("interface", gpu.interface).lower() == gpu.interface
    )


def _unit_fits(host: Host, gpu: Mapping[str, object] | None) -> bool:
    wanted = [pair["key"] for pair in gpu_attributes(gpu)]
    return not wanted or any(carries_gpu(host.gpu, key) for key in wanted)


def _like(own: str, wanted: str) -> bool:
    return re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), own) is not None
