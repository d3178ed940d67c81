"""Keeps the copies of a service as they should be: divides its money, makes and changes GPUJobs.

Level-triggered and re-entrant: the record of the money first (compare-and-swap in copy 0's status),
then what it allows. A crash between two writes leaves less given than there is, never more.
Called by `drive` after the status of a GPUJob was looked at; docs/designs/0005.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from overspill.core import copies
from overspill.core.copies import Plan, Service
from overspill.core.copies_money import (
    Books,
    Record,
    gone_of,
    least_needed,
    next_record,
    record_document,
    recorded,
    shares_of,
)
from overspill.core.errors import ClusterUnavailable, Conflict, Gone, OverspillError
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.reasons import Reason
from overspill.core.vocabulary import LeaseState
from overspill.engine import giveway, spares
from overspill.engine.context import Engine
from overspill.ports import ChangeCopy, JobStatus, MakeCopy

MONEY = ("shares", "gone", "goneUSD")
"""Fields of `status.copies` that are the record of the money."""
MOST_RECORDS = 4
"""One look writes the record so often at most: lowered first, then given to others."""
MOST_WRITES = 20
"""Of each kind in one look, so that of a service of a thousand copies something is told meanwhile:
while its key is worked on, nobody else writes its status."""
REFUSED_S = 30.0
"""A copy that the API server does not take (a quota…) is tried again after this time."""


async def settle_copies(engine: Engine, job_uid: str) -> None:
    """One pass over the copies of a service; nothing for any other job.

    Raises Conflict, Gone, ClusterUnavailable: the pass is dropped and comes again.
    """
    service = service_seen(engine, job_uid)
    if service is None or not engine.cluster.view().synced:
        return
    for _ in range(MOST_RECORDS):
        written = await _divide(engine, service)
        again = service_seen(engine, job_uid)
        if again is None:
            return
        service = again
        if not written:
            await _apply(engine, service)
            return
    engine.tell(job_uid)


def note(engine: Engine, job_uid: str) -> str:
    """Takes in a change of a GPUJob; returns the uid of the service it is a copy of, "" if none."""
    job = engine.cluster.view().jobs.get(job_uid)
    if job is not None and job.owner_uid:
        engine.memory.copy_of[job_uid] = job.owner_uid
    elif job is None:
        return engine.memory.copy_of.pop(job_uid, "")
    return owner_of(engine, job_uid)


def owner_of(engine: Engine, job_uid: str) -> str:
    """The uid of the service that a GPUJob is a copy of, "" if of none."""
    return engine.memory.copy_of.get(job_uid, "")


def service_seen(engine: Engine, job_uid: str) -> Service | None:
    """The service whose copy 0 this is, as the view has it; None: nothing is to be done for it."""
    view = engine.cluster.view()
    job = view.jobs.get(job_uid)
    if job is None or not copies.is_service(job):
        return None
    wanted = _wanted(engine, job)
    others: Iterable[Job] = ()
    if wanted > 1 or job_uid in engine.memory.copy_of.values():
        others = (j for j in view.jobs.values() if j.ref.namespace == job.ref.namespace)
    service = copies.service_of(job, others)
    return service if copies.has_copies(service, wanted) else None


def is_funded(engine: Engine, job: Job) -> bool:
    """Whether placement may decide for this job: what it may spend is settled."""
    if not copies.is_service(job) and not job.owner_uid:
        return True
    owner = engine.cluster.view().jobs.get(job.owner_uid) if job.owner_uid else None
    wanted = _wanted(engine, job) + sum(
        uid == job.ref.uid for uid in engine.memory.copy_of.values()
    )
    return copies.may_be_placed(job, owner, wanted)


def _wanted(engine: Engine, job: Job) -> int:
    chosen = spares.counted(engine, job)
    count = chosen.count if chosen else None
    return copies.copies_wanted(job, engine.klass(job.sla_class), count)


async def _divide(engine: Engine, service: Service) -> bool:
    """Writes the next record of the money; False: the one that stands is right.

    What the view says is confirmed by a quorum LIST: it is later than the record it is held
    against, so it shows every lease that was let pass under that record (`engine/shares`).
    """
    job = service.job
    if job.max_total_usd is None and job.max_hourly_usd is None and not shares_of(job):
        return False
    if _next(engine, service, engine.cluster.view().leases.values()) == recorded(job):
        return False
    record = _next(engine, service, await engine.cluster.all_leases())
    if record == recorded(job):
        return False
    if record.gone.keys() - gone_of(job).keys():
        await _confirm_gone(engine, service)
    others = {k: v for k, v in (job.status.get("copies") or {}).items() if k not in MONEY}
    document = {**job.status, "copies": {**others, **record_document(record)}}
    await engine.cluster.record(JobStatus(job, document))
    giveway.note(engine, job, document)
    engine.want_place()
    return True


def _next(engine: Engine, service: Service, leases: Iterable[Lease]) -> Record:
    job = service.job
    wanted = {k for k in range(_wanted(engine, job)) if _can_be(service, k)}
    told = (engine.memory.decisions.get(j.ref.uid) for j in service.members.values())
    least = least_needed(decision for decision in told if decision is not None)
    books = replace(_books(service, leases), least=least)
    return next_record(service.members, frozenset(wanted), books, engine.clock.now())


def _can_be(service: Service, number: int) -> bool:
    """No money is kept for a copy that cannot be made."""
    name = copies.copy_name(service.job.ref.name, number)
    return number not in service.strangers and len(name) <= copies.LONGEST_NAME


def _books(service: Service, leases: Iterable[Lease]) -> Books:
    uids = {job.ref.uid for job in service.members.values()}
    lost = {s.uid for s in shares_of(service.job).values() if s.uid} - uids
    lost |= gone_of(service.job).keys()
    names = {copies.copy_name(service.job.ref.name, k) for k in shares_of(service.job) if k}
    by_uid: dict[str, list[Lease]] = defaultdict(list)
    strays = []
    for lease in leases:
        if lease.job.uid in uids:
            by_uid[lease.job.uid].append(lease)
        elif lease.job.uid in lost or _is_named(lease, service, names):
            strays.append(lease)
    return Books(by_uid, strays)


def _is_named(lease: Lease, service: Service, names: set[str]) -> bool:
    is_open = lease.state is not LeaseState.CLOSED
    return is_open and lease.namespace == service.job.ref.namespace and lease.job.name in names


async def _confirm_gone(engine: Engine, service: Service) -> None:
    """A copy that was deleted forfeits its part, so an ear that missed it is not believed."""
    job, members = service.job, service.members
    for number, share in shares_of(job).items():
        known = members.get(number)
        if not share.uid or (known is not None and known.ref.uid == share.uid):
            continue
        name = copies.copy_name(job.ref.name, number)
        found = await engine.cluster.job(job.ref.namespace, name)
        if found is not None and found.ref.uid == share.uid:
            raise Conflict(f"{name} is there, though it was not heard of yet")


async def _apply(engine: Engine, service: Service) -> None:
    job = service.job
    # What placement chose is not counted here: a lack of it is no fault.
    asked = copies.copies_wanted(job, engine.klass(job.sla_class))
    plan = copies.plan_copies(service, _wanted(engine, job), asked)
    try:
        await _write(engine, job, plan)
    except (Conflict, Gone, ClusterUnavailable):
        raise
    except OverspillError as error:
        told = f"the API server does not take a copy: {error}; an admin or the user mends that"
        plan = replace(plan, problem=(Reason.COPY_REFUSED, told[:1000]))
        engine.queue.add_after(("job", job.ref.uid), REFUSED_S)
    _remember(engine, job, plan.problem)


async def _write(engine: Engine, job: Job, plan: Plan) -> None:
    for known, copy in plan.change[:MOST_WRITES]:
        await engine.cluster.record(ChangeCopy(job, known, copy))
    for copy in plan.make[:MOST_WRITES]:
        await engine.cluster.record(MakeCopy(job, copy))
    if max(len(plan.change), len(plan.make)) > MOST_WRITES:
        engine.tell(job.ref.uid)


def _remember(engine: Engine, job: Job, problem: tuple[Reason, str] | None) -> None:
    known = engine.memory.copy_problems.get(job.ref.uid)
    if problem == known:
        return
    if problem is None:
        del engine.memory.copy_problems[job.ref.uid]
    else:
        engine.memory.copy_problems[job.ref.uid] = problem
    engine.tell(job.ref.uid)
