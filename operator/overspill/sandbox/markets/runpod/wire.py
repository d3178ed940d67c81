"""RunPod's JSON of a pod, field by field as its OpenAPI names them. Called by the routes only."""

from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.markets.runpod.catalog import cloud_of, data_center
from overspill.sandbox.rentals import Rental, Rentals

PROVISIONING_S = 1.0
_ACTIONS = {
    "RUNNING": ["stop", "restart", "terminate"],
    "EXITED": ["start", "terminate"],
    "TERMINATED": [],
}


def pod_json(rentals: Rentals, rental: Rental) -> dict[str, Any]:
    """One pod."""
    details, status = rental.details, status_of(rentals, rental)
    gpu = rental.gpu or rental.host.gpu
    is_running = status == "RUNNING"
    return {
        "id": rental.id,
        "name": rental.key,
        "status": status,
        "actions": _ACTIONS.get(status, ["terminate"]),
        "image": details["image"],
        "args": details["args"],
        "disk": details["disk"],
        "mounts": {},
        "ports": details["ports"],
        "env": details["env"],
        "registry": details["registry"],
        "gpu": {"id": gpu.product_name, "count": rental.slice.gpus},
        "cloud": cloud_of(rental.host),
        "dataCenterId": data_center(rental.host),
        "cudaVersion": "12.8",
        "ssh": {"proxy": None, "direct": None},
        "template": None,
        "cost": 0.0 if status in {"EXITED", "TERMINATED"} else float(rental.rates.running),
        "locked": False,
        "runtime": _runtime(rentals, rental) if is_running else None,
        "createdAt": iso(rental.created_at),
        "startedAt": iso(rental.ready_at) if is_running else None,
        "globalNetworking": {"enabled": False},
    }


def status_of(rentals: Rentals, rental: Rental) -> str:
    """The market's word for how the pod does."""
    if rental.state == "ended":
        return "TERMINATED"
    if rental.state == "stopped":
        return "EXITED"
    now = rentals.world.now()
    if now < rental.created_at + PROVISIONING_S:
        return "PROVISIONING"
    # a machine that vanished leaves the pod's last word standing
    return "RUNNING" if now >= rental.ready_at else "STARTING"


def _runtime(rentals: Rentals, rental: Rental) -> dict[str, Any] | None:
    silent = rentals.world.faults.take("status_null", key=rental.key, provider=rental.host.name)
    service = rentals.service(rental)
    if silent or not rental.host.online or service is None:
        return None
    ports = [
        {
            "private": forward.port,
            "public": None if forward.is_http else forward.external,
            "type": "http" if forward.is_http else "tcp",
            "ip": None if forward.is_http else forward.host,
        }
        for forward in rentals.forwards(rental)
    ]
    return {
        "uptime": int(rentals.world.now() - rental.ready_at),
        "gpus": [{"util": 0, "memoryUtil": 0} for _ in range(rental.slice.gpus)],
        "cpu": {"util": 0},
        "memory": {"util": 0},
        "ports": ports,
    }
