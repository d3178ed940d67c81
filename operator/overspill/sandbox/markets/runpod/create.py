"""Reads the body of a create as RunPod's v2 does: what it does not know is refused by name."""

import json
import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from overspill.sandbox.markets.runpod.errors import invalid
from overspill.sandbox.workload import Port

DISK_USD_PER_GB_MONTH = Decimal("0.10")
_KNOWN: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "image": str,
    "args": str,
    "disk": int,
    "env": dict,
    "ports": list,
    "registry": (str, type(None)),
    "templateId": str,
    "gpu": dict,
    "cpu": dict,
    "cloud": str,
    "dataCenterIds": list,
    "mounts": dict,
    "globalNetworking": bool,
    "startSsh": bool,
    "startJupyter": bool,
}


def checked(body: Any) -> dict[str, Any]:
    """The body, or 422 with every violation."""
    if not isinstance(body, dict):
        raise invalid(["$: must be an object"])
    faults = [f"$: additional properties '{n}' not allowed" for n in body if n not in _KNOWN]
    faults += [
        f"$.{name}: wrong type"
        for name, kind in _KNOWN.items()
        if name in body and not isinstance(body[name], kind)
    ]
    if not body.get("name"):
        faults.append("$: missing property 'name'")
    if not body.get("image") and not body.get("templateId"):
        faults.append("$: missing property 'image'")
    if ("gpu" in body) == ("cpu" in body):
        faults.append("$: exactly one of 'gpu' and 'cpu'")
    if isinstance(body.get("gpu"), dict) and not body["gpu"].get("id"):
        faults.append("$.gpu: missing property 'id'")
    if body.get("cloud", "SECURE") not in {"SECURE", "COMMUNITY"}:
        faults.append("$.cloud: not one of SECURE, COMMUNITY")
    if any(not _is_port(port) for port in body.get("ports") or []):
        faults.append("$.ports: must look like 8888/http or 22/tcp")
    if faults:
        raise invalid(faults)
    return body


def command_of(args: str) -> list[str]:
    """What the arguments run: words as a shell splits them, or JSON with an entrypoint."""
    try:
        told = json.loads(args)
    except ValueError:
        return shlex.split(args)
    if isinstance(told, dict):
        return [*told.get("entrypoint", []), *told.get("cmd", [])]
    return shlex.split(args)


def ports_of(body: Mapping[str, Any]) -> list[Port]:
    """The ports to open."""
    pairs = [str(port).split("/") for port in body.get("ports") or []]
    return [Port(int(number), is_http=kind == "http") for number, kind in pairs]


def disk_usd_per_hour(gb: int) -> Decimal:
    """What a container disk costs while its container runs."""
    return DISK_USD_PER_GB_MONTH * gb / 730


def _is_port(port: Any) -> bool:
    number, _, kind = str(port).partition("/")
    return number.isdigit() and kind in {"http", "tcp"}
