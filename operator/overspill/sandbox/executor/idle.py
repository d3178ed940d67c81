"""The executor that runs nothing: a lease boots, is then available, and does what it is told.

Used without `--allow-exec`, where only the market's own behaviour matters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from overspill.sandbox.workload import Forward, NotPossibleError, ServiceState, Workload


@dataclass(slots=True)
class _Idle:
    workload: Workload
    ready_at: float
    restarts: int = 0
    is_lost: bool = False
    exit_code: int | None = None


class IdleExecutor:
    """Leases that are available once their boot time is over."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._leases: dict[str, _Idle] = {}

    def start(self, workload: Workload) -> None:
        """Begins the boot."""
        if workload.lease not in self._leases:
            self._leases[workload.lease] = _Idle(workload, self._now() + workload.boot_s)

    def stop(self, lease: str) -> None:
        """Forgets the lease."""
        self._leases.pop(lease, None)

    def lose(self, lease: str) -> None:
        """The host vanished."""
        if lease in self._leases:
            self._leases[lease].is_lost = True

    def recover(self, lease: str) -> None:
        """The host is back and boots the lease anew."""
        found = self._leases.get(lease)
        if found is not None:
            found.is_lost, found.ready_at = False, self._now() + found.workload.boot_s
            found.restarts, found.exit_code = found.restarts + 1, None

    def services(self, lease: str) -> Sequence[ServiceState]:
        """Available after the boot; ports stand on an address that leads nowhere."""
        found = self._leases.get(lease)
        if found is None:
            return []
        ready = not found.is_lost and found.exit_code is None and self._now() >= found.ready_at
        return [
            ServiceState(
                name=service.name,
                total=service.replicas,
                available=service.replicas if ready else 0,
                restarts=found.restarts,
                forwards=[
                    Forward(port.port, 30_000 + n, "192.0.2.1", port.protocol, port.is_http)
                    for n, port in enumerate(service.ports)
                ],
                exit_code=found.exit_code,
            )
            for service in found.workload.services
        ]

    def cut(self, lease: str) -> None:
        """There is no network to cut."""
        raise NotPossibleError("Nothing runs in this sandbox, so there is no network to cut.")

    def heal(self, lease: str) -> None:
        """There is no network to heal."""
        raise NotPossibleError("Nothing runs in this sandbox, so there is no network to heal.")

    def finish(self, lease: str, exit_code: int) -> None:
        """The programs exited; where the market restarts them, they boot again."""
        found = self._leases.get(lease)
        if found is not None and not found.workload.restarts:
            found.exit_code = exit_code
        elif found is not None:
            found.restarts += 1
            found.ready_at = self._now() + found.workload.boot_s

    def logs(self, lease: str) -> dict[str, bytes]:
        """Nothing was said."""
        return {}

    async def close(self) -> None:
        """Nothing to end."""
