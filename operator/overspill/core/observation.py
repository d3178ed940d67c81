"""What was seen of a lease: by asking the market, and by the workload's own reports."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from overspill.core.lease import Handle
from overspill.core.vocabulary import Phase


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a port of the workload can be reached from outside."""

    port: int
    host: str
    external_port: int
    scheme: str = "tcp"


@dataclass(frozen=True, slots=True)
class Observation:
    """What a place says of a lease. `UNKNOWN` is not `LOST`: the market could not tell."""

    phase: Phase
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    price_usd_per_hour: Decimal | None = None
    gpu_model: str = ""
    gpu_count: int | None = None
    host_id: str = ""
    node: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    started_at: datetime | None = None
    ends_at: datetime | None = None
    billed_usd: Decimal | None = None
    bound_at: datetime | None = None

    @property
    def gist(self) -> tuple[object, ...]:
        """What would be news if it changed; times, bills and endpoints are none."""
        price = self.price_usd_per_hour
        return self.phase, self.reason, price, self.gpu_model, self.gpu_count, self.host_id


@dataclass(frozen=True, slots=True)
class HeldLease:
    """One thing an account holds (or just held, when the market still lists it)."""

    handle: Handle
    is_live: bool
    created_at: datetime | None = None
    price_usd_per_hour: Decimal | None = None
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class GpuEvidence:
    """One GPU as `nvidia-smi` saw it."""

    model: str
    memory_mib: int
    uuid: str


@dataclass(frozen=True, slots=True)
class Report:
    """The last word of a lease's runner. `seen_at_monotonic_s` is the receiver's clock."""

    lease: str
    attempt: int
    seen_at_monotonic_s: float
    seen_at: datetime
    has_started: bool = False
    exit_code: int | None = None
    checkpoint_uri: str = ""
    checkpoint_step: int | None = None
    checkpoint_at: datetime | None = None
    progress_percent: int | None = None
    gpus: tuple[GpuEvidence, ...] = field(default=())
    rtt_ms: float | None = None
    """The shortest round trip so far from the place to where it reports; None: not measured."""
    has_stopped: bool = False
    """The command ended because it was told to (stop, deadline, the place's signal): no outcome."""
