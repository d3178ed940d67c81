"""What a market hands to the executor, and what the executor tells back.

The shapes between `markets/` and `executor/`; neither imports the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from overspill.sandbox.gpus import Gpu


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the tenant wants to reach; `external` as they asked for it (0: any)."""

    port: int
    external: int = 0
    protocol: str = "TCP"
    is_http: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """One program of a lease."""

    name: str
    command: Sequence[str]
    args: Sequence[str]
    env: Sequence[tuple[str, str]]
    ports: Sequence[Port] = ()
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """What one lease runs. `restart_backoff_s` is the market's pause before the second restart."""

    lease: str
    key: str
    host: str
    services: Sequence[Service]
    gpu: Gpu | None = None
    gpus: int = 0
    boot_s: float = 3.0
    restart_backoff_s: float = 10.0
    restarts: bool = True
    """Whether the market starts an exited program again."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Where a port of a lease can be reached."""

    port: int
    external: int
    host: str
    protocol: str
    is_http: bool


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How many copies run, and where their ports are."""

    name: str
    total: int
    available: int
    restarts: int = 0
    forwards: Sequence[Forward] = field(default=())
    exit_code: int | None = None
    """Of the last copy that exited and will not start again."""


class NotPossibleError(Exception):
    """The executor cannot do this here; the text says why."""


class Executor(Protocol):
    """Runs leases. Every call returns at once; unknown leases are ignored."""

    def start(self, workload: Workload) -> None:
        """Begins to boot the lease; a lease already there is left as it is."""

    def stop(self, lease: str) -> None:
        """Ends the lease's programs and forgets it."""

    def lose(self, lease: str) -> None:
        """The host vanished: its programs are dead at once, the lease stays known."""

    def recover(self, lease: str) -> None:
        """The host is back: the lease's programs start again on an empty disk."""

    def services(self, lease: str) -> Sequence[ServiceState]:
        """How the lease does."""

    def cut(self, lease: str) -> None:
        """Takes the lease's network away. Raises NotPossibleError."""

    def heal(self, lease: str) -> None:
        """Gives it back. Raises NotPossibleError."""

    def finish(self, lease: str, exit_code: int) -> None:
        """Makes the lease's programs exit, as if by themselves. Raises NotPossibleError."""

    def logs(self, lease: str) -> dict[str, bytes]:
        """Copy name → the end of its output."""

    async def close(self) -> None:
        """Ends everything and leaves nothing behind."""
