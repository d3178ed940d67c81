"""Reads the body of a create as SaladCloud's file describes it, and makes the group of it."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from overspill.sandbox.markets.salad.errors import ProblemError
from overspill.sandbox.workload import Port, Service

NAME = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")
PRIORITIES = ("high", "medium", "low", "batch")
POLICIES = ("always", "on_failure", "never")
_TEXT = re.compile(r"[^\r\n\u2028\u2029]{1,1000}")
_Rule = tuple[str, Callable[[Any], bool]]


def checked(body: Any) -> dict[str, Any]:
    """The body, or 400 with every fault."""
    if not isinstance(body, dict):
        raise ProblemError(400, "The body must be an object.")
    faults = [*_top(body), *_container(body.get("container")), *_networking(body)]
    if faults:
        raise ProblemError(400, "; ".join(faults))
    return body


def service_of(body: Mapping[str, Any], group: str, machine: str) -> Service:
    """The program of an instance; an image is nothing but a shell here."""
    container = body["container"]
    command = list(container.get("command") or [])
    env = dict(container.get("environment_variables") or {})
    network = body.get("networking")
    known = [("SALAD_CONTAINER_GROUP_ID", group), ("SALAD_MACHINE_ID", machine)]
    ports = [Port(int(network["port"]), is_http=True)] if network else []
    return Service("group", command[:1], command[1:], [*env.items(), *known], ports)


def _top(body: Mapping[str, Any]) -> Iterator[str]:
    rules: dict[str, Callable[[Any], bool]] = {
        "name": lambda v: isinstance(v, str) and NAME.fullmatch(v) is not None,
        "autostart_policy": lambda v: isinstance(v, bool),
        "replicas": lambda v: _is_int(v, 0, 500),
        "restart_policy": lambda v: v in POLICIES,
    }
    yield from (
        f"{name} is not valid" for name, is_ok in rules.items() if not is_ok(body.get(name))
    )
    countries = body.get("country_codes")
    if countries is not None and not _all_match(countries, re.compile("[a-z]{2}")):
        yield "country_codes is not valid"
    if body.get("replicas") not in {0, 1}:
        yield "this sandbox runs at most one replica"


def _container(container: Any) -> Iterator[str]:
    if not isinstance(container, dict):
        yield "container is not valid"
        return
    if not isinstance(container.get("image"), str) or not container["image"]:
        yield "container.image is not valid"
    command, env = container.get("command"), container.get("environment_variables")
    if command is not None and not (_all_match(command, _TEXT) and len(command) <= 100):
        yield "container.command is not valid"
    if env is not None and not (isinstance(env, dict) and _all_match(list(env.values()), _TEXT)):
        yield "container.environment_variables is not valid"
    if container.get("priority") not in {None, *PRIORITIES}:
        yield "container.priority is not valid"
    yield from _resources(container.get("resources"))


def _resources(resources: Any) -> Iterator[str]:
    if not isinstance(resources, dict):
        yield "container.resources is not valid"
        return
    rules: tuple[_Rule, ...] = (
        ("cpu", lambda v: _is_int(v, 1, 1024)),
        ("memory", lambda v: _is_int(v, 1024, 2**30)),
        ("storage_amount", lambda v: v is None or _is_int(v, 2**30, 2**50)),
        ("gpu_classes", lambda v: isinstance(v, list) and bool(v) and all(map(_is_uuid, v))),
    )
    for name, is_ok in rules:
        if not is_ok(resources.get(name)):
            yield f"container.resources.{name} is not valid"


def _networking(body: Mapping[str, Any]) -> Iterator[str]:
    network = body.get("networking")
    if network is None:
        return
    is_ok = (
        isinstance(network, dict)
        and isinstance(network.get("auth"), bool)
        and network.get("protocol") == "http"
        and _is_int(network.get("port"), 1, 65535)
    )
    if not is_ok:
        yield "networking is not valid"


def _is_int(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_uuid(value: Any) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


def _all_match(values: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(values, list) and all(
        isinstance(v, str) and pattern.fullmatch(v) for v in values
    )
