"""SaladCloud's JSON of groups, instances and log entries, as its OpenAPI names every field."""

import uuid
from collections.abc import Iterator
from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.markets.salad.catalog import machine_id
from overspill.sandbox.rentals import Rental, Rentals

PREPARING_S = 0.5
_COUNTS = ("allocating", "creating", "running", "stopping")


def group_json(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """One container group."""
    details = rental.details
    body, created = details["body"], iso(details["created_at"])
    found = {
        "id": rental.id,
        "name": rental.key,
        "display_name": body.get("display_name") or rental.key,
        "organization_name": details["organization"],
        "project_name": details["project"],
        "autostart_policy": body["autostart_policy"],
        "restart_policy": body["restart_policy"],
        "replicas": body["replicas"],
        "priority": body["container"].get("priority"),
        "country_codes": body.get("country_codes") or [],
        "container": _container(body),
        "current_state": _state(rentals, rental),
        "pending_change": False,
        "version": 1,
        "create_time": created,
        "update_time": created,
        "scaling-actions": [],
        "scheduled-scaling-enabled": False,
    }
    network = None if rental.hides_endpoints else body.get("networking")
    return found | ({"networking": _network(rental, network)} if network else {})


def instances_json(rentals: Rentals, rental: Rental) -> list[dict[str, Any]]:
    """Its instance, if it has one; one that waits for a machine has none that is its own."""
    state = instance_state(rentals, rental)
    if state in {"", "allocating"}:
        return []
    is_running = state == "running"
    return [
        {
            "id": instance_id(rental),
            "machine_id": machine_id(rental.host),
            "state": state,
            "update_time": iso(rental.ready_at if is_running else rental.created_at),
            "version": 1,
            "ready": is_running,
            "started": is_running,
        }
    ]


def instance_id(rental: Rental) -> str:
    """Another one after each move."""
    return str(uuid.uuid5(uuid.UUID(rental.id), str(rental.placed_at)))


def status_of(rentals: Rentals, rental: Rental) -> str:
    """The market's word for how a group does."""
    if rentals.world.now() < rental.details["created_at"] + PREPARING_S:
        return "pending"
    code = rental.details.get("exit_code")
    if code is not None:
        return "failed" if code else "succeeded"
    state = instance_state(rentals, rental)
    if not state:
        return "stopped"
    if state == "running":
        rental.details["has_run"] = True
    return "running" if rental.details.get("has_run") else "deploying"


def instance_state(rentals: Rentals, rental: Rental) -> str:
    """The word for its instance; "" where there is to be none."""
    if rental.state != "rented":
        return "allocating" if rental.details.get("waits") else ""
    if not rental.host.online:
        return "allocating"
    return "running" if rentals.world.now() >= rental.ready_at else "creating"


def log_lines(rentals: Rentals, rental: Rental) -> Iterator[tuple[float, dict[str, Any]]]:
    """What the container printed; the times are made up, a millisecond a line."""
    text = b"".join(rentals.world.executor.logs(rental.lease_name).values())
    labels = {
        "project_name": rental.details["project"],
        "container_group_name": rental.key,
        "container_group_version": "1",
        "instance_id": instance_id(rental),
        "machine_id": machine_id(rental.host),
    }
    for number, line in enumerate(text.decode(errors="replace").splitlines()):
        at = rental.created_at + number / 1000
        yield (
            at,
            {
                "time": iso(at),
                "receive_time": iso(at),
                "severity": "info",
                "text_log": line[:10_000],
                "resource": {"type": "container", "labels": labels},
            },
        )


def _container(body: dict[str, Any]) -> dict[str, Any]:
    given = body["container"]
    return {
        "command": given.get("command"),
        "environment_variables": given.get("environment_variables") or {},
        "image": given["image"],
        "resources": {"shm_size": 64, **given["resources"]},
    }


def _state(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    instance = instance_state(rentals, rental)
    ends = rental.settled_at if rental.state != "rented" else rentals.world.now()
    return {
        "status": status_of(rentals, rental),
        "description": None,
        "start_time": iso(rental.details["created_at"]),
        "finish_time": iso(ends),
        "instance_status_counts": {f"{name}_count": int(instance == name) for name in _COUNTS},
    }


def _network(rental: Rental, network: dict[str, Any]) -> dict[str, Any]:
    label = f"{rental.key[:40]}-{rental.id[:8]}"
    return {
        "auth": network["auth"],
        "port": network["port"],
        "protocol": network["protocol"],
        "load_balancer": network.get("load_balancer", "round_robin"),
        "client_request_timeout": 100_000,
        "server_response_timeout": 100_000,
        "single_connection_limit": False,
        "dns": f"{label}.salad.cloud",
    }
