"""What would have to change: a decision made again with one wish of the job relaxed.

Each relaxation alone is planned in the same snapshot, so what it finds is what the operator would
have done: nothing is estimated. Only what helps is told: a place instead of none, or a cheaper one.
Called by `explain --what-if`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.placement import plan
from overspill.core.placement_record import Record
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.statusparts import usd
from overspill.core.vocabulary import Burst, CapacityType, InterconnectMode, TrustTier

LEAST_GAIN = Decimal("0.99")
"""A change that saves less than a hundredth is not worth a line."""

LATER = timedelta(hours=24)

Told = Callable[[Decision], str]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One change and what it leads to."""

    change: str
    decision: Decision
    saved_usd: Decimal | None
    """Of the whole rest of the work; None where there was no place to compare with."""


def decided(record: Record) -> Decision:
    """The decision of the record, made again. Raises LookupError when the job is not in it."""
    found = plan(record.snapshot, record.now)
    chosen = next((d for d in found if d.job.uid == record.job_uid), None)
    if chosen is None:
        raise LookupError(f"the record holds no open job {record.job_uid}")
    return chosen


def what_if(record: Record) -> tuple[WhatIf, ...]:
    """Every single change that would help, the one that saves most first."""
    now, found = decided(record), dict[str, WhatIf]()
    job = next(j for j in record.snapshot.jobs if j.ref.uid == record.job_uid)
    for tell, changed in _relaxations(record.snapshot, job):
        other = decided(replace(record, snapshot=changed))
        if _helps(now, other):
            saved = _worth(now, other)
            found.setdefault(tell(other), WhatIf(tell(other), other, saved))
    return tuple(sorted(found.values(), key=lambda w: (-(w.saved_usd or 0), w.change)))


def _helps(now: Decision, other: Decision) -> bool:
    if other.action not in (Action.PLACE, Action.MOVE):
        return False
    if now.action not in (Action.PLACE, Action.MOVE):
        return True
    mine, theirs = _price(now), _price(other)
    return theirs < mine * LEAST_GAIN


def _price(decision: Decision) -> Decimal:
    """What is compared: the whole rest where it is known, else a useful hour."""
    if decision.total_usd is not None:
        return decision.total_usd
    return decision.expected_useful_usd_per_hour or Decimal(0)


def _worth(now: Decision, other: Decision) -> Decimal | None:
    is_placed = now.action in (Action.PLACE, Action.MOVE)
    return _price(now) - _price(other) if is_placed else None


def _relaxations(snapshot: Snapshot, job: Job) -> Sequence[tuple[Told, Snapshot]]:
    """(sentence about what was found, the snapshot with that change)."""
    found: list[tuple[Told, Snapshot]] = []

    def job_with(tell: Told, **changes: object) -> None:
        fresh = replace(job, **changes)  # type: ignore[arg-type]  # fields of Job, checked by tests
        found.append((tell, _with_job(snapshot, fresh)))

    _places(job, job_with)
    _promises(job, job_with)
    for tell, changed in _class_and_secrets(snapshot, job):
        found.append((tell, changed))
    return found


def _places(job: Job, job_with: Callable[..., None]) -> None:
    if job.regions:
        job_with(lambda d: f"allow region {_offer(d, 'region')}", regions=())
    if job.providers:
        job_with(lambda d: f"allow provider {_offer(d, 'provider')}", providers=())
    if job.gpu.models:
        gpu = replace(job.gpu, models=())
        job_with(lambda d: f"allow model {_offer(d, 'gpu_model')}", gpu=gpu)
    if job.gpu.memory_min_gib is not None:
        gpu = replace(job.gpu, memory_min_gib=None)
        job_with(lambda d: f"do with {_offer(d, 'gpu_memory_gib')} GiB of GPU memory", gpu=gpu)
    if job.gpu.interconnect_mode is InterconnectMode.REQUIRED:
        gpu = replace(job.gpu, interconnect_mode=InterconnectMode.PREFERRED)
        job_with(lambda d: f"do with interconnect {_offer(d, 'interconnect')}", gpu=gpu)
    if job.capacity_types:
        job_with(lambda d: f"allow capacity type {_offer(d, 'capacity_type')}", capacity_types=())


def _promises(job: Job, job_with: Callable[..., None]) -> None:
    if job.burst is Burst.NEVER:
        job_with(lambda _d: "allow burst", burst=Burst.ALLOWED, burst_after=timedelta(0))
    elif job.burst is Burst.ONLY:
        job_with(lambda _d: "allow home (burst Allowed)", burst=Burst.ALLOWED)
    if job.burst is not Burst.NEVER:
        job_with(lambda _d: "do not wait for home (burstAfterSeconds 0)", burst_after=timedelta(0))
    if job.max_hourly_usd is not None:
        job_with(
            lambda d: f"raise budget.maxHourlyUSD to {usd(d.price_usd_per_hour or Decimal(0))}",
            max_hourly_usd=None,
        )
    rich = Decimal(1_000_000_000)
    job_with(
        lambda d: f"raise budget.maxTotalUSD above {usd(d.total_usd or Decimal(0))}",
        max_total_usd=rich,
    )
    if job.finish_by is not None:
        job_with(lambda _d: "finish a day later", finish_by=job.finish_by + LATER)
        job_with(lambda _d: "no finish-by", finish_by=None)


def _class_and_secrets(snapshot: Snapshot, job: Job) -> Sequence[tuple[Told, Snapshot]]:
    found: list[tuple[Told, Snapshot]] = []
    sla = _class_of(snapshot, job)
    if sla is not None:
        wide = replace(sla, capacity_types=_widened(sla))
        told: Told = lambda d: f"a class that allows {_offer(d, 'capacity_type')}"  # noqa: E731  (short)
        found.append((told, _with_class(snapshot, wide)))
        trusting = replace(sla, min_reliability=None, max_loss_usd=None)
        found.append(
            (lambda _d: "a class that bears less reliable places", _with_class(snapshot, trusting))
        )
    facts = snapshot.facts.get(job.ref.uid, JobFacts())
    if facts.secret_tiers is not None:
        free = replace(facts, secret_tiers=frozenset(TrustTier))
        told = lambda d: f"annotate its Secrets for tier {_offer(d, 'trust_tier')}"  # noqa: E731  (short)
        found.append((told, replace(snapshot, facts={**snapshot.facts, job.ref.uid: free})))
    return found


def _widened(sla: SlaClass) -> tuple[CapacityType, ...]:
    return (*sla.capacity_types, *(t for t in CapacityType if t not in sla.capacity_types))


def _class_of(snapshot: Snapshot, job: Job) -> SlaClass | None:
    if job.sla_class:
        return snapshot.classes.get(job.sla_class)
    return next((c for _, c in sorted(snapshot.classes.items()) if c.is_default), None)


def _with_class(snapshot: Snapshot, sla: SlaClass) -> Snapshot:
    return replace(snapshot, classes={**snapshot.classes, sla.name: sla})


def _with_job(snapshot: Snapshot, job: Job) -> Snapshot:
    jobs = tuple(job if j.ref.uid == job.ref.uid else j for j in snapshot.jobs)
    return replace(snapshot, jobs=jobs)


def _offer(decision: Decision, name: str) -> str:
    return str(getattr(decision.offer, name, "")) or "another"
