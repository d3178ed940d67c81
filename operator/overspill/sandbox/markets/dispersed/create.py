"""Reads the body of a job as the documentation of Dispersed describes it."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from overspill.sandbox.workload import Port, Service

ENTRYPOINT = ("/bin/sh", "-c", 'eval "$OVERSPILL_RUN"')
"""Of every image in the sandbox: the market has no command, so an image must bring one."""

_NUMBERS = ("cpu_count", "gpu_count", "max_node_count", "max_retry_count")


def fault_of(body: Any) -> str:
    """What is wrong with a body; "" when nothing is."""
    if not isinstance(body, dict):
        return "body must be an object"
    return next(chain(_outer(body), _inner(body.get("parameters"))), "")


def _outer(body: Mapping[str, Any]) -> Iterator[str]:
    task, longest = body.get("task"), body.get("max_timeout_run_ms")
    if task not in {"BATCH", "PERSISTENT"}:
        yield "task must be BATCH or PERSISTENT"
    if not body.get("title"):
        yield "title is required"
    for name in _NUMBERS:
        if name in body and not isinstance(body[name], int):
            yield f"{name} must be an integer"
    if task == "PERSISTENT" and longest is not None:
        yield "max_timeout_run_ms must be null for PERSISTENT"
    if task == "BATCH" and not isinstance(longest, int):
        yield "max_timeout_run_ms is required for BATCH"


def _inner(parameters: Any) -> Iterator[str]:
    docker = parameters.get("parameters") if isinstance(parameters, dict) else None
    if not isinstance(docker, dict) or parameters.get("type") != "docker":
        yield "parameters must be of type docker"
        return
    for name in sorted(set(docker) & {"command", "args", "entrypoint"}):
        yield f"parameters has no {name}"
    if not docker.get("image"):
        yield "parameters.image is required"


def service_of(body: Mapping[str, Any]) -> Service:
    """What runs: the image's own entrypoint, in the environment given."""
    inner = body["parameters"]["parameters"]
    env = {str(k): str(v) for k, v in (inner.get("env") or {}).items()}
    ports = [Port(int(port)) for port in inner.get("ports") or [22]]
    return Service("job", ENTRYPOINT[:1], ENTRYPOINT[1:], list(env.items()), ports)
