"""Rebuilds the manifest that a provider runs from the SDL, byte for byte as the market does.

The market returns the manifest once, in the answer to the create call; it holds the values of
secrets, so it is never stored. When that answer is lost, or the operator restarted, this makes
the same bytes again. `tests/providers` compares them with the market's own SDK.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

_HTTP_OPTIONS = {
    "maxBodySize": 1048576,
    "nextCases": ["error", "timeout"],
    "nextTimeout": 0,
    "nextTries": 3,
    "readTimeout": 60000,
    "sendTimeout": 60000,
}
"""What the market fills in where the SDL says nothing."""

_SHARED_HTTP, _RANDOM_PORT = 0, 1


def manifest(sdl: Mapping[str, Any]) -> str:
    """The manifest of an SDL written by `akash_sdl`: sorted JSON with HTML's signs escaped."""
    groups = [
        {"name": placement, "services": [_service(sdl, name, placed) for name, placed in members]}
        for placement, members in _members(sdl)
    ]
    text = json.dumps(groups, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def is_hash_of(recorded: str, text: str) -> bool:
    """Whether what the chain records of a manifest (base64, or hex) is that of this text."""
    digest = hashlib.sha256(text.encode()).digest()
    return recorded in {base64.b64encode(digest).decode(), digest.hex(), digest.hex().upper()}


def _members(sdl: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, Mapping[str, Any]]]]]:
    by_placement: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for service, placements in sorted(sdl["deployment"].items()):
        for placement, placed in placements.items():
            by_placement.setdefault(placement, []).append((service, placed))
    return sorted(by_placement.items())


def _service(sdl: Mapping[str, Any], name: str, placed: Mapping[str, Any]) -> dict[str, Any]:
    service = sdl["services"][name]
    return {
        "name": name,
        "image": service["image"],
        "command": service.get("command") or None,
        "args": service.get("args") or None,
        "env": service.get("env") or None,
        "resources": _resources(sdl["profiles"]["compute"][placed["profile"]], service),
        "count": placed["count"],
        "expose": _expose(service),
        "credentials": None,
    }


def _resources(compute: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    wanted = compute["resources"]
    gpu = wanted["gpu"]
    return {
        "id": 1,
        "cpu": {"units": {"val": _millicpu(wanted["cpu"]["units"])}},
        "memory": {"size": {"val": _bytes(wanted["memory"]["size"])}},
        "storage": [
            {"name": "default", "size": {"val": _bytes(volume["size"])}}
            for volume in wanted["storage"]
        ],
        "gpu": {
            "units": {"val": str(gpu["units"])},
            "attributes": _gpu_attributes(gpu["attributes"]["vendor"]),
        },
        "endpoints": _endpoints(service),
    }


def _gpu_attributes(vendors: Mapping[str, Any]) -> list[dict[str, str]]:
    keys = [
        "/".join(
            [f"vendor/{vendor}/model/{model.get('model', '*')}"]
            + [f"{part}/{model[part]}" for part in ("ram", "interface") if model.get(part)]
        )
        for vendor, models in vendors.items()
        for model in (models or [{}])
    ]
    return [{"key": key, "value": "true"} for key in sorted(keys)]


def _exposed(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(service.get("expose") or [])


def _endpoints(service: Mapping[str, Any]) -> list[dict[str, int]]:
    kinds = [_SHARED_HTTP if e["port"] == 80 else _RANDOM_PORT for e in _exposed(service)]
    # the kind 0 is left out, as Go's JSON does
    return [{**({"kind": kind} if kind else {}), "sequence_number": 0} for kind in kinds]


def _expose(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_exposure(port) for port in _ports(_exposed(service))]


def _ports(exposed: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted(expose["port"] for expose in exposed)


def _exposure(port: int) -> dict[str, Any]:
    return {
        "port": port,
        "externalPort": 0,
        "proto": "TCP",
        "service": "",
        "global": True,
        "hosts": None,
        "httpOptions": _HTTP_OPTIONS,
        "ip": "",
        "endpointSequenceNumber": 0,
    }


def _millicpu(units: str) -> str:
    is_milli = units.endswith("m")
    number = Decimal(units.removesuffix("m")) * (1 if is_milli else 1000)
    return str(int(number.to_integral_value(rounding=ROUND_CEILING)))


def _bytes(size: str) -> str:
    return str(int(size.removesuffix("Mi")) * 1024 * 1024)
