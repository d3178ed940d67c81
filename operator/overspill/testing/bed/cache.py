"""A directory cache named by content, safe when several processes fill it at once.

An entry is built in a temporary directory beside its final place and renamed into it, so a
reader sees all of an entry or none; the lock makes a second builder wait for the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from overspill.testing.bed.paths import cache_root


def entry(kind: str, name: str, key: str) -> Path:
    """The place of one entry, whether or not it exists yet."""
    return cache_root() / kind / f"{name}-{key}"


def filled(place: Path, fill: Callable[[Path], None]) -> Path:
    """Return `place`, calling `fill` with an empty directory first where it does not exist."""
    if place.is_dir():
        return place
    with locked(place.parent / f".{place.name}.lock"):
        if place.is_dir():
            return place
        scratch = place.parent / f".{place.name}.{os.getpid()}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            fill(scratch)
            scratch.rename(place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return place


def digest(*parts: bytes | str) -> str:
    """A short hash over parts, each framed by its length so that borders cannot shift."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock; it goes with the process, so a crash never leaves it behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
