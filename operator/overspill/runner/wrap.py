"""Puts the runner in front of a workload's command. Pure but for reading the script once.

Called by `engine/` when it freezes a lease's request: `wrapped` for portable workloads,
`wrapped_template` for pod templates at home. The token is not put in here: it is resolved when
the request is sent (`providers/`).
"""

import copy
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from overspill.runner import script

NAME = "overspill-runner"
_GPU = "nvidia.com/gpu"


class RunnerMode(StrEnum):
    """What the runner does once the command has ended."""

    EXIT = "exit"
    """End with the command's code: the place takes an ended container for the end (home)."""
    HOLD = "hold"
    """Report and wait to be closed: the market restarts what exits."""


def wrapped(command: Sequence[str], args: Sequence[str] = ()) -> tuple[str, ...]:
    """The command line that runs `command args…` under the runner; it takes no args of its own.

    The mode and all else reach the runner through `OVERSPILL_*`. An empty command stays empty:
    the image's entrypoint is not known, so there is nothing to put a runner in front of.
    """
    if not command:
        return ()
    return ("/bin/sh", "-c", script(), NAME, *command, *args)


def wrapped_template(
    template: Mapping[str, Any], env: Sequence[tuple[str, str]], *, with_runner: bool
) -> dict[str, Any]:
    """A copy of a pod template whose main container has `env` and, if asked, the runner.

    A container without a command keeps its entrypoint and runs without a runner: at home its
    exit code is seen without one.
    """
    copied = copy.deepcopy(dict(template))
    container = main_container(copied["spec"])
    names = {name for name, _ in env}
    kept = [entry for entry in container.get("env") or [] if entry.get("name") not in names]
    container["env"] = [*kept, *({"name": name, "value": value} for name, value in env)]
    if with_runner and container.get("command"):
        container["command"] = list(wrapped(container["command"], container.get("args") or ()))
        container.pop("args", None)
    return copied


def main_container(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The workload's container: the first that asks for GPUs, else the first."""
    containers: list[dict[str, Any]] = spec["containers"]
    asking = [c for c in containers if _GPU in ((c.get("resources") or {}).get("limits") or {})]
    return (asking or containers)[0]
