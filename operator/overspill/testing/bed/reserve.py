"""Decides whether a bed gets the machine's one real node, and says why where it does not."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from overspill.testing.bed import debian
from overspill.testing.bed.bridge import Bridge
from overspill.testing.bed.leftovers import remove_node, remove_tables
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.paths import registry_root
from overspill.testing.bed.progress import Progress

LOCK = Path("/run/overspill-real-node.lock")
"""Bridge, rules and cgroups are the machine's, so this does not depend on user or TMPDIR."""


class RealNodeUnavailableError(RuntimeError):
    """A real node was demanded and this machine cannot run one; the message says why."""


@dataclass(frozen=True)
class Reservation:
    """The right to run the real node: its directory and the bridge that already stands."""

    state: Path
    bridge: Bridge


def state_folder(bed_id: str) -> Path:
    """Short, because a socket below it may have no more than 108 characters in its path."""
    return registry_root() / f"{bed_id}-node"


def reserve(
    bed_id: str, options: BedOptions, progress: Progress, closing: contextlib.ExitStack
) -> tuple[Reservation | None, str]:
    """The reservation, or None and the reason; `closing` gives everything back."""
    if options.real_node == "no":
        return None, "no real node was asked for"
    reason = _obstacle() or _prepare(options, progress, closing)
    if reason:
        if options.real_node == "yes":
            raise RealNodeUnavailableError(reason)
        progress(f"testbed: no real node: {reason}")
        return None, reason
    state = state_folder(bed_id)
    state.mkdir(mode=0o700)
    closing.callback(remove_tables)
    closing.callback(remove_node, str(state))
    return Reservation(state, Bridge.create(bed_id)), ""


def remove_crashed(state: str) -> None:
    """Clean up after a dead bed without touching the rules of a living one."""
    if not Path(state).exists():
        return
    remove_node(state)
    with LOCK.open("w") as handle:
        if _lock(handle):
            remove_tables()


def _obstacle() -> str:
    if os.geteuid() != 0:
        return "it needs root"
    if shutil.which("apt-get") is None or not Path("/etc/debian_version").exists():
        return "it needs Debian's packages"
    return ""


def _prepare(options: BedOptions, progress: Progress, closing: contextlib.ExitStack) -> str:
    """Take the machine-wide lock and install the packages."""
    handle = closing.enter_context(LOCK.open("w"))
    if not _wait_for(handle, options.real_node_wait_seconds, progress):
        return "another bed has this machine's real node"
    try:
        debian.install_node_tools(progress)
    except debian.DebianError as error:
        return str(error)
    return ""


def _wait_for(handle: IO[str], seconds: float, progress: Progress) -> bool:
    deadline = time.monotonic() + seconds
    told = False
    while not _lock(handle):
        if time.monotonic() > deadline:
            return False
        if not told:
            progress("testbed: another bed has this machine's real node; waiting for it")
            told = True
        time.sleep(0.5)
    return True


def _lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
