"""One attempt of a job and what it is charged for; and the job as `plan()` sees it meanwhile.

Charging begins with the lease and is pro rata; a lease keeps the rate it was opened at. A loss
destroys the work since the last checkpoint, all of it without one. Called by `replay`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.job import Attempt as Told
from overspill.core.job import Checkpoint, Job
from overspill.core.lease import JobRef, Lease
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.core.workload import LeaseRequest
from overspill.simulate.history import History, PastJob

NO_CAP = Decimal(10**9)
"""Of a job whose history names no cap: a simulation rents with no other money than its own."""

MAX_MOVES = 10_000
"""A history may hold jobs of a month on places that blink every hour."""


@dataclass(slots=True)
class Bill:
    """USD and GPU-hours of a job. `start`, `rework` and `double` are parts of `own` + `rented`."""

    own: float = 0.0
    rented: float = 0.0
    egress: float = 0.0
    start: float = 0.0
    rework: float = 0.0
    double: float = 0.0
    """Both places charged while a planned move is under way."""
    wasted_gpu_h: float = 0.0

    @property
    def total(self) -> float:
        """Everything."""
        return self.own + self.rented + self.egress


@dataclass(slots=True)
class Stay:
    """One attempt: where, since when, at what rate. `start_s` is charged and does no work."""

    number: int
    place: str
    """Name of a rented place; empty: at home."""
    nodes: tuple[str, ...]
    begin_s: float
    start_s: float
    usd_per_hour: float
    offer: Offer
    end_s: float | None = None
    lost: bool = False
    preempted: bool = False
    """It left home for a job that would have rented dear."""
    paid_usd: float = 0.0

    def worked_s(self, second: float) -> float:
        """Work done here so far."""
        return max(0.0, second - self.begin_s - self.start_s)


@dataclass(slots=True)
class Running:
    """A job of the history and how far it is."""

    past: PastJob
    job: Job
    bill: Bill = field(default_factory=Bill)
    stays: list[Stay] = field(default_factory=list)
    done_s: float = 0.0
    """Durable work."""
    now: Stay | None = None
    finished_s: float | None = None
    missed: bool = False
    refused: str = ""
    moves: int = 0
    losses: int = 0
    preemptions: int = 0
    """How often it left home for a job that would have rented dear."""
    known: tuple[tuple[object, ...], Job] | None = None
    """What was told of it last, and what that hung on."""

    @property
    def first_start_s(self) -> float | None:
        """When it first got a place."""
        return self.stays[0].begin_s if self.stays else None

    @property
    def ends_s(self) -> float:
        """When the work is done if nothing comes between."""
        assert self.now is not None  # noqa: S101  (asked of running jobs only)
        return self.now.begin_s + self.now.start_s + self.past.work_s - self.done_s

    def durable_s(self, second: float, *, planned: bool) -> float:
        """Work that survives the end of the present stay; a planned end checkpoints first."""
        if self.now is None or self.past.interval_s is None:
            return self.done_s
        worked = self.now.worked_s(second)
        kept = worked if planned else worked // self.past.interval_s * self.past.interval_s
        return min(self.past.work_s, self.done_s + kept)

    def charge(self, stay: Stay, second: float, kept_s: float) -> None:
        """Puts a stay that ends now on the bill."""
        worked, gpus = stay.worked_s(second), self.past.gpus
        idle = second - stay.begin_s - worked
        redone = max(0.0, worked - kept_s)
        paid = stay.usd_per_hour * (second - stay.begin_s) / 3600
        stay.paid_usd += paid
        if stay.place:
            self.bill.rented += paid
        else:
            self.bill.own += paid
        self.bill.start += stay.usd_per_hour * idle / 3600
        self.bill.rework += stay.usd_per_hour * redone / 3600
        self.bill.wasted_gpu_h += gpus * (idle + redone) / 3600


def running(past: PastJob, history: History, changes: Mapping[str, Any]) -> Running:
    """A job of the history as a GPUJob that came this moment."""
    cap = NO_CAP if past.max_total_usd is None else Decimal(str(past.max_total_usd))
    job = Job(
        ref=JobRef("history", past.name, past.name),
        resource_version="1",
        generation=1,
        created_at=history.moment(past.submit_s),
        gpu=GpuRequirements(past.gpus_per_node, (past.model,) if past.model else ()),
        template={},
        sla_class=past.sla,
        num_nodes=past.nodes,
        max_total_usd=cap,
        work=timedelta(seconds=past.work_s),
        finish_by=None if past.deadline_s is None else history.moment(past.deadline_s),
        checkpoint=_checkpoint(past),
        max_moves=MAX_MOVES,
    )
    return Running(past, replace(job, **changes))


def told(run: Running, history: History, durable_s: float) -> Job:
    """The job with its progress and its attempts, as its status would say."""
    past = run.past
    return replace(
        run.job,
        attempts=tuple(_told(s, history) for s in run.stays[-8:]),
        moves=run.moves,
        progress_percent=int(100 * durable_s / past.work_s) if past.work_s else 100,
        durable_checkpoint_uri="durable" if durable_s > 0 else "",
    )


def told_anew(run: Running, history: History, durable_s: float) -> Job:
    """`told` of a job that runs: with each checkpoint it is another, and rarely in between."""
    key = (run.job, len(run.stays), run.moves, durable_s)
    if run.known is None or run.known[0] != key:
        run.known = key, told(run, history, durable_s)
    return run.known[1]


def lease_of(run: Running, history: History) -> Lease:
    """The lease of the present stay."""
    stay, job = run.now, run.job
    assert stay is not None  # noqa: S101  (asked of running jobs only)
    began = history.moment(stay.begin_s)
    return Lease(
        name=_lease_name(run.past, stay),
        namespace=job.ref.namespace,
        uid=_lease_name(run.past, stay),
        resource_version="1",
        job=job.ref,
        attempt=stay.number,
        provider=stay.offer.provider,
        cluster_id="simulation",
        offer=stay.offer,
        request=LeaseRequest(job.gpu.count, job.num_nodes),
        max_usd_per_hour=stay.offer.price_usd_per_hour,
        max_total_usd=job.max_total_usd or NO_CAP,
        hard_deadline=began + timedelta(days=3660),
        created_at=began,
        is_home=not stay.place,
        state=LeaseState.ACTIVE,
        active_since=began,
        price_usd_per_hour=stay.offer.price_usd_per_hour,
    )


def _told(stay: Stay, history: History) -> Told:
    return Told(
        number=stay.number,
        lease=f"{stay.number}",
        provider=stay.offer.provider,
        place=stay.offer.place,
        started_at=history.moment(stay.begin_s),
        ended_at=None if stay.end_s is None else history.moment(stay.end_s),
        reason=_reason(stay),
        cost_usd=Decimal(f"{stay.paid_usd:.6f}"),
    )


def _reason(stay: Stay) -> str:
    if stay.preempted:
        return ClosingReason.PREEMPTED
    return ClosingReason.LOST if stay.lost else ""


def _checkpoint(past: PastJob) -> Checkpoint | None:
    if past.interval_s is None:
        return None
    size = Decimal(str(past.checkpoint_gib))
    return Checkpoint("checkpoint", timedelta(seconds=past.interval_s), size)


def _lease_name(past: PastJob, stay: Stay) -> str:
    return f"{past.name}-{stay.number}"


def stays_of(runs: Sequence[Running]) -> list[tuple[PastJob, Stay]]:
    """All stays that have ended, with their jobs."""
    return [(r.past, s) for r in runs for s in r.stays if s.end_s is not None]
