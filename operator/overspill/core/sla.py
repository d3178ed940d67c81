"""SLA classes and budgets as values: the promise and its means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.vocabulary import BudgetPeriod, CapacityType, FailbackPolicy, VerificationMode


@dataclass(frozen=True, slots=True)
class SlaClass:
    """A promise (availability, finish-by kept) and its means; like a StorageClass."""

    name: str
    is_default: bool = False
    capacity_types: tuple[CapacityType, ...] = (CapacityType.OWN,)
    availability_target: Decimal | None = None
    burst_after: timedelta = timedelta(0)
    failover_within: timedelta = timedelta(seconds=120)
    pending_patience: timedelta = timedelta(seconds=120)
    heartbeat_grace: timedelta = timedelta(seconds=300)
    min_reliability: Decimal | None = None
    verification: VerificationMode = VerificationMode.PREFLIGHT
    spare_replicas: int | None = None
    """None: the operator chooses, where availability is promised."""
    max_loss_usd: Decimal | None = None
    failback_policy: FailbackPolicy = FailbackPolicy.WHEN_CHEAPER
    failback_min_saving_percent: int = 15
    failback_cooldown: timedelta = timedelta(minutes=30)
    priority: int = 0
    resource_version: str = field(default="", compare=False)
    generation: int = field(default=1, compare=False)
    status: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """As last written; nothing is decided on it."""

    @property
    def promises_nothing(self) -> bool:
        """No availability, and a priority below that of a class that says nothing: besteffort."""
        return self.availability_target is None and self.priority < 0

    @property
    def chooses_spares(self) -> bool:
        """Whether the operator says how many copies of a service are to spare, and where all
        stand: as the promise asks, or without one where it is cheapest.
        """
        is_weighed = self.availability_target is not None or self.promises_nothing
        return self.spare_replicas is None and is_weighed


@dataclass(frozen=True, slots=True)
class Reservation:
    """Dollars of a budget spoken for by one lease, recorded before the lease is (R1)."""

    lease: str
    job_uid: str
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Budget:
    """A GPUBudget: dollars of one namespace over a period, with what is spoken for."""

    namespace: str
    name: str
    limit_usd: Decimal
    spent_usd: Decimal = Decimal(0)
    committed_usd: Decimal = Decimal(0)
    forecast_usd: Decimal = Decimal(0)
    resource_version: str = ""
    reservations: tuple["Reservation", ...] = ()
    period: BudgetPeriod = BudgetPeriod.MONTHLY
    period_started_at: datetime | None = None
    generation: int = 1

    @property
    def free_usd(self) -> Decimal:
        """What may still be committed."""
        return self.limit_usd - self.spent_usd - self.committed_usd - self.forecast_usd
