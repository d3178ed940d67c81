"""Lium's JSON of nodes, templates and pods, as its own client reads them. Called by the routes."""

import uuid
from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.rentals import Rental, Rentals
from overspill.sandbox.supply import Host

_NAMESPACE = uuid.UUID("00000000-0000-0000-0000-0000000011b3")
_KIB_PER_GIB = 2**20


def node_id(host: Host) -> str:
    """The id of a node."""
    return str(uuid.uuid5(_NAMESPACE, host.name))


def node_json(host: Host) -> dict[str, Any]:
    """One node; hosts that are not audited go whole."""
    gpu = host.gpu
    return {
        "id": node_id(host),
        "machine_name": gpu.product_name,
        "executor_ip_address": _address(host),
        "price_per_gpu": float(host.usd_per_gpu_hour),
        "gpu_count": host.gpus,
        "available_gpu_count": host.free.gpus if host.online else 0,
        "min_gpu_count_for_rental": 1 if host.audited else None,
        "location": {"country_code": host.country, "region": host.region},
        "tier": "secure" if host.audited else "spot",
        "reliability_score": round(host.uptime * 100, 2),
        "frequent_rent_failures": host.uptime < 0.95,
        "nvlink": gpu.interface == "sxm",
        "status": "ACTIVE",
        "specs": _specs(host),
    }


def template_json(id_: str, body: dict[str, Any]) -> dict[str, Any]:
    """One template of the account."""
    return {"id": id_, "status": "CREATED", "user_id": "user-1", **body}


def pod_json(rentals: Rentals, rental: Rental, template: dict[str, Any]) -> dict[str, Any]:
    """One pod."""
    details, status = rental.details, status_of(rentals, rental)
    gpu = rental.gpu or rental.host.gpu
    is_running, removal = status == "RUNNING", details["removal_at"]
    return {
        "id": rental.id,
        "pod_name": rental.key,
        "status": status,
        "phase": None if is_running else "starting container",
        "price": float(rental.rates.running),
        "gpu_count": str(rental.slice.gpus),
        "gpu_name": gpu.product_name,
        "executor_id": node_id(rental.host),
        "executor": {**node_json(rental.host), "price_per_gpu": None},
        "template": {"id": details["template_id"], "name": template.get("name", "")},
        "ports_mapping": _ports(rentals, rental) if is_running else {},
        "ssh_connect_cmd": f"ssh root@{_address(rental.host)} -p 40022" if is_running else None,
        "created_at": iso(rental.created_at),
        "updated_at": iso(rental.created_at),
        "removal_scheduled_at": iso(removal) if removal else None,
        "user_public_key": details["user_public_key"],
    }


def status_of(rentals: Rentals, rental: Rental) -> str:
    """The market's word for how a pod does."""
    if rental.details.get("never_begins"):
        return "CREATION_FAILED"
    if not rental.host.online:
        return "BROKEN"
    return "RUNNING" if rentals.world.now() >= rental.ready_at else "PENDING"


def _specs(host: Host) -> dict[str, Any]:
    gpu = {"name": host.gpu.product_name, "capacity": host.gpu.memory_mib}
    return {
        "gpu": {"count": host.gpus, "details": [gpu] * host.gpus},
        "cpu": {"count": host.cpu_units},
        "ram": {"total": host.memory_gib * _KIB_PER_GIB},
        "hard_disk": {"total": host.storage_gib * _KIB_PER_GIB},
        "available_port_count": 100,
    }


def _ports(rentals: Rentals, rental: Rental) -> dict[str, int]:
    found = {str(f.port): f.external for f in rentals.forwards(rental)}
    return {"22": 40022, **found}


def _address(host: Host) -> str:
    return f"192.0.2.{sum(host.name.encode()) % 250 + 1}"
