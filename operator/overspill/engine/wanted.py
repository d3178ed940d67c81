"""Whether a lease is still wanted: asks the job, by quorum read before anything is given up.

Used by opening and by the care of Active leases. Never destroys on cache evidence.
"""

from dataclasses import dataclass

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase
from overspill.engine.context import Engine


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Why a lease has to go; `may_drain` when its workload should checkpoint first."""

    reason: ClosingReason
    message: str
    may_drain: bool = False


async def unwanted(engine: Engine, lease: Lease) -> Unwanted | None:
    """None while the lease is wanted. Cached evidence is confirmed by a quorum read."""
    suspicion = _suspicion(engine, lease, cached_job(engine, lease))
    if suspicion is None:
        return None
    job = await engine.cluster.job(lease.namespace, lease.job.name)
    if job is not None and job.ref.uid != lease.job.uid:
        job = None
    return _suspicion(engine, lease, job)


def cached_job(engine: Engine, lease: Lease) -> Job | None:
    """The job as the store has it."""
    return engine.cluster.view().jobs.get(lease.job.uid)


def _suspicion(engine: Engine, lease: Lease, job: Job | None) -> Unwanted | None:
    if job is None:
        return Unwanted(ClosingReason.JOB_GONE, "the GPUJob does not exist any more")
    if job.is_finished:
        return Unwanted(ClosingReason.SUPERSEDED, "the GPUJob has ended")
    if job.is_held:
        told = "spec.suspend is true" if job.suspend else "spec.replicas is 0"
        return Unwanted(ClosingReason.SUSPENDED, told, may_drain=True)
    if lease.deletion_requested:
        return Unwanted(ClosingReason.WITHDRAWN, "the GPULease was deleted", may_drain=True)
    successor = ready_successor(engine, lease)
    if successor is None:
        why = engine.memory.leaving.get(lease.name)
        return Unwanted(ClosingReason.PREEMPTED, why, may_drain=True) if why else None
    message = f"attempt {successor.attempt} at {successor.offer.place} is ready"
    return Unwanted(ClosingReason.SUPERSEDED, message, may_drain=True)


def ready_successor(engine: Engine, lease: Lease) -> Lease | None:
    """A newer attempt whose place is ready to take over (it may be waiting for the drain)."""
    for other in engine.index.of(lease.job.uid):
        if other.attempt <= lease.attempt or other.state is not LeaseState.ACTIVE:
            continue
        told = engine.reports.latest(other.name)
        expects = bool(other.request.report_url)
        running = engine.memory.phase(other.name) in (Phase.RUNNING, Phase.SUCCEEDED)
        if (told is not None) if expects else running:
            return other
    return None
