"""io.net's JSON of deployments and containers. Called by the routes only."""

import uuid
from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.markets.ionet.catalog import Catalog
from overspill.sandbox.rentals import Rental, Rentals

REQUESTED_S = 1.0
_ENDS = {"owner": "destroyed", "contract_end": "completed", "incomplete_booking": "failed"}
_NAMESPACE = uuid.UUID("00000000-0000-0000-0000-00000000010e")


def status_of(rentals: Rentals, rental: Rental) -> str:
    """The market's word for how a deployment does."""
    if rental.state == "ended":
        return _ENDS.get(rental.ended_why, "failed")
    now = rentals.world.now()
    if now < rental.created_at + REQUESTED_S:
        return "deployment requested"
    return "running" if now >= rental.ready_at else "deploying"


def listed(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """One line of the list; only here is the name."""
    served, remaining = _minutes(rentals, rental)
    return {
        "id": rental.id,
        "status": status_of(rentals, rental),
        "name": rental.key,
        "completed_percent": _percent(served, remaining),
        "hardware_quantity": rental.slice.gpus,
        "brand_name": "NVIDIA",
        "hardware_name": _name(rental),
        "compute_minutes_served": served,
        "compute_minutes_remaining": remaining,
    }


def detail(rentals: Rentals, rental: Rental, catalog: Catalog) -> dict[str, Any]:
    """One deployment; without its name."""
    served, remaining = _minutes(rentals, rental)
    config, host = rental.details["container_config"], rental.host
    has_started = rentals.world.now() >= rental.ready_at
    return {
        "id": rental.id,
        "status": status_of(rentals, rental),
        "created_at": iso(rental.created_at),
        "started_at": iso(rental.ready_at) if has_started else None,
        "finished_at": iso(rentals.world.now()) if rental.state == "ended" else None,
        "amount_paid": float(rental.charged),
        "completed_percent": _percent(served, remaining),
        "total_gpus": rental.slice.gpus,
        "gpus_per_container": rental.slice.gpus,
        "total_containers": 1,
        "hardware_name": _name(rental),
        "hardware_id": catalog.ids[host.gpu.product_name],
        "locations": [
            {"id": catalog.places[host.country], "iso2": host.country, "name": host.country}
        ],
        "brand_name": "NVIDIA",
        "compute_minutes_served": served,
        "compute_minutes_remaining": remaining,
        "container_config": {
            "entrypoint": config.get("entrypoint"),
            "args": config.get("args"),
            "env_variables": config.get("env_variables") or {},
            "traffic_port": config["traffic_port"],
            "image_url": rental.details["image"],
            "secret_env_keys": sorted(config.get("secret_env_variables") or {}),
        },
    }


def container(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """The container of a deployment. Its URL is null until something answers, or for ever."""
    service = rentals.service(rental)
    is_running = rental.host.online and service is not None and service.available > 0
    forwards = rentals.forwards(rental) if is_running else []
    gpu = rental.gpu or rental.host.gpu
    return {
        "device_id": str(uuid.uuid5(_NAMESPACE, rental.host.name)),
        "container_id": container_id(rental),
        "hardware": gpu.product_name.removeprefix("NVIDIA "),
        "brand_name": "NVIDIA",
        "created_at": iso(rental.created_at),
        "uptime_percent": 100.0 if is_running else 0.0,
        "gpus_per_container": rental.slice.gpus,
        "status": "running" if is_running else "starting",
        "container_events": [],
        "public_url": f"http://{forwards[0].host}:{forwards[0].external}" if forwards else None,
    }


def container_id(rental: Rental) -> str:
    """Its name."""
    return f"container-{rental.id[:8]}-0"


def _name(rental: Rental) -> str:
    gpu = rental.gpu or rental.host.gpu
    return gpu.product_name.removeprefix("NVIDIA ")


def _minutes(rentals: Rentals, rental: Rental) -> tuple[int, int]:
    booked = int(rental.details["hours"]) * 60
    since = max(0.0, rentals.world.now() - rental.created_at)
    served = min(booked, int(since // 60))
    return served, booked - served


def _percent(served: int, remaining: int) -> float:
    return round(100 * served / max(1, served + remaining), 2)
