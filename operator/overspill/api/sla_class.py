"""SLAClass: the promise and its means, like a StorageClass."""

from typing import Annotated, Literal

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.meta import Conditions, Resource
from overspill.api.rules import Merge, Rule
from overspill.api.scalars import (
    ATOMIC,
    Count,
    Generation,
    Instant,
    Line,
    Percent,
    PositiveUSD,
    Ratio,
    Seconds,
    Text,
)
from overspill.core.vocabulary import CapacityType, FailbackPolicy, VerificationMode


class ClassFailback(ApiModel):
    """When jobs of the class that run outside come home, unless they say otherwise."""

    policy: FailbackPolicy = FailbackPolicy.WHEN_CHEAPER
    """Never, OnCheckpoint (right after a durable checkpoint) or WhenCheaper."""
    min_saving_percent: Percent = 15
    """Come home only when that saves at least this share of the remaining cost."""
    cooldown_seconds: Seconds = 1800
    """Never move twice within this time."""


class SLAClassSpec(ApiModel):
    """The promise and its means."""

    cel_rules = (
        Rule(
            "self.capacityTypes.all(c, self.capacityTypes.filter(d, d == c).size() == 1)",
            "each capacity type stands once",
            ".capacityTypes",
        ),
    )

    is_default: bool = False
    """True: the class of jobs that name none. Have one such class."""
    capacity_types: Annotated[list[CapacityType], Field(min_length=1, max_length=5), ATOMIC]
    """Which kinds of capacity are allowed, best first."""
    availability_target: Ratio | None = None
    """For services: the promised share of time, "0.999". What was attained of it is told, and where
    spareReplicas is absent it decides how many copies run on which hosts: then the order of
    capacityTypes gives way to what holds the target at the least cost.
    """
    burst_after_seconds: Seconds = 0
    """Wait this long for own capacity before renting."""
    failover_within_seconds: Seconds = 120
    """The promise that a lost place is replaced within this time. Not acted on in this version."""
    pending_patience_seconds: Seconds = 120
    """A child at home that stays Pending so long is withdrawn, then placed elsewhere."""
    heartbeat_grace_seconds: Seconds = 300
    """A rented place that can neither be observed nor be heard for so long is lost."""
    min_reliability: Ratio | None = None
    """Use only places that were there for at least this share of time, "0.95"."""
    verification: VerificationMode = VerificationMode.PREFLIGHT
    """How far the claims of a place are checked. None: not at all. Preflight: the first report's
    GPUs are held against what is paid. The others act as Preflight in this version.
    """
    spare_replicas: Annotated[int, Field(ge=0, le=100)] | None = None
    """For services: copies beyond those asked for, so that a lost one is not missed. Absent: where
    availabilityTarget is given, the operator says how many and where, so that the target holds at
    the least cost; else none.
    """
    max_loss_usd: PositiveUSD | None = None
    """Refuse places where a loss is expected to cost more than this, in USD. Not acted on in this
    version.
    """
    failback: ClassFailback = Field(default_factory=ClassFailback)
    """When jobs of the class that run outside come home."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Jobs of a class with a higher number are placed first."""


class AttainedDay(ApiModel):
    """What was attained on one day (UTC)."""

    date: Annotated[str, Text(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", max_length=10)]
    """The day."""
    made: Count | None = None
    """Finish-bys promised."""
    kept: Count | None = None
    """Finish-bys kept."""
    broken: Count | None = None
    """Finish-bys broken."""
    wanted_seconds: Count | None = None
    """Time that services were wanted, all together."""
    down_seconds: Count | None = None
    """Time of that in which they were down."""


class Attained(ApiModel):
    """What the class attained of what it promised, over a window of days."""

    window_days: Count | None = None
    """How many days are looked back on."""
    since_time: Instant | None = None
    """When counting began."""
    counted_until_time: Instant | None = None
    """Everything until then is counted, nothing after it."""
    promises_made: Count | None = None
    """Jobs that came with a finish-by."""
    promises_kept: Count | None = None
    """Of those that were settled: ended in time."""
    promises_broken: Count | None = None
    """Of those that were settled: not ended in time."""
    finish_by_kept: Line | None = None
    """Kept of kept and broken, in percent."""
    availability: Ratio | None = None
    """The share of the time that services were up, suspensions left out."""
    wanted_seconds: Count | None = None
    """Time that services were wanted, all together."""
    down_seconds: Count | None = None
    """Time of that in which they were down."""
    budget_remaining: Line | None = None
    """Down-time that availabilityTarget still allows in that time."""
    days: Annotated[list[AttainedDay], Field(max_length=64), Merge("map", ("date",))] = Field(
        default_factory=list
    )
    """The same by day; days on which nothing happened are left out."""


class SLAClassStatus(ApiModel):
    """What was observed of the class."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status speaks of."""
    conditions: Conditions = Field(default_factory=list)
    """Observations about the class."""
    attained: Attained | None = None
    """Attained against promised."""


class SLAClass(Resource):
    """A promise to jobs and its means: which capacity they may use, in which order, and when."""

    cel_rules = (
        Rule(
            "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
            "metadata.name is at most 63 characters without dots",
        ),
    )

    kind: Literal["SLAClass"] = "SLAClass"
    spec: SLAClassSpec
    """The promise and its means."""
    status: SLAClassStatus = Field(default_factory=SLAClassStatus)
    """What was observed of the class."""
