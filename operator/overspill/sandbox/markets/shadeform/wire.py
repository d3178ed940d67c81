"""Shadeform's JSON of an instance, field by field as its file names them. For the routes only."""

import uuid
from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.markets.shadeform.catalog import (
    OS_OPTIONS,
    cents,
    configuration,
    region_of,
    type_name,
)
from overspill.sandbox.rentals import Rental, Rentals

CREATING_S = 1.0
NEVER = "0001-01-01T00:00:00Z"
_NAMESPACE = uuid.UUID("00000000-0000-0000-0000-00000000054a")


def status_of(rentals: Rentals, rental: Rental) -> str:
    """The market's word for how the machine does; `deleted` ones are not told of."""
    now = rentals.world.now()
    if rental.state == "ended":
        return "deleting" if now < rental.details.get("gone_at", 0.0) else "deleted"
    if rental.state == "stopped":
        return "error"
    if now < rental.created_at + CREATING_S:
        return "creating"
    # a machine that vanished leaves the market's last word standing
    return "active" if now >= rental.ready_at else "pending_provider"


def listed(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """One line of the list."""
    host, size = rental.host, rental.slice.gpus
    gpu, status = rental.gpu or host.gpu, status_of(rentals, rental)
    body = rental.details["body"]
    is_up = status == "active"
    return {
        "id": rental.id,
        "cloud": host.name,
        "region": region_of(host),
        "shade_instance_type": type_name(host.gpu, size),
        "cloud_instance_type": f"gpu_{size}x_{host.gpu.model}",
        "cloud_assigned_id": str(uuid.uuid5(_NAMESPACE, rental.id)),
        "shade_cloud": True,
        "name": rental.key,
        "configuration": {
            **configuration(host, gpu, size),
            "os": body.get("os") or OS_OPTIONS[0],
        },
        "ip": _ip(rentals, rental) if is_up else "",
        "ssh_user": "shadeform",
        "ssh_port": 22,
        "status": status,
        "status_details": "",
        "cost_estimate": format(rental.charged.normalize(), "f"),
        "hourly_price": rental.details.get("cents", cents(host, size)),
        "launch_configuration": body.get("launch_configuration") or {"type": "script"},
        "tags": list(body.get("tags") or []),
        "port_mappings": _ports(rentals, rental) if is_up else [],
        "active_at": iso(rental.ready_at) if is_up else NEVER,
        "created_at": iso(rental.created_at),
        "deleted_at": NEVER,
        "boot_time": {"min_boot_in_sec": int(host.boot_s), "max_boot_in_sec": int(host.boot_s) + 1},
    }


def info(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """One instance, with what only a single read tells."""
    more = {"auto_delete": rental.details["body"].get("auto_delete") or {}}
    return listed(rentals, rental) | more


def _ip(rentals: Rentals, rental: Rental) -> str:
    forwards = rentals.forwards(rental)
    return forwards[0].host if forwards else ""


def _ports(rentals: Rentals, rental: Rental) -> list[dict[str, int]]:
    """This machine has one address for all: a port of the host comes out at another."""
    wanted = {port.port: port.external for port in rental.service.ports}
    return [
        {"internal_port": wanted[forward.port], "external_port": forward.external}
        for forward in rentals.forwards(rental)
    ]
