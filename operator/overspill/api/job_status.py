"""The status of a GPUJob; written by the engine alone, composed in `core/jobstatus`."""

from typing import Annotated

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.meta import JobConditions
from overspill.api.rules import Merge
from overspill.api.scalars import (
    ATOMIC,
    Count,
    ExactUSD,
    ExitCode,
    Generation,
    Instant,
    Line,
    Message,
    Percent,
    Ratio,
    ReasonWord,
    Seconds,
    SignedSeconds,
    SignedUSD,
    Text,
    Uid,
    Word,
)
from overspill.core.availability import Standing
from overspill.core.decision import Action
from overspill.core.vocabulary import CapacityType, JobPhase, PromiseOutcome


class PlacementStatus(ApiModel):
    """Where the job is."""

    provider: Word | None = None
    """The GPUProvider."""
    place: Word | None = None
    """Provider and region, or provider and node."""
    lease_name: Word | None = None
    """The GPULease."""
    attempt: Count | None = None
    """Number of the attempt."""
    gpus: Word | None = None
    """How many of which GPU: 2xh100."""
    price_per_hour_usd: ExactUSD | None = None
    """What the lease costs per hour in USD."""
    since_time: Instant | None = None
    """Since when."""
    region: Word | None = None
    """The region of the place."""
    capacity_type: CapacityType | None = None
    """How firmly the place is ours."""
    rtt_millis: Count | None = None
    """The round trip from there to this cluster as its runner measured it, the shortest so far."""


class CostLine(ApiModel):
    """One line of the price of the chosen offer for the remaining work."""

    name: Word
    """What is paid."""
    usd: SignedUSD
    """USD."""


class RejectedOffers(ApiModel):
    """A group of offers that lost, with the one reason they share."""

    provider: Word
    """The GPUProvider."""
    reason: ReasonWord
    """Why, one CamelCase word."""
    message: Message | None = None
    """Why, in a sentence."""
    offers: Count | None = None
    """How many offers."""
    gpu_model: Word | None = None
    """Their GPU model."""
    cheapest_per_hour_usd: ExactUSD | None = None
    """The cheapest of them in USD per hour."""


class DecisionStatus(ApiModel):
    """The last decision: what was chosen, what it costs line by line, and why not otherwise."""

    action: Action
    """Place, Wait, Move, Stay or Refuse."""
    reason: ReasonWord
    """Why, one CamelCase word."""
    message: Message | None = None
    """Why, in a sentence."""
    time: Instant | None = None
    """When it was decided."""
    provider: Word | None = None
    """The chosen GPUProvider."""
    offer_id: Line | None = None
    """The chosen offer."""
    gpu_model: Word | None = None
    """The GPU model of the chosen offer."""
    price_per_hour_usd: ExactUSD | None = None
    """What the chosen offer costs per hour in USD."""
    total_usd: SignedUSD | None = None
    """What the remaining work costs there, all in, in USD."""
    useful_hour_usd: SignedUSD | None = None
    """What an hour of useful work costs there in USD, expected losses counted."""
    lines: Annotated[list[CostLine], Field(max_length=64), ATOMIC] = Field(default_factory=list)
    """The total, line by line."""
    rejected: Annotated[list[RejectedOffers], Field(max_length=128), ATOMIC] = Field(
        default_factory=list
    )
    """The losers, in groups."""
    wait_until_time: Instant | None = None
    """Until when the job waits."""
    saving_usd: SignedUSD | None = None
    """What a move saves in USD."""


class Progress(ApiModel):
    """How far the work is, as the workload reports it."""

    percentage: Percent | None = None
    """Done, in percent."""
    estimated_remaining_seconds: Seconds | None = None
    """Time the rest takes."""
    last_checkpoint_time: Instant | None = None
    """When the last durable checkpoint was reported."""
    last_checkpoint_step: Generation | None = None
    """Its step."""
    last_checkpoint_uri: Annotated[str, Text(max_length=4096)] | None = None
    """Where it is; the next attempt starts from it."""


class Cost(ApiModel):
    """Money, as of the last write; live figures: `kubectl overspill cost`."""

    spent_usd: ExactUSD | None = None
    """Spent so far in USD."""
    committed_usd: ExactUSD | None = None
    """What open leases can still cost in USD."""
    projected_usd: ExactUSD | None = None
    """What the whole job will cost in USD."""
    reference_usd: ExactUSD | None = None
    """The same GPU-hours at the reference price, in USD."""
    saved_usd: SignedUSD | None = None
    """Reference less spent, in USD."""


class ServiceBreak(ApiModel):
    """A time in which the service did not run."""

    standing: Standing
    """Down (it was wanted) or Suspended (it was not)."""
    start_time: Instant
    """When it began."""
    end_time: Instant | None = None
    """When it ended; absent: it lasts."""
    seconds: Seconds | None = None
    """How long it was; less than from start to end where several were made one."""


class ServiceStatus(ApiModel):
    """What the availability of a service is reckoned from."""

    first_run_time: Instant | None = None
    """When it first ran: from then on it counts."""
    down_seconds: Seconds | None = None
    """Time it was down since then, without a break that lasts."""
    suspended_seconds: Seconds | None = None
    """Time its user had suspended it since then, likewise."""
    breaks: Annotated[list[ServiceBreak], Field(max_length=64), ATOMIC] = Field(
        default_factory=list
    )
    """The breaks of the last 30 days, oldest first; beyond 32 the oldest are made one."""


