"""Reads the bodies of a template and of a rent, and makes a container of the two.

A host passes on what it finds harmless: see `service_of`.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from overspill.sandbox.markets.lium.errors import invalid
from overspill.sandbox.workload import Port, Service

_DROPPED = {"PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "NODE_PATH", "RUBYLIB"}
_TEMPLATE: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "docker_image": str,
    "docker_image_tag": str,
    "docker_image_digest": str,
    "startup_commands": str,
    "entrypoint": str,
    "environment": dict,
    "internal_ports": list,
    "is_private": bool,
}


def checked_template(body: Any) -> dict[str, Any]:
    """A template's body, or 422."""
    if not isinstance(body, dict):
        raise invalid("The body must be an object.")
    for name, kind in _TEMPLATE.items():
        if not isinstance(body.get(name), kind):
            raise invalid(f"{name} is missing or not valid.")
    if not body["name"] or not body["docker_image"]:
        raise invalid("name and docker_image must not be empty.")
    values = [*body["environment"].keys(), *body["environment"].values()]
    if not all(isinstance(value, str) for value in values):
        raise invalid("environment must hold words.")
    return body


def checked_rent(body: Any) -> dict[str, Any]:
    """A rent's body, or 422."""
    if not isinstance(body, dict):
        raise invalid("The body must be an object.")
    if not isinstance(body.get("pod_name"), str) or not isinstance(body.get("template_id"), str):
        raise invalid("pod_name and template_id are required.")
    keys = body.get("user_public_key")
    if not isinstance(keys, list) or not keys or not all(_is_key(key) for key in keys):
        raise invalid("user_public_key must be a list of SSH public keys.")
    hours, count = body.get("termination_hours"), body.get("gpu_count")
    if hours is not None and not (type(hours) is int and 1 <= hours <= 720):
        raise invalid("termination_hours must be between 1 and 720.")
    if count is not None and not (type(count) is int and count >= 1):
        raise invalid("gpu_count must be at least 1.")
    return body


def service_of(template: Mapping[str, Any]) -> Service:
    """The program: one word of entrypoint, the start command split as a shell does it."""
    entrypoint = template["entrypoint"].split()[:1]
    if entrypoint and not re.fullmatch(r"[a-zA-Z0-9./_-]+", entrypoint[0]):
        entrypoint = []
    try:
        words = shlex.split(template["startup_commands"])
    except ValueError:
        words = []
    env = [
        (name.strip(), value.strip())
        for name, value in template["environment"].items()
        if name.strip() and value.strip() and name.strip().upper() not in _DROPPED
    ]
    ports = [Port(int(port)) for port in template["internal_ports"] if int(port) != 22]
    # without an entrypoint the image's own would run, which is nothing here
    return Service("pod", entrypoint or words[:1], words if entrypoint else words[1:], env, ports)


def _is_key(key: Any) -> bool:
    form = r"(ssh-(ed25519|rsa)|ecdsa-\S+) [A-Za-z0-9+/=]+.*"
    return isinstance(key, str) and re.fullmatch(form, key) is not None
