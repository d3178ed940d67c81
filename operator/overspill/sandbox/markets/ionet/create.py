"""Reads the body of a deploy as io.net does: unknown fields are refused by name."""

import uuid
from collections.abc import Mapping
from typing import Any

from overspill.sandbox.markets.ionet.errors import invalid
from overspill.sandbox.workload import Port, Service

MOST_HOURS = 8760
MOST_GPUS = 8

_Kinds = Mapping[str, type | tuple[type, ...]]
_NONE = type(None)
_BODY: _Kinds = {
    "resource_private_name": str,
    "hardware_id": (int, str),
    "duration_hours": int,
    "gpus_per_container": int,
    "container_config": dict,
    "registry_config": dict,
    "location_ids": (list, _NONE),
    "node_pool_id": (str, _NONE),
    "resource_id": (str, _NONE),
    "payment_source": str,
    "on_incomplete_booking": str,
}
_CONTAINER: _Kinds = {
    "replica_count": int,
    "traffic_port": int,
    "env_variables": dict,
    "secret_env_variables": dict,
    "entrypoint": (list, _NONE),
    "args": (list, _NONE),
    "command": (str, _NONE),
    "public_ingress_enabled": (bool, _NONE),
    "tls_required": (bool, _NONE),
}
_REGISTRY: _Kinds = {
    "image_url": str,
    "registry_username": (str, _NONE),
    "registry_secret": (str, _NONE),
}
_REQUIRED = ("resource_private_name", "hardware_id", "gpus_per_container", "duration_hours")
_POLICIES = {"full_refund", "partial_refund", "extend_booked"}


def checked(body: Any) -> dict[str, Any]:
    """The body, or 422 with every fault."""
    if not isinstance(body, dict):
        raise invalid([("", "value is not a valid dict")])
    container, registry = body.get("container_config"), body.get("registry_config")
    faults = _kinds(body, _BODY)
    faults += [(name, "field required") for name in _REQUIRED if name not in body]
    for where, part, kinds, needs in (
        ("container_config", container, _CONTAINER, ("replica_count", "traffic_port")),
        ("registry_config", registry, _REGISTRY, ("image_url",)),
    ):
        inner = part if isinstance(part, dict) else {}
        faults += [(f"{where}.{name}", why) for name, why in _kinds(inner, kinds)]
        faults += [(f"{where}.{name}", "field required") for name in needs if name not in inner]
    faults = faults or _values(body)
    if faults:
        raise invalid(faults)
    return body


def service_of(body: Mapping[str, Any], gpus: int) -> Service:
    """What the container runs."""
    config = body["container_config"]
    env = {**(config.get("env_variables") or {}), **(config.get("secret_env_variables") or {})}
    command = [config["command"]] if config.get("command") else []
    return Service(
        "container",
        list(config.get("entrypoint") or command),
        list(config.get("args") or []),
        [*env.items(), ("IONET_GPU_COUNT", str(gpus))],
        [Port(int(config["traffic_port"]), is_http=True)],
    )


def _kinds(part: Mapping[str, Any], known: _Kinds) -> list[tuple[str, str]]:
    faults = [(name, "extra fields not permitted") for name in part if name not in known]
    for name, kind in known.items():
        if name in part and not isinstance(part[name], kind):
            faults.append((name, "wrong type"))
    return faults


def _values(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults = []
    if not 1 <= body["duration_hours"] <= MOST_HOURS:
        faults.append(("duration_hours", f"must be between 1 and {MOST_HOURS}"))
    if not 1 <= body["gpus_per_container"] <= MOST_GPUS:
        faults.append(("gpus_per_container", f"must be between 1 and {MOST_GPUS}"))
    if body.get("location_ids") and body.get("node_pool_id"):
        faults.append(("location_ids", "can't be used together with node_pool_id"))
    if len(body.get("location_ids") or [0]) != 1:
        faults.append(("location_ids", "only a single location is supported"))
    if body.get("on_incomplete_booking", "full_refund") not in _POLICIES:
        faults.append(("on_incomplete_booking", "unknown policy"))
    if body.get("payment_source", "credits") not in {"credits", "payment"}:
        faults.append(("payment_source", "unknown source"))
    for name in ("entrypoint", "args"):
        if body["container_config"].get(name) == []:
            faults.append((f"container_config.{name}", "must have at least one item"))
    if body.get("resource_id") and not _is_uuid(body["resource_id"]):
        faults.append(("resource_id", "value is not a valid uuid"))
    return faults


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
