"""Shows in SLAClass status, and as metrics, what was attained of what a class promises.

The count goes on from what the class's status says is counted already, so a restart loses nothing
but jobs that ended and were deleted since the last write. One write per class and `sla_period_s` at
most, none when nothing was added; what happened in the last minutes is left for the next count,
because jobs tell some things late (a loss is dated back to the last sign of life).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from overspill.core import attainment
from overspill.core.attainment import Attainment, Share, Tally, share_of_job
from overspill.core.availability import ZERO, share_of
from overspill.core.errors import OverspillError
from overspill.core.sla import SlaClass
from overspill.engine.context import Engine
from overspill.engine.memory import Counted
from overspill.ports import ClassStatus
from overspill.telemetry import SLA_AVAILABILITY, SLA_PROMISES, SLA_SECONDS, SLA_TARGET

LAG = timedelta(minutes=10)
"""More than the longest silence that a shipped class bears before a place is lost."""


def note(engine: Engine, job_uid: str) -> None:
    """Takes over what a job has recorded of its promise."""
    job = engine.cluster.view().jobs.get(job_uid)
    share = share_of_job(job, engine.clock.now()) if job is not None else None
    if job is not None and share is not None:
        klass = engine.klass(job.sla_class).name
        engine.memory.shares[job_uid] = Counted(klass, share)


async def show_classes(engine: Engine) -> None:
    """One pass over all classes."""
    view, now = engine.cluster.view(), engine.clock.now()
    for uid in view.jobs:
        note(engine, uid)
    _part_with_the_gone(engine, now)
    until = now - min(LAG, _period(engine))
    for klass in list(view.classes.values()):
        shares = [c.share for c in engine.memory.shares.values() if c.klass == klass.name]
        recorded = attainment.parsed(klass.status.get("attained"))
        if recorded is None and not shares:
            continue
        before = recorded.rewound(now) if recorded else attainment.begun(shares, until)
        known = before.counted(shares, until)
        _measure(klass, known)
        if recorded is None or abs(known.until - recorded.until) >= _period(engine):
            await _write(engine, klass, recorded, known)
        _forget(engine, klass, before, until)


async def _write(
    engine: Engine, klass: SlaClass, recorded: Attainment | None, known: Attainment
) -> None:
    if known.total == (recorded.total if recorded else Tally()):
        return
    document = {
        "observedGeneration": klass.generation,
        "conditions": klass.status.get("conditions"),
        "attained": attainment.document(known, klass),
    }
    try:
        await engine.cluster.record(ClassStatus(klass, document))
    except OverspillError:
        return  # counted again at the next pass, from the same records


def _part_with_the_gone(engine: Engine, now: datetime) -> None:
    jobs = engine.cluster.view().jobs
    for uid, counted in engine.memory.shares.items():
        if uid not in jobs and counted.gone_at is None:
            counted.gone_at = now
            counted.share = _ended(counted.share, now)


def _ended(share: Share, now: datetime) -> Share:
    """A job that was deleted is wanted no longer, and its open promise with it."""
    return replace(share, ended_at=share.ended_at or now)


def _forget(engine: Engine, klass: SlaClass, before: Attainment, until: datetime) -> None:
    """A deleted job is remembered until what it adds stands in the class's status."""
    for uid, counted in list(engine.memory.shares.items()):
        if counted.klass != klass.name or counted.gone_at is None or counted.gone_at > until:
            continue
        if counted.share.between(before.until, until) == Tally():
            del engine.memory.shares[uid]


def _measure(klass: SlaClass, known: Attainment) -> None:
    total = known.total
    outcomes = {"made": total.made, "kept": total.kept, "broken": total.broken}
    for outcome, count in outcomes.items():
        SLA_PROMISES.labels(klass.name, outcome).set(count)
    if total.wanted > ZERO:
        SLA_AVAILABILITY.labels(klass.name).set(float(share_of(total.down, total.wanted)))
        SLA_SECONDS.labels(klass.name, "wanted").set(total.wanted.total_seconds())
        SLA_SECONDS.labels(klass.name, "down").set(total.down.total_seconds())
    if klass.availability_target is not None:
        SLA_TARGET.labels(klass.name).set(float(klass.availability_target))


def _period(engine: Engine) -> timedelta:
    return timedelta(seconds=engine.settings.sla_period_s)
