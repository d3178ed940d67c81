"""Writes the status of GPUJobs: the only writer, level-triggered, one write when it is worth one.

The document is composed by `core/jobstatus` from the ledger and the last decision.
"""

from datetime import timedelta
from typing import Any

from overspill.core import jobstatus
from overspill.core.copies import copies_wanted
from overspill.core.copies_status import Other, Seen
from overspill.core.cost import job_cost, spent_usd
from overspill.core.job import Job
from overspill.core.jobstatus import Facts, Live
from overspill.core.lease import Lease
from overspill.core.outcome import outcome
from overspill.core.promise import is_outdated
from overspill.core.reasons import Condition, Reason
from overspill.core.telling import may_wait
from overspill.core.vocabulary import LeaseState, PromiseOutcome
from overspill.engine import attain, copies, giveway, spares
from overspill.engine.context import Engine
from overspill.engine.gather import reference
from overspill.ports import DeleteJob, Event, JobStatus


async def tell_job(engine: Engine, job_uid: str) -> None:
    """Brings one job's status up to date, ends it when it ended, forgets it after its ttl."""
    job = engine.cluster.view().jobs.get(job_uid)
    if job is None or job.deletion_requested:
        return
    if job.managed_by not in ("", "overspill.dev/operator"):
        return
    leases = engine.index.of(job_uid)
    if _awaits_decision(engine, job, leases):
        return  # placement tells at once what it decides
    now = engine.clock.now()
    document = jobstatus.status_document(_facts(engine, job, leases), now)
    if jobstatus.differs(job.status, document) or _is_outdated(engine, job, document):
        wait = may_wait(job, jobstatus.current_lease(leases), document, now)
        wait_s = wait.total_seconds() or giveway.patience_s(engine, job)
        if wait_s:
            engine.queue.add_after(("job", job_uid), wait_s)
            return
        await engine.cluster.record(JobStatus(job, document))
        giveway.note(engine, job, document)
        await _ended(engine, job, document, leases)
    _look_again(engine, job, document)
    await _expire(engine, job)


def _is_outdated(engine: Engine, job: Job, document: dict[str, Any]) -> bool:
    """The figures of a service are brought up to date now and then."""
    period = timedelta(seconds=engine.settings.sla_period_s)
    return is_outdated(job.status.get("sla"), document.get("sla"), period, engine.clock.now())


def _look_again(engine: Engine, job: Job, document: dict[str, Any]) -> None:
    """Nothing else may happen when a finish-by passes, or while a service only runs."""
    sla = document.get("sla") or {}
    if document["phase"] in ("Complete", "Failed"):
        return
    if "service" in sla:
        engine.queue.add_after(("job", job.ref.uid), engine.settings.sla_period_s)
    elif job.finish_by is not None and sla.get("outcome") == PromiseOutcome.OPEN:
        left = (job.finish_by - engine.clock.now()).total_seconds()
        engine.queue.add_after(("job", job.ref.uid), max(0.0, left) + 1)


def _awaits_decision(engine: Engine, job: Job, leases: list[Lease]) -> bool:
    """Whether all that could be told is the answer to an older spec.

    Said under the new generation it would be untrue: a job that was mended is not Stalled.
    """
    decision = engine.memory.decisions.get(job.ref.uid)
    if decision is None or decision.generation in (None, job.generation):
        return False
    if job.is_finished or outcome(job, leases) is not None:
        return False
    return jobstatus.current_lease(leases) is None


def _facts(engine: Engine, job: Job, leases: list[Lease]) -> Facts:
    now, view = engine.clock.now(), engine.cluster.view()
    cost = job_cost(job, leases, reference(engine, view), now)
    klass = engine.klass(job.sla_class)
    return Facts(
        job=job,
        leases=leases,
        decision=engine.memory.decisions.get(job.ref.uid),
        obstacle=_obstacle(engine, job),
        live=_live(engine, leases),
        cost=cost.document(),
        spent_usd=cost.spent_usd,
        copies=_copies(engine, job),
        klass=klass,
        reports=[r for r in map(engine.reports.latest, (x.name for x in leases)) if r is not None],
    )


def _copies(engine: Engine, job: Job) -> Seen | None:
    service = copies.service_seen(engine, job.ref.uid)
    if service is None:
        return None
    klass, now = engine.klass(job.sla_class), engine.clock.now()
    others = []
    for copy in service.copies.values():
        leases = engine.index.of(copy.ref.uid)
        lease = jobstatus.current_lease(leases)
        is_active = lease is not None and lease.state is LeaseState.ACTIVE and not copy.is_finished
        is_running = is_active and not copy.suspend and copy.is_true(Condition.RUNNING)
        spent = spent_usd(copy, leases, now)
        others.append(Other(copy.ref.name, is_active, is_running, spent))
    problem = engine.memory.copy_problems.get(job.ref.uid)
    chosen = spares.counted(engine, job) if klass.chooses_spares else None
    wanted = copies_wanted(job, klass, chosen.count if chosen else None)
    return Seen(wanted, others, problem, chosen)


def _obstacle(engine: Engine, job: Job) -> tuple[Reason, str] | None:
    known = engine.memory.secrets.get(job.ref.uid)
    return known.problem if known else None


def _live(engine: Engine, leases: list[Lease]) -> Live:
    lease = jobstatus.current_lease(leases)
    if lease is None:
        return Live()
    seen = engine.memory.seen.get(lease.name)
    degraded = engine.memory.degraded.get(lease.name)
    return Live(
        observation=seen.observation if seen else None,
        report=engine.reports.latest(lease.name),
        degraded=degraded[0] if degraded else None,
        degraded_message=degraded[1] if degraded else "",
        near_ceiling=lease.name in engine.memory.near_ceiling,
    )


async def _ended(
    engine: Engine, job: Job, document: dict[str, object], leases: list[Lease]
) -> None:
    """The first write of a terminal condition wakes the leases that are left."""
    if document["phase"] not in ("Complete", "Failed") or job.is_finished:
        return
    for lease in leases:
        engine.queue.add(engine.lease_key(lease))
    engine.want_place()
    attain.note(engine, job.ref.uid)  # it may be deleted before anybody counts it
    words = document["conditions"]
    assert isinstance(words, list)  # noqa: S101  (composed by jobstatus)
    end = next(c for c in words if c["type"] == document["phase"])
    warn = document["phase"] == "Failed"
    await engine.cluster.record(Event(job, end["reason"], end["message"], warn))


async def _expire(engine: Engine, job: Job) -> None:
    if job.ttl_after_finished is None or not job.is_finished:
        return
    end = job.ended_at
    if end is None:
        return
    left = (end + job.ttl_after_finished - engine.clock.now()).total_seconds()
    if left > 0:
        engine.queue.add_after(("job", job.ref.uid), left)
    elif all(_is_settled(lease) for lease in engine.index.of(job.ref.uid)):
        await engine.cluster.record(DeleteJob(job))
    else:
        engine.queue.add_after(("job", job.ref.uid), 5)


def _is_settled(lease: Lease) -> bool:
    return lease.closed_at is not None and not lease.has_finalizer