class SlaStatus(ApiModel):
    """Attained against promised. docs/operations.md says what counts as kept and as down."""

    promised: Line | None = None
    """The class, and what it promises to this job: a finish-by, or a share of time."""
    class_name: Word | None = None
    """The SLAClass, also where the job names none."""
    outcome: PromiseOutcome | None = None
    """Of a finish-by: Open, Kept, Broken, or Released (its user's own doing)."""
    late_seconds: SignedSeconds | None = None
    """How much later than the finish-by the work ended; negative: earlier."""
    availability: Ratio | None = None
    """Of a service: the share of the time it was up since it first ran, suspensions left out."""
    attained: Line | None = None
    """What was kept, in words."""
    budget_remaining: Line | None = None
    """What may still go wrong: slack of a job, minutes of down-time of a service."""
    as_of_time: Instant | None = None
    """When the figures of a service were reckoned."""
    service: ServiceStatus | None = None
    """What they are reckoned from."""


class AttemptStatus(ApiModel):
    """One attempt."""

    number: Annotated[int, Field(ge=1, le=2_147_483_647)]
    """Its number; a higher number fences the lower ones."""
    lease_name: Word | None = None
    """Its GPULease."""
    provider: Word | None = None
    """Its GPUProvider."""
    place: Word | None = None
    """Where it ran."""
    start_time: Instant | None = None
    """When its place was ours."""
    end_time: Instant | None = None
    """When it ended."""
    reason: ReasonWord | None = None
    """Why it ended."""
    exit_code: ExitCode | None = None
    """Exit code of the command."""
    checkpoint_uri: Annotated[str, Text(max_length=4096)] | None = None
    """Its last durable checkpoint."""
    checkpoint_step: Generation | None = None
    """The step of that checkpoint."""
    cost_usd: ExactUSD | None = None
    """What it cost in USD."""


class CopyShare(ApiModel):
    """What one copy of a service may use of the service's budget."""

    number: Annotated[int, Field(ge=0, le=1100)]
    """The number of the copy; 0 is this GPUJob itself."""
    uid: Uid | None = None
    """The uid of the copy's GPUJob; absent: it is not made yet."""
    max_total_usd: ExactUSD | None = None
    """Its part of budget.maxTotalUSD."""
    max_hourly_usd: ExactUSD | None = None
    """Its part of budget.maxHourlyUSD."""


class GoneCopy(ApiModel):
    """A copy that somebody deleted: what it counts with in the service's budget."""

    uid: Uid
    """The uid that its GPUJob had."""
    max_total_usd: ExactUSD | None = None
    """Its part of budget.maxTotalUSD; once all its leases are closed, what they have cost."""


class CopiesStatus(ApiModel):
    """The copies of a service, this GPUJob among them."""

    ready: Count | None = None
    """Copies that run."""
    wanted: Count | None = None
    """Copies there should be, the class's spares included."""
    spares: Count | None = None
    """Of these, the copies beyond `replicas` that the operator chose for availability."""
    message: Line | None = None
    """Why so many, when they were chosen."""
    spent_usd: ExactUSD | None = None
    """What all copies have spent, in USD."""
    gone: Annotated[list[GoneCopy], Field(max_length=1101), Merge("map", ("uid",))] = Field(
        default_factory=list
    )
    """Copies that somebody deleted, while their leases are in the ledger."""
    gone_usd: ExactUSD | None = None
    """What those before them count with, in USD."""
    shares: Annotated[list[CopyShare], Field(max_length=1101), Merge("map", ("number",))] = Field(
        default_factory=list
    )
    """How the budget is divided. What stands here, a copy may spend; written by compare-and-swap,
    so that no dollar is given twice.
    """


class EndpointStatus(ApiModel):
    """Where the service answers."""

    url: Annotated[str, Text(max_length=2048)] | None = None
    """The URL; it stays the same wherever the job runs."""


class GPUJobStatus(ApiModel):
    """What the operator observed and decided."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status speaks of."""
    conditions: JobConditions = Field(default_factory=list)
    """Placed, Running, Ready, Complete, Failed, Suspended, Reconciling, Stalled, and those that
    stand only while true: BudgetExceeded, NodeLost, DeadlineAtRisk, NotBurstable, Degraded.
    """
    phase: JobPhase | None = None
    """One word for people, derived from the conditions."""
    placement: PlacementStatus | None = None
    """Where the job is."""
    decision: DecisionStatus | None = None
    """The last decision; `kubectl overspill explain` prints it."""
    progress: Progress | None = None
    """How far the work is."""
    cost: Cost | None = None
    """Money, as of the last write."""
    sla: SlaStatus | None = None
    """Attained against promised."""
    attempts: Annotated[list[AttemptStatus], Field(max_length=32), Merge("map", ("number",))] = (
        Field(default_factory=list)
    )
    """The attempts, newest last; at most 32, the oldest are dropped."""
    moves: Count | None = None
    """How often the job moved."""
    failures: Count | None = None
    """How often the command itself failed."""
    last_move_time: Instant | None = None
    """When it last moved."""
    finish_by_time: Instant | None = None
    """The deadline as an instant."""
    endpoint: EndpointStatus | None = None
    """Where the service answers."""
    closed_cost_usd: ExactUSD | None = None
    """Cost of attempts whose leases are no longer kept, in USD."""
    closed_reference_usd: ExactUSD | None = None
    """Reference cost of those attempts in USD."""
    copies: CopiesStatus | None = None
    """The copies of a service that has, or had, more than one."""
    replicas: Count | None = None
    """Copies that hold a place; read by `kubectl scale` and autoscalers."""
    selector: Annotated[str, Text(max_length=1024)] | None = None
    """Label selector of the pods at home; read by autoscalers."""
