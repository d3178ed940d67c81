"""The portable part of a pod template: what any market can be told to run.

`core/portability.py` derives it from a GPUJob's template; adapters translate it to a market.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from overspill.core.offer import Beside


@dataclass(frozen=True, slots=True)
class SecretEnv:
    """An environment variable whose value is a key of a Secret, resolved when sending."""

    name: str
    secret_name: str
    key: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class PortableWorkload:
    """One container that can run on any market. Secret values are never in here."""

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    secret_env: tuple[SecretEnv, ...] = ()
    ports: tuple[int, ...] = ()
    cpu_units: Decimal = Decimal(1)
    memory_gib: Decimal = Decimal(2)
    disk_gib: Decimal = Decimal(10)
    working_dir: str = ""

    @property
    def beside(self) -> Beside:
        """What a market is asked for beside the GPUs."""
        return Beside(self.cpu_units, self.memory_gib, self.disk_gib)


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """The frozen request of a lease: exactly what will be asked of the place.

    Rented: `workload` is set. Home: `template` is the pod template (JSON) and `workload` None.
    `secret_digest` is a keyed digest of what `secret_env` resolved to when the lease was planned.
    """

    gpu_count: int
    num_nodes: int = 1
    workload: PortableWorkload | None = None
    template: Mapping[str, Any] = field(default_factory=dict)
    home_node: str = ""
    report_url: str = ""
    secret_digest: str = ""
    active_deadline_seconds: int | None = None
    grace_period_seconds: int = 30
    labels: tuple[tuple[str, str], ...] = ()
