"""Leaving a place with grace: checkpoint first, and the successor waits until that is durable.

A planned move opens the new place before the old one is left. The new attempt's runner asks
before it starts its command; it is told to wait until the old attempt has drained, and then from
which checkpoint to resume.
"""

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.observation import Report
from overspill.core.vocabulary import LeaseState
from overspill.engine.context import Engine
from overspill.engine.memory import Drain
from overspill.engine.wanted import cached_job


def is_drained(engine: Engine, lease: Lease) -> bool:
    """Asks the workload to checkpoint once; True when it did, or when it had time enough."""
    job, report = cached_job(engine, lease), engine.reports.latest(lease.name)
    if job is None or job.checkpoint is None or report is None or report.exit_code is not None:
        return True
    now = engine.clock.monotonic()
    drain = engine.memory.drains.get(lease.name)
    if drain is None:
        engine.memory.drains[lease.name] = Drain(now, report.checkpoint_uri + _step(report))
        engine.reports.command(lease.name, "checkpoint")
        return engine.settings.drain_s == 0
    fresh = report.checkpoint_uri + _step(report) != drain.checkpoint_before
    return fresh or now - drain.since >= engine.settings.drain_s


def _step(report: Report) -> str:
    return f"#{report.checkpoint_step}"


def may_start(engine: Engine, lease: Lease) -> None:
    """Tells the desk whether this attempt's command may start, and from which checkpoint."""
    if not lease.request.report_url:
        return
    older_runs = any(
        other.attempt < lease.attempt and other.state is LeaseState.ACTIVE
        for other in engine.index.of(lease.job.uid)
    )
    if older_runs:
        engine.reports.make_wait(lease.name)
    else:
        engine.reports.permit_start(lease.name, resume_uri(engine, lease))


def resume_uri(engine: Engine, lease: Lease) -> str:
    """From where a lease's attempt resumes, as known now."""
    job = cached_job(engine, lease)
    return "" if job is None else newest_checkpoint(engine, job, lease.attempt)


def newest_checkpoint(engine: Engine, job: Job, before_attempt: int) -> str:
    """The newest durable checkpoint of an earlier attempt: by step, from reports and status."""
    best = (-1, "")
    if job.durable_checkpoint_uri:
        best = (job.durable_checkpoint_step or 0, job.durable_checkpoint_uri)
    for other in engine.index.of(job.ref.uid):
        report = engine.reports.latest(other.name)
        if other.attempt < before_attempt and report is not None and report.checkpoint_uri:
            best = max(best, (report.checkpoint_step or 0, report.checkpoint_uri))
    return best[1]
