"""What every part of the engine works with: ports, settings, queue and memory, wired once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from overspill.core.lease import Lease
from overspill.core.sla import SlaClass
from overspill.engine.accounts import Accounts
from overspill.engine.gate import GatedCluster
from overspill.engine.index import LeaseIndex
from overspill.engine.memory import Memory
from overspill.engine.workqueue import WorkQueue
from overspill.ports import Clock, HomeView, Keepsake, Reports
from overspill.settings import Settings


class Leadership(Protocol):
    """What the engine asks of the elector."""

    identity: str

    @property
    def is_leader(self) -> bool:
        """Whether we may act now."""

    @property
    def epoch(self) -> int:
        """Counts leaders; stamped in permits, never in keys."""

    def remaining_s(self) -> float:
        """Seconds for which leadership is certain."""


class ReportDesk(Reports, Protocol):
    """Reports as the engine steers them."""

    def permit_start(self, lease: str, resume_uri: str) -> None:
        """The attempt may start its command, from that checkpoint."""

    def make_wait(self, lease: str) -> None:
        """The attempt must not start yet: its predecessor is still being drained."""

    def fence(self, lease: str) -> None:
        """The attempt is over: its reports are refused, its command must not start (again)."""

    def forget(self, lease: str) -> None:
        """The lease is closed; nothing more is kept of it."""


SecretReader = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
"""(namespace, name) → the Secret object or None."""


@dataclass
class Engine:
    """One engine of one process; belongs to one event loop."""

    cluster: GatedCluster
    accounts: Accounts
    clock: Clock
    settings: Settings
    reports: ReportDesk
    leader: Leadership
    home: HomeView
    read_secret: SecretReader
    off_loop: Callable[..., Awaitable[Any]] = asyncio.to_thread
    """Runs CPU-heavy pure work beside the loop; simulations run it in place."""
    keepsake: Keepsake | None = None
    """Where the past of places is kept over restarts; None: nowhere."""
    queue: WorkQueue = field(default_factory=WorkQueue)
    memory: Memory = field(default_factory=Memory)
    place_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    index: LeaseIndex = field(init=False)

    def __post_init__(self) -> None:
        self.index = LeaseIndex(self.cluster)

    def klass(self, name: str) -> SlaClass:
        """The SLA class of that name, else the default one, else the built-in defaults."""
        classes = self.cluster.view().classes
        if name in classes:
            return classes[name]
        default = next((c for c in classes.values() if c.is_default), None)
        return default or SlaClass(name="")

    def wait_s(self, lease: Lease) -> float:
        """T_permit + T_quarantine for this lease's provider."""
        return self.permit_s(lease) + self._limit(self.settings.quarantine_s, lease, "quarantine")

    def permit_s(self, lease: Lease) -> float:
        """T_permit for this lease's provider."""
        return self._limit(self.settings.permit_s, lease, "permit_validity")

    def request_s(self, lease: Lease) -> float:
        """T_req for this lease's provider."""
        return self._limit(self.settings.request_s, lease, "request_timeout")

    def _limit(self, setting: float | None, lease: Lease, capability: str) -> float:
        if setting is not None:
            return setting
        provider = self.accounts.provider(lease.provider)
        if provider is None:
            return 60.0
        seconds: float = getattr(provider.capabilities, capability).total_seconds()
        return seconds

    def lease_key(self, lease: Lease) -> tuple[str, str]:
        """The work-queue key under which a lease is driven."""
        return ("lease", lease.uid)

    def tell(self, job_uid: str, delay_s: float | None = None) -> None:
        """Queues the status of a job; changes close together make one write."""
        delay = self.settings.tell_delay_s if delay_s is None else delay_s
        self.queue.add_after(("job", job_uid), delay)

    def want_place(self) -> None:
        """Something that placement depends on has changed."""
        self.place_wanted.set()
