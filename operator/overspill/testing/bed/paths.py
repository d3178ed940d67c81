"""Where the test bed keeps things: the per-user cache, the run registry and the go.mod files.

Everything that survives a bed lies in the cache and is named by its content; everything else
lies in a bed's own working directory, which the registry lets a later bed find and clean up.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_root() -> Path:
    """The per-user cache, shared by all beds and safe to delete at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "overspill"


def registry_root() -> Path:
    """One small file per live bed, so that the next bed can clean up after a crashed one."""
    root = Path(tempfile.gettempdir()) / f"overspill-beds-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"{root} belongs to another user")
    return root


def memory_root() -> Path | None:
    """A RAM-backed directory for etcd, where the machine offers one."""
    shm = Path("/dev/shm")  # noqa: S108 - beds make directories of their own below it
    return shm if os.access(shm, os.W_OK) and os.path.ismount(shm) else None


def modules_root() -> Path:
    """The directory `testbed/` with the code-free go.mod files, found from the source tree."""
    given = os.environ.get("OVERSPILL_TESTBED")
    if given:
        return Path(given)
    for parent in Path(__file__).resolve().parents:
        if (parent / "testbed" / "k8s" / "go.mod").is_file():
            return parent / "testbed"
    raise FileNotFoundError("testbed/ not found: run from a checkout or set OVERSPILL_TESTBED")
