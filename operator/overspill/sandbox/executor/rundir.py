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
"""In the environment of a lease without a cell: its disk, so that its processes can be told."""


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
            end_processes_of(path)
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


def end_processes_of(path: Path) -> None:
    """Kills what was started with its disk at or below the path."""
    marks = (f"{RUN_VARIABLE}={path}/".encode(), f"{RUN_VARIABLE}={path}\0".encode())
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if any(mark in entry.read_bytes() for mark in marks):
                os.kill(int(entry.parent.name), signal.SIGKILL)
