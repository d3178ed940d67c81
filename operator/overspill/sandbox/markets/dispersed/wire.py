"""Dispersed's JSON of jobs, runs and the registry. Called by the routes only.

The registry's entries, a run's `node` and the form of its `logs` are not documented in public; they
stand here as the adapter expects them.
"""

from collections.abc import Mapping
from typing import Any

from overspill.sandbox.rentals import Rental, Rentals
from overspill.sandbox.supply import Host

ASSIGNED_S = 1.0
_ENDS = {"owner": "CANCELLED", "completed": "COMPLETED"}


def status_of(rentals: Rentals, rental: Rental) -> str:
    """The market's word for how a job does."""
    if rental.state == "ended":
        return _ENDS.get(rental.ended_why, "FAILED")
    now = rentals.world.now()
    if rental.state == "stopped" or now < rental.created_at + ASSIGNED_S:
        return "PENDING"
    return "RUNNING" if now >= rental.ready_at else "PREPARING"


def job_json(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """One job."""
    body = rental.details["body"]
    shown = {name: value for name, value in body.items() if name != "parameters"}
    return shown | {
        "uuid": rental.id,
        "status": status_of(rentals, rental),
        "created_at_ms": int(rental.created_at * 1000),
    }


def run_json(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """The one run of a job that got a machine."""
    status = status_of(rentals, rental)
    has_started = rentals.world.now() >= rental.ready_at
    gpu = rental.gpu or rental.host.gpu
    return {
        "uuid": rental.details["run"],
        "job_uuid": rental.id,
        "status": status,
        "started_at_ms": int(rental.ready_at * 1000) if has_started else None,
        "node_urls": _urls(rentals, rental) if status == "RUNNING" else [],
        "container_access_tokens": [],
        "node": {
            "uuid": f"node-{rental.host.name}",
            "gpu_name": gpu.product_name,
            "gpu_count": rental.slice.gpus,
            "vram_gb": int(gpu.ram.removesuffix("Gi")),
            "price_per_hour_usd": float(rental.rates.running),
        },
    }


def logged_json(rentals: Rentals, rental: Rental, printed: Mapping[str, bytes]) -> dict[str, Any]:
    """A single run, which alone carries what its container printed."""
    text = b"".join(printed.values()).decode(errors="replace")
    return {**run_json(rentals, rental), "logs": text}


def gpu_json(name: str, hosts: list[Host]) -> dict[str, Any]:
    """One kind of the registry."""
    return {
        "uuid": f"gpu-{name.lower().replace(' ', '-')}",
        "name": name,
        "vram_gb": int(hosts[0].gpu.ram.removesuffix("Gi")),
        "available": sum(h.free.gpus for h in hosts if h.online),
    }


def _urls(rentals: Rentals, rental: Rental) -> list[dict[str, Any]]:
    inner = rental.details["body"]["parameters"]["parameters"]
    if 22 not in (inner.get("ports") or [22]):
        return []  # a list without 22 replaces the default, and nothing is told any more
    return [
        {
            "description": f"port {forward.port}",
            "hostname": forward.host,
            "port": forward.external,
            "protocol": "tcp",
            "tls": False,
        }
        for forward in rentals.forwards(rental)
    ]
