"""The manifest of an SDL and its hash, byte for byte as the Akash SDK makes them.

The hash stands on the chain; a host takes a manifest only when the two agree. The golden pairs
of the SDK's own tests are the test of this file.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from overspill.sandbox.markets.akash.sdl import (
    Group,
    Sdl,
    parse_cpu,
    parse_gpus,
    parse_size,
    storage_volumes,
)

SHARED_HTTP, RANDOM_PORT, LEASED_IP = 0, 1, 2
"""Kinds of endpoint on the chain."""


def manifest_json(sdl: Sdl) -> str:
    """The manifest as key-sorted, HTML-escaped JSON."""
    groups = [
        {"name": group.name, "services": _services(sdl, group)}
        for group in sorted(sdl.groups, key=lambda g: g.name)
    ]
    text = json.dumps(groups, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def manifest_hash(text: str) -> str:
    """The hash of a manifest as the API writes it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def attributes(mapping: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Attributes as sorted key and value pairs."""
    return [{"key": str(k), "value": str(v)} for k, v in sorted((mapping or {}).items())]


def gpu_attributes(gpu: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """The chain's keys of the wanted GPU models."""
    vendors = ((gpu or {}).get("attributes") or {}).get("vendor") or {}
    keys = []
    for vendor, models in vendors.items():
        if not models:
            keys.append(f"vendor/{vendor}/model/*")
        for model in models or []:
            key = f"vendor/{vendor}/model/{model['model']}"
            key += f"/ram/{model['ram']}" if model.get("ram") else ""
            key += f"/interface/{model['interface']}" if model.get("interface") else ""
            keys.append(key)
    return [{"key": key, "value": "true"} for key in keys]


def storage_attributes(volume: Mapping[str, Any]) -> list[dict[str, str]]:
    """Class and persistence of a volume."""
    given = volume.get("attributes")
    if not given:
        return []
    pairs = {key: _plain(value) for key, value in given.items()}
    if pairs.get("class") == "ram":
        pairs.setdefault("persistent", "false")
    return attributes(pairs)


def endpoints(service: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(kind, sequence number) of every endpoint that the outside may reach."""
    found = []
    for expose in service.get("expose") or []:
        for to in expose.get("to") or []:
            if to.get("global"):
                kind = SHARED_HTTP if is_ingress(expose) else RANDOM_PORT
                found.append((kind, 0))
                if to.get("ip"):
                    found.append((LEASED_IP, 1))
    return found


def is_ingress(expose: Mapping[str, Any]) -> bool:
    """True when the port is served by the host's shared HTTP entrance."""
    effective = expose.get("as") or expose["port"]
    return str(expose.get("proto") or "TCP").upper() == "TCP" and effective == 80


def _services(sdl: Sdl, group: Group) -> list[dict[str, Any]]:
    made = []
    for name in sorted(sdl.services):
        entry = (sdl.document["deployment"].get(name) or {}).get(group.name)
        if entry is not None:
            made.append(_service(sdl, group, name, entry))
    return made


def _service(sdl: Sdl, group: Group, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    service = sdl.services[name]
    profiles = [unit.profile for unit in group.units]
    resource_id = profiles.index(entry["profile"]) + 1
    resources = group.units[resource_id - 1].compute["resources"]
    made = {
        "name": name,
        "image": service["image"],
        "command": service.get("command") or None,
        "args": service.get("args") or None,
        "env": service.get("env") or None,
        "resources": _resources(resource_id, resources, service),
        "count": int(entry["count"]),
        "expose": _exposes(service),
        "credentials": _credentials(service.get("credentials")),
    }
    if service.get("params"):
        made["params"] = _params(service["params"])
    return made


def _resources(
    resource_id: int, resources: Mapping[str, Any], service: Mapping[str, Any]
) -> dict[str, Any]:
    cpu: dict[str, Any] = {"units": {"val": str(parse_cpu(resources["cpu"]["units"]))}}
    if resources["cpu"].get("attributes"):
        cpu["attributes"] = attributes(resources["cpu"]["attributes"])
    gpu: dict[str, Any] = {"units": {"val": str(parse_gpus(resources.get("gpu")))}}
    if wanted := gpu_attributes(resources.get("gpu")):
        gpu["attributes"] = wanted
    return {
        "id": resource_id,
        "cpu": cpu,
        "memory": {"size": {"val": str(parse_size(resources["memory"]["size"]))}},
        "storage": [_volume(volume) for volume in storage_volumes(resources)],
        "gpu": gpu,
        "endpoints": [
            {**({"kind": kind} if kind else {}), "sequence_number": number}
            for kind, number in endpoints(service)
        ],
    }


def _volume(volume: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": volume.get("name") or "default",
        "size": {"val": str(parse_size(volume["size"]))},
    }
    if pairs := storage_attributes(volume):
        made["attributes"] = pairs
    return made


def _exposes(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = [
        {
            "port": expose["port"],
            "externalPort": expose.get("as") or 0,
            "proto": str(expose.get("proto") or "TCP").upper(),
            "service": to.get("service") or "",
            "global": bool(to.get("global")),
            "hosts": expose.get("accept") or None,
            "httpOptions": _http_options(expose.get("http_options") or {}),
            "ip": to.get("ip") or "",
            "endpointSequenceNumber": 1 if to.get("global") and to.get("ip") else 0,
        }
        for expose in service.get("expose") or []
        for to in expose.get("to") or []
    ]
    return sorted(made, key=lambda e: (e["service"], e["port"], e["proto"], not e["global"]))


def _http_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "maxBodySize": options.get("max_body_size") or 1048576,
        "readTimeout": options.get("read_timeout") or 60000,
        "sendTimeout": options.get("send_timeout") or 60000,
        "nextTries": options.get("next_tries") or 3,
        "nextTimeout": options.get("next_timeout") or 0,
        "nextCases": options.get("next_cases") or ["error", "timeout"],
    }


def _credentials(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    if not given:
        return None
    return {name: str(given.get(name) or "") for name in ("host", "email", "username", "password")}


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "storage": [
            {
                "name": name,
                "mount": volume.get("mount") or "",
                "readOnly": bool(volume.get("readOnly")),
            }
            for name, volume in (params.get("storage") or {}).items()
        ]
    }
    if params.get("permissions"):
        made["permissions"] = params["permissions"]
    return made


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
