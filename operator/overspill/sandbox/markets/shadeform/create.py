"""Reads the body of a create as Shadeform's file describes it, and says when it ends by itself."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from overspill.sandbox.markets.shadeform.errors import invalid
from overspill.sandbox.workload import Port, Service

_HOUR_S = Decimal(3600)
_REQUIRED: dict[str, type] = {
    "cloud": str,
    "region": str,
    "shade_instance_type": str,
    "shade_cloud": bool,
    "name": str,
}


def checked(body: Any) -> dict[str, Any]:
    """The body. Raises RefusedError for what is missing or of another kind."""
    if not isinstance(body, dict):
        raise invalid("The body must be an object")
    for name, kind in _REQUIRED.items():
        if not isinstance(body.get(name), kind):
            raise invalid(f"{name} is required")
    launch = body.get("launch_configuration")
    if launch is not None:
        docker = launch.get("docker_configuration") if isinstance(launch, dict) else None
        if launch.get("type") == "docker" and not (docker or {}).get("image"):
            raise invalid("docker_configuration.image is required")
    return body


def service_of(body: Mapping[str, Any], gpus: int) -> Service:
    """The container: an image is nothing but a shell here, so the arguments are its command."""
    docker = (body.get("launch_configuration") or {}).get("docker_configuration") or {}
    words = shlex.split(str(docker.get("args") or ""))
    env = [(str(e["name"]), str(e["value"])) for e in docker.get("envs") or []]
    ports = [
        Port(int(p["container_port"]), external=int(p["host_port"]))
        for p in docker.get("port_mappings") or []
    ]
    return Service(
        "docker", words[:1], words[1:], [*env, ("SHADEFORM_GPU_COUNT", str(gpus))], ports
    )


def ends_at(body: Mapping[str, Any], created_at: float, usd_per_hour: Decimal) -> float | None:
    """When `auto_delete` strikes: at its date or when its money is spent; None: never."""
    wanted = body.get("auto_delete") or {}
    moments = []
    if date := wanted.get("date_threshold"):
        moments.append(_epoch(str(date)))
    if spend := wanted.get("spend_threshold"):
        moments.append(created_at + float(_usd(str(spend)) / usd_per_hour * _HOUR_S))
    return max(created_at, min(moments)) if moments else None


def _epoch(text: str) -> float:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise invalid("date_threshold must be an RFC3339 date") from None


def _usd(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise invalid("spend_threshold must be a decimal") from None
