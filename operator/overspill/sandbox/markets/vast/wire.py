"""Vast.ai's JSON of asks and instances, field by field as its OpenAPI names them.

Called by the routes only. Money is USD per hour, memory MB, storage USD per GB and month.
"""

from decimal import Decimal
from typing import Any

from overspill.sandbox.rentals import Rental, Rentals
from overspill.sandbox.supply import Host

STORAGE_USD_PER_GB_MONTH = Decimal("0.15")
HOURS_PER_MONTH = 730
_NAMES = {
    ("h100", "sxm"): "H100 SXM",
    ("h100", "pcie"): "H100 PCIE",
    ("a100", "sxm"): "A100 SXM4",
    ("a100", "pcie"): "A100 PCIE",
    ("l40s", "pcie"): "L40S",
    ("v100", "sxm"): "Tesla V100",
    ("t4", "pcie"): "Tesla T4",
    ("p100", "pcie"): "Tesla P100",
}
_CAPABILITY = {"h100": 900, "a100": 800, "l40s": 890, "t4": 750, "v100": 700, "p100": 600}


def gpu_name(model: str, interface: str) -> str:
    """The market's spelling of a model."""
    known = _NAMES.get((model, interface))
    if known:
        return known
    return f"RTX {model.removeprefix('rtx').upper()}" if model.startswith("rtx") else model.upper()


def storage_usd_per_hour(gb: float) -> Decimal:
    """What a disk costs in an hour."""
    return STORAGE_USD_PER_GB_MONTH * Decimal(str(gb)) / HOURS_PER_MONTH


def base_usd_per_hour(host: Host, gpus: int, *, bid: bool) -> Decimal:
    """What the GPUs of an ask cost; interruptible ones are to be had for half."""
    whole = host.usd_per_gpu_hour * gpus
    return (whole / 2 if bid else whole).quantize(Decimal("0.0001"))


def machine_json(host: Host, machine_id: int) -> dict[str, Any]:
    """What asks and instances alike tell of the machine."""
    return {
        "machine_id": machine_id,
        "host_id": machine_id + 1000,
        "gpu_name": gpu_name(host.gpu.model, host.gpu.interface),
        "gpu_arch": "nvidia",
        "gpu_ram": host.gpu.memory_mib,
        "geolocation": f"Somewhere, {host.country}",
        "reliability2": host.uptime,
        "verification": "verified" if host.uptime >= 0.95 else "unverified",
        "hosting_type": 1 if host.audited else 0,
        "bw_nvlink": 300.0 if host.gpu.interface == "sxm" else 0.0,
        "storage_cost": float(STORAGE_USD_PER_GB_MONTH),
        "cpu_arch": "amd64",
        "cpu_name": "Sandbox Processor",
        "cpu_cores": host.cpu_units,
        "cpu_ram": host.memory_gib * 1024,
        "static_ip": True,
        "pci_gen": 4.0,
        "rentable": host.online,
    }


def ask_json(
    host: Host, machine_id: int, *, ask: int, gpus: int, bid: bool, disk: float, seconds: float
) -> dict[str, Any]:
    """One offer of a search."""
    base = base_usd_per_hour(host, gpus, bid=bid)
    total = base + storage_usd_per_hour(disk)
    return {
        **machine_json(host, machine_id),
        "id": ask,
        "ask_contract_id": ask,
        "bundle_id": machine_id * 10 + gpus,
        "num_gpus": gpus,
        "gpu_total_ram": host.gpu.memory_mib * gpus,
        "gpu_frac": gpus / host.gpus,
        "compute_cap": _CAPABILITY.get(host.gpu.model, 860),
        "dph_base": float(base),
        "dph_total": float(round(total, 6)),
        "min_bid": float(base_usd_per_hour(host, gpus, bid=True)),
        "is_bid": bid,
        "storage_total_cost": float(round(storage_usd_per_hour(disk), 6)),
        "reliability": host.uptime,
        "duration": seconds,
        "inet_up_cost": 0.005,
        "inet_down_cost": 0.005,
        "disk_space": float(host.storage_gib),
        "cpu_cores_effective": host.cpu_units * gpus / host.gpus,
        "direct_port_count": 250,
        "cuda_max_good": 12.8,
        "rented": False,
        "external": None,
        "datacenter": host.audited,
    }


def instance_json(rentals: Rentals, rental: Rental, machine_id: int) -> dict[str, Any]:
    """One instance, as list and single read show it."""
    host, details, now = rental.host, rental.details, rentals.world.now()
    status, gpu = actual_status(rentals, rental), rental.gpu or host.gpu
    wanted = "stopped" if rental.state == "stopped" else "running"
    made = {
        **machine_json(host, machine_id),
        "gpu_name": gpu_name(gpu.model, gpu.interface),
        "gpu_ram": gpu.memory_mib,
        "gpu_totalram": gpu.memory_mib * rental.slice.gpus,
        "id": int(rental.id),
        "actual_status": status,
        "intended_status": wanted,
        "cur_state": wanted,
        "next_state": wanted,
        "label": rental.key or None,
        "template_id": None,
        "template_hash_id": None,
        "image_uuid": details["image"],
        "image_args": details["args"],
        "image_runtype": details["runtype"],
        "extra_env": [[name, value] for name, value in details["env"].items()],
        "onstart": details["onstart"],
        "status_msg": f"success, {status} {details['image']}" if status else None,
        "public_ipaddr": "",
        "start_date": rental.created_at,
        "end_date": rental.ends_at or rental.created_at + 10**7,
        "uptime_mins": None if now < rental.ready_at else (now - rental.ready_at) / 60,
        "duration": (rental.ends_at or now + 10**7) - now,
        "num_gpus": rental.slice.gpus,
        "gpu_frac": rental.slice.gpus / host.gpus,
        "disk_space": float(details["disk"]),
        "is_bid": details["is_bid"],
        "dph_base": float(rental.rates.running),
        "dph_total": float(round(rental.rates.running + rental.rates.disk, 6)),
        "storage_total_cost": float(round(rental.rates.disk, 6)),
        "external": False,
    }
    return made | (_ports(rentals, rental) if status == "running" else {})


def actual_status(rentals: Rentals, rental: Rental) -> str | None:
    """The market's word for how the container does."""
    if rentals.world.faults.take("status_null", key=rental.key, provider=rental.host.name):
        return "unknown"
    if not rental.host.online:
        return "offline"
    if rental.state == "stopped":
        return "stopped" if rental.ended_why else None
    service = rentals.service(rental)
    if service is not None and service.exit_code is not None:
        return "exited"
    is_up = service is not None and service.available > 0
    return "running" if is_up else "loading"


def _ports(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    forwards = rentals.forwards(rental)
    ports = {
        f"{f.port}/{f.protocol.lower()}": [{"HostIp": "0.0.0.0", "HostPort": str(f.external)}]  # noqa: S104 -- as Docker words it
        for f in forwards
    }
    address = forwards[0].host if forwards else "203.0.113.1"
    return {"ports": ports, "public_ipaddr": address}
