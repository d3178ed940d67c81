"""The directory one sandbox keeps its leases' disks, logs and shims in; removed when it ends.

A lock in it says that its sandbox lives. What a killed one left, processes included, the next
sandbox removes when it starts.
"""

import fcntl
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "overspill-sandbox-"
RUN_VARIABLE = "OVERSPILL_SANDBOX_RUN"
"""In the environment of every lease without a cell, so that leftovers can be told for sure."""


class RunDir:
    """The directory, locked while this object is open."""

    def __init__(self, parent: Path) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock = (self.path / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Removes it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def sweep_leftovers(parent: Path) -> list[Path]:
    """Removes the directories, and ends the processes, of sandboxes that no longer live."""
    removed = []
    for path in parent.glob(f"{PREFIX}*"):
        if _is_dead(path):
            _end_processes_of(path)
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


def _is_dead(path: Path) -> bool:
    try:
        with (path / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # in use, or just being made
    return True


def _end_processes_of(path: Path) -> None:
    mark = f"{RUN_VARIABLE}={path}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
