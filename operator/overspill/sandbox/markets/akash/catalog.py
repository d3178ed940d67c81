"""What the Console API tells about hosts and prices without an account.

Called by the public routes. Prices are USD per GPU-hour over the hosts that are online.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from statistics import mean, median
from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.gpus import Gpu
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.matching import (
    AUDITOR,
    carries_gpu,
    has_attributes,
    host_attributes,
    is_signed,
)
from overspill.sandbox.supply import Host, Slice

_DAY_S = 86_400
_UNTOLD: dict[str, None] = dict.fromkeys(
    (
        "email",
        "website",
        "ipLat",
        "ipLon",
        "statusPage",
        "city",
        "timezone",
        "locationType",
        "hostingProvider",
        "hardwareCpu",
        "hardwareMemory",
        "networkProvider",
    )
)
"""Fields the simulated hosts leave open."""
_ALIKE: dict[str, Any] = {
    "createdHeight": 1,
    "cosmosSdkVersion": "v0.53.4",
    "akashVersion": "v1.2.0",
    "isValidVersion": True,
    "hardwareCpuArch": "x86-64",
    "hardwareDisk": ["nvme"],
    "featPersistentStorage": False,
    "featPersistentStorageType": [],
    "networkSpeedDown": 0,
    "networkSpeedUp": 0,
    "featEndpointCustomDomain": False,
    "workloadSupportChia": False,
    "workloadSupportChiaCapabilities": [],
    "featEndpointIp": False,
}
"""Fields in which they are all alike."""


def gpu_prices(hosts: Iterable[Host]) -> dict[str, Any]:
    """`GET /v1/gpu-prices`."""
    by_gpu: dict[Gpu, list[Host]] = defaultdict(list)
    for host in hosts:
        if host.online and host.audited and host.gpus:
            by_gpu[host.gpu].append(host)
    found = [host for group in by_gpu.values() for host in group]
    return {
        "availability": _availability(found),
        "models": [_model_price(gpu, group) for gpu, group in by_gpu.items()],
    }


def gpu_capacity(hosts: Iterable[Host]) -> dict[str, Any]:
    """`GET /v1/gpu`."""
    found = [host for host in hosts if host.online and host.gpus]
    by_gpu: dict[Gpu, list[Host]] = defaultdict(list)
    for host in found:
        by_gpu[host.gpu].append(host)
    details = [
        {**_gpu_json(gpu, vendor=False), **_allocation(group)} for gpu, group in by_gpu.items()
    ]
    return {"gpus": {"total": _allocation(found), "details": {"nvidia": details}}}


def gpu_models(hosts: Iterable[Host]) -> list[dict[str, Any]]:
    """`GET /v1/gpu-models`."""
    models: dict[str, set[Gpu]] = defaultdict(set)
    for host in hosts:
        models[host.gpu.model].add(host.gpu)
    listed = [
        {
            "name": name,
            "displayName": name.upper(),
            "memory": sorted({gpu.ram for gpu in gpus}),
            "interface": sorted({gpu.interface for gpu in gpus}),
        }
        for name, gpus in sorted(models.items())
    ]
    return [{"name": "nvidia", "displayName": "NVIDIA", "models": listed}]


def provider_json(host: Host, base_url: str, now: float) -> dict[str, Any]:
    """One item of `GET /v1/providers`."""
    return {
        **_UNTOLD,
        **_ALIKE,
        "owner": address(host.name),
        "name": host.name,
        "hostUri": host_uri(host, base_url),
        "lastCheckDate": iso(now),
        "deploymentCount": len(host.rented),
        "leaseCount": len(host.rented),
        "ipRegion": host.region,
        "ipRegionCode": host.region,
        "ipCountry": host.country,
        "ipCountryCode": host.country,
        "uptime1d": host.uptime,
        "uptime7d": host.uptime,
        "uptime30d": host.uptime,
        "isOnline": host.online,
        "lastOnlineDate": iso(now) if host.online else None,
        "isAudited": host.audited,
        "gpuModels": [_gpu_json(host.gpu)] if host.gpus else [],
        "attributes": _attributes(host),
        "host": "akash",
        "organization": host.name,
        "locationRegion": host.region,
        "country": host.country,
        "hardwareGpuVendor": "nvidia",
        "hardwareGpuModels": [host.gpu.model],
        "tier": "community",
    }


def provider_detail(host: Host, base_url: str, now: float) -> dict[str, Any]:
    """`GET /v1/providers/{address}`: the item with capacity and the record of checks."""
    free = host.free
    total = Slice(
        host.gpus, host.cpu_units * 1000, host.memory_gib * 2**30, host.storage_gib * 2**30
    )
    checks = [{"id": "1", "isOnline": host.online, "checkDate": iso(now)}]
    return {
        **provider_json(host, base_url, now),
        "stats": {
            "cpu": _use(total.milli_cpu, free.milli_cpu),
            "gpu": _use(total.gpus, free.gpus),
            "memory": _use(total.memory_bytes, free.memory_bytes),
            "storage": {
                "ephemeral": _use(total.storage_bytes, free.storage_bytes),
                "persistent": _use(0, 0),
            },
        },
        "uptime": checks,
    }


def screen(
    hosts: Iterable[Host], body: Mapping[str, Any], base_url: str, now: float
) -> dict[str, Any]:
    """`POST /v1/bid-screening`: the hosts that could bid, with seven days of incidents."""
    requirements = body.get("requirements") or {}
    signed = requirements.get("signedBy") or {}
    wanted = {pair["key"]: pair["value"] for pair in requirements.get("attributes") or []}
    matching = [
        host
        for host in hosts
        if host.online
        and is_signed(host, signed.get("anyOf") or (), signed.get("allOf") or ())
        and has_attributes(host, wanted)
        and (host.reclamation_window_s or 0) >= (body.get("reclamationWindow") or 0)
        and _fits(host, body["resources"])
    ]
    return {"providers": [_screened(host, base_url, now) for host in matching]}


def host_uri(host: Host, base_url: str) -> str:
    """Where the host's gateway listens."""
    return f"{base_url}/provider/{address(host.name)}"


