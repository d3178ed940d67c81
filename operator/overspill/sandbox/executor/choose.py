"""Picks the executor for the options and this machine, after removing what dead sandboxes left.

Called once by `app.py`. Where cells cannot be made it says why and runs leases without.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.executor import network, rundir
from overspill.sandbox.executor.idle import IdleExecutor
from overspill.sandbox.executor.isolation import why_not_possible
from overspill.sandbox.executor.network import Network
from overspill.sandbox.executor.process import ProcessExecutor, Witness
from overspill.sandbox.executor.shell import ToolError
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.workload import Executor

_DISKS = Path("/var/tmp")  # noqa: S108 -- leases get a /tmp of their own, so disks stand elsewhere


@dataclass(frozen=True, slots=True)
class Chosen:
    """The executor, the address leases reach this machine at, and a sentence about it."""

    executor: Executor
    bridge_address: str
    is_isolated: bool
    note: str


def choose(options: SandboxOptions, clock: SandboxClock, witness: Witness) -> Chosen:
    """The executor the options ask for, as far as the machine allows."""
    if not options.allow_exec:
        note = "Leases run nothing (no --allow-exec); they only become available."
        return Chosen(IdleExecutor(clock.now), "", False, note)
    cells, why = _network(options)
    parent = _DISKS if cells else Path(tempfile.gettempdir())
    rundir.sweep_leftovers(parent)
    executor = ProcessExecutor(
        clock, rundir.RunDir(parent), cells, share=_shared(options), witness=witness
    )
    note = (
        f"Leases run as processes in network namespaces; they reach {executor.address} only."
        if cells
        else f"Leases run as plain processes of this machine, without namespaces: {why}."
    )
    return Chosen(executor, executor.address, cells is not None, note)


def _network(options: SandboxOptions) -> tuple[Network | None, str]:
    if not options.isolate:
        return None, "so it was asked for"
    why = why_not_possible()
    if why:
        return None, why
    try:
        network.sweep_leftovers()
        return Network(options.bridge_cidr), ""
    except ToolError as error:
        if options.bridge_cidr:
            raise ValueError(
                f"The network {options.bridge_cidr} cannot be had: {error}."
            ) from error
        return None, str(error)


def _shared(options: SandboxOptions) -> list[Path]:
    """What leases may read although their /tmp is their own: as asked, and this program's home."""
    hidden = Path("/tmp")  # noqa: S108 -- the directory leases do not share with us
    wanted = [*options.share, Path.cwd(), Path(sys.prefix)]
    found = {path.resolve() for path in wanted}
    return sorted(path for path in found if hidden in path.parents)
