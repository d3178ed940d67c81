"""The promise: a GPUJob as the core sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.lease import JobRef
from overspill.core.offer import GpuRequirements
from overspill.core.vocabulary import (
    Burst,
    CapacityType,
    DataClass,
    FailbackPolicy,
    Fencing,
    VerificationMode,
    Workload,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint contract. `uri` is the job's base; each attempt has its own prefix below."""

    uri: str
    interval: timedelta
    size_gib: Decimal = Decimal(0)
    restore: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of `status.attempts`."""

    number: int
    lease: str
    provider: str
    place: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    exit_code: int | None = None
    checkpoint_uri: str = ""
    checkpoint_step: int | None = None
    cost_usd: Decimal = Decimal(0)


TERMINAL = ("Complete", "Failed")
"""A job has at most one of these conditions."""


@dataclass(frozen=True, slots=True)
class Job:
    """A GPUJob: spec as the user wrote it, status as last written. Durations are timedeltas."""

    ref: JobRef
    resource_version: str
    generation: int
    created_at: datetime
    gpu: GpuRequirements
    template: Mapping[str, Any]
    workload: Workload = Workload.TRAINING
    sla_class: str = ""
    num_nodes: int = 1
    replicas: int = 1
    suspend: bool = False
    managed_by: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    # limits
    max_total_usd: Decimal | None = None
    max_hourly_usd: Decimal | None = None
    finish_by: datetime | None = None
    work: timedelta | None = None
    active_deadline: timedelta | None = None
    data_gib: Decimal = Decimal(0)
    checkpoint: Checkpoint | None = None
    # placement
    burst: Burst = Burst.ALLOWED
    burst_after: timedelta | None = None
    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    max_rtt_ms: int | None = None
    capacity_types: tuple[CapacityType, ...] = ()
    data_class: DataClass = DataClass.INTERNAL
    min_verification: VerificationMode = VerificationMode.NONE
    failback_policy: FailbackPolicy | None = None
    failback_min_saving_percent: int | None = None
    failback_cooldown: timedelta | None = None
    max_moves: int = 20
    retry_exit_codes: tuple[int, ...] = ()
    fencing: Fencing = Fencing.IMMEDIATE
    backoff_limit: int = 6
    ttl_after_finished: timedelta | None = None
    endpoint_port: int | None = None
    deletion_requested: bool = False
    owner_name: str = ""
    owner_uid: str = ""
    """The GPUJob that controls this one: it is a copy of that one's service (`core/copies`)."""
    # status
    conditions: tuple[Mapping[str, Any], ...] = ()
    attempts: tuple[Attempt, ...] = ()
    moves: int = 0
    failures: int = 0
    last_move_at: datetime | None = None
    durable_checkpoint_uri: str = ""
    durable_checkpoint_step: int | None = None
    durable_checkpoint_at: datetime | None = None
    progress_percent: int | None = None
    closed_cost_usd: Decimal = Decimal(0)
    reference_closed_usd: Decimal = Decimal(0)
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gpus_total(self) -> int:
        """GPUs of the whole gang."""
        return self.gpu.count * self.num_nodes

    @property
    def is_held(self) -> bool:
        """Nothing of it is to run: suspended, or a service scaled to no copies."""
        return self.suspend or (self.replicas == 0 and self.workload is Workload.INFERENCE)

    def condition(self, kind: str) -> Mapping[str, Any] | None:
        """The condition of that type, if it was ever written."""
        for found in self.conditions:  # asked for thousands of jobs in every plan
            if found.get("type") == kind:
                return found
        return None

    def is_true(self, kind: str) -> bool:
        """Whether a condition stands at True."""
        found = self.condition(kind)
        return found is not None and found.get("status") == "True"

    @property
    def is_finished(self) -> bool:
        """Complete or Failed: the job has its one terminal condition."""
        return any(c.get("type") in TERMINAL and c.get("status") == "True" for c in self.conditions)

    @property
    def ended_at(self) -> datetime | None:
        """When the terminal condition was written."""
        for kind in TERMINAL:
            found = self.condition(kind)
            if found is not None and found.get("status") == "True":
                return datetime.fromisoformat(str(found["lastTransitionTime"]))
        return None

    @property
    def last_attempt(self) -> int:
        """Highest attempt number recorded so far, 0 before the first."""
        return max((a.number for a in self.attempts), default=0)
