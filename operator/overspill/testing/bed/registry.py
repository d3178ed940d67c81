"""Knows which beds live on this machine, and what a crashed one may have left behind.

Each bed holds a lock on its registry file. A file whose lock can be taken belongs to a bed
whose process is gone: its record says what to remove.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from overspill.testing.bed.paths import registry_root


@dataclass(frozen=True)
class Record:
    """What has to be removed when its bed is gone."""

    id: str
    directories: list[str] = field(default_factory=list)
    node_state: str = ""
    """The real node's state directory, where the bed had one."""


class Claim:
    """A live bed's entry; `close` removes it."""

    def __init__(self, path: Path, handle: IO[str], record: Record) -> None:
        self._path, self._handle = path, handle
        self.record = record

    def close(self) -> None:
        """Take the entry out: everything it named is gone."""
        self._path.unlink(missing_ok=True)
        self._handle.close()


def new_id() -> str:
    """A short name for a bed, also used in names of network interfaces."""
    return secrets.token_hex(3)


def claim(record: Record) -> Claim:
    """Enter a bed before it makes anything, so that a crash in between is covered too."""
    path = registry_root() / f"{record.id}.json"
    handle = path.open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    json.dump(asdict(record), handle)
    handle.flush()
    return Claim(path, handle, record)


def sweep(remove_node: Callable[[str], None]) -> list[str]:
    """Clean up after dead beds and return their ids; living ones hold their lock."""
    return [path.stem for path in registry_root().glob("*.json") if _swept(path, remove_node)]


def _swept(path: Path, remove_node: Callable[[str], None]) -> bool:
    try:
        with path.open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            text = handle.read()
            if not text:
                return False  # being written by a bed that has not locked it yet
            _remove(Record(**json.loads(text)), remove_node)
            path.unlink(missing_ok=True)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True


def _remove(record: Record, remove_node: Callable[[str], None]) -> None:
    if record.node_state:
        remove_node(record.node_state)
    for directory in record.directories:
        shutil.rmtree(directory, ignore_errors=True)
