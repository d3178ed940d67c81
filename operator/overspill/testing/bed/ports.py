"""Free ports that several beds on one machine can hold at once.

A port is claimed by a lock on a small file and kept as long as the claim lives, so a component
that is down for a restart does not lose its port to another bed. The range lies below both the
kernel's ephemeral ports and Kubernetes' node ports.
"""

from __future__ import annotations

import fcntl
import random
import socket
from types import TracebackType
from typing import IO

from overspill.testing.bed.paths import registry_root

RANGE = range(20000, 30000)


class PortClaims:
    """All ports of one bed; closing gives them back."""

    def __init__(self) -> None:
        self._held: list[IO[str]] = []

    def claim(self, address: str = "127.0.0.1") -> int:
        """A port nobody listens on at `address` and no other bed has claimed."""
        folder = registry_root() / "ports"
        folder.mkdir(exist_ok=True)
        for port in random.sample(RANGE, 500):
            handle = (folder / str(port)).open("w")
            if _lock(handle) and _is_free(address, port):
                self._held.append(handle)
                return port
            handle.close()
        raise OSError(f"no free port between {RANGE.start} and {RANGE.stop}")

    def close(self) -> None:
        """Give every port back."""
        while self._held:
            self._held.pop().close()

    def __enter__(self) -> PortClaims:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