def _model_price(gpu: Gpu, hosts: list[Host]) -> dict[str, Any]:
    prices = [host.usd_per_gpu_hour for host in hosts]
    weight = sum(host.gpus for host in hosts)
    weighted = sum((h.usd_per_gpu_hour * h.gpus for h in hosts), Decimal(0)) / weight
    free = [host for host in hosts if host.free.gpus > 0]
    return {
        **_gpu_json(gpu),
        "availability": _availability(hosts),
        "providerAvailability": {"total": len(hosts), "available": len(free)},
        "price": {
            "currency": "USD",
            "min": float(min(prices)),
            "max": float(max(prices)),
            "avg": round(float(mean(prices)), 2),
            "weightedAverage": round(float(weighted), 2),
            "med": float(median(prices)),
        },
    }


def _availability(hosts: list[Host]) -> dict[str, int]:
    return {
        "total": sum(host.gpus for host in hosts),
        "available": sum(host.free.gpus for host in hosts),
    }


def _allocation(hosts: list[Host]) -> dict[str, int]:
    total = sum(host.gpus for host in hosts)
    return {"allocatable": total, "allocated": total - sum(host.free.gpus for host in hosts)}


def _gpu_json(gpu: Gpu, *, vendor: bool = True) -> dict[str, str]:
    made = {"vendor": "nvidia"} if vendor else {}
    return {**made, "model": gpu.model, "ram": gpu.ram, "interface": gpu.interface}


def _attributes(host: Host) -> list[dict[str, Any]]:
    auditors = [AUDITOR] if host.audited else []
    return [
        {"key": key, "value": value, "auditedBy": auditors}
        for key, value in host_attributes(host).items()
    ]


def _use(total: int, free: int) -> dict[str, int]:
    return {"active": total - free, "available": free, "pending": 0}


def _fits(host: Host, resources: Iterable[Mapping[str, Any]]) -> bool:
    wanted = Slice()
    for item in resources:
        unit, count = item["resource"], int(item["count"])
        wanted = Slice(
            wanted.gpus + int(unit["gpu"]["units"]["val"]) * count,
            wanted.milli_cpu + int(unit["cpu"]["units"]["val"]) * count,
            wanted.memory_bytes + int(unit["memory"]["quantity"]["val"]) * count,
            wanted.storage_bytes + sum(int(v["quantity"]["val"]) for v in unit["storage"]) * count,
        )
        keys = [pair["key"] for pair in unit["gpu"].get("attributes") or []]
        if keys and not any(carries_gpu(host.gpu, key) for key in keys):
            return False
    return wanted.fits(host.free)


def _screened(host: Host, base_url: str, now: float) -> dict[str, Any]:
    downtime = round((1 - host.uptime) * _DAY_S)
    days = [iso(now - day * _DAY_S)[:10] for day in range(7)]
    return {
        "owner": address(host.name),
        "hostUri": host_uri(host, base_url),
        "isAudited": host.audited,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "location": host.region,
        "organization": host.name,
        "incidents": [
            {
                "date": day,
                "hasOpenIncident": not host.online,
                "incidentCount": 1 if downtime else 0,
                "downtimeSeconds": downtime,
            }
            for day in days
        ],
    }
