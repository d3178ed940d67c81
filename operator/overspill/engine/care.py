"""Looks after Active leases: judges evidence, drains what has to go, warns before the ceiling.

The judgement itself is `core/recovery`; this module gathers the evidence and acts on the verdict.
"""

from datetime import timedelta

from overspill.core import recovery, transition
from overspill.core.lease import Lease
from overspill.core.reasons import Reason
from overspill.core.recovery import Evidence, Judgement, Patience, Verdict
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase
from overspill.engine.context import Engine
from overspill.engine.drain import is_drained, may_start
from overspill.engine.records import close_lease, record_lease
from overspill.engine.stranded import note, what_to_do
from overspill.engine.wanted import cached_job, unwanted
from overspill.telemetry import FAILOVER_STOPPED

ROUNDING = timedelta(seconds=5)
"""From the plan to the record of a lease, and whole seconds."""

STOPPED = (
    "many places look lost at once, which is more likely our own blindness; nothing is moved "
    "until fewer look lost, or these still do after OVERSPILL_FAILOVER_STOP_S"
)


async def care_for(engine: Engine, lease: Lease) -> None:
    """One look at an Active lease (or a home lease whose pods are not bound yet)."""
    lease = await note(engine, lease)
    now = engine.clock.now()
    judgement = recovery.judge(lease, evidence(engine, lease), _patience(engine, lease), now)
    if judgement.verdict is Verdict.FINISHED:
        await record_lease(engine, transition.finished(lease, judgement.exit_code, now))
    elif judgement.verdict is Verdict.CLOSE:
        await _close(engine, lease, judgement)
    else:
        await _keep(engine, lease, judgement)


def evidence(engine: Engine, lease: Lease) -> Evidence:
    """What is known of a lease now, with ages on the monotonic clock."""
    now = engine.clock.monotonic()
    opened = engine.memory.opened_at.setdefault(lease.name, now)
    seen = engine.memory.seen.get(lease.name)
    report = engine.reports.latest(lease.name)
    spoken = report.seen_at_monotonic_s if report else opened
    return Evidence(
        observation=seen.observation if seen else None,
        report=report,
        phase_age_s=now - seen.phase_since if seen else 0.0,
        silence_s=now - max(spoken, opened),
        expects_reports=bool(lease.request.report_url),
        is_missing=_is_missing(engine, lease, now),
    )


def _is_missing(engine: Engine, lease: Lease, now: float) -> bool:
    since = engine.memory.missing_since.get(lease.name)
    provider = engine.accounts.provider(lease.provider)
    if since is None or provider is None:
        return False
    return now - since > provider.capabilities.not_found_grace.total_seconds()


def _patience(engine: Engine, lease: Lease) -> Patience:
    job = cached_job(engine, lease)
    klass = engine.klass(job.sla_class if job else "")
    return Patience(klass, start=timedelta(seconds=engine.settings.start_patience_s))


async def _close(engine: Engine, lease: Lease, judgement: Judgement) -> None:
    if judgement.closing is ClosingReason.LOST and _breaker_holds(engine, lease):
        engine.memory.degraded[lease.name] = (Reason.FAILOVER_STOPPED, STOPPED)
        engine.tell(lease.job.uid)
        engine.queue.add_after(engine.lease_key(lease), 5)
        return
    if judgement.closing in (ClosingReason.MISMATCH, ClosingReason.WITHDRAWN):
        until = engine.clock.monotonic() + engine.settings.refused_offer_s
        engine.memory.excluded[(lease.job.uid, lease.provider, lease.offer.offer_id)] = until
    reason = _ceiling(engine, lease) if _is_deadline(judgement) else judgement.closing
    await close_lease(engine, lease, reason, judgement.message)


def _is_deadline(judgement: Judgement) -> bool:
    return judgement.closing is ClosingReason.DEADLINE_EXCEEDED


def _ceiling(engine: Engine, lease: Lease) -> ClosingReason:
    """Which ceiling the hard deadline stood for: the user's time, else the user's money."""
    job = cached_job(engine, lease)
    if job is None or job.active_deadline is None:
        return ClosingReason.BUDGET_EXCEEDED
    # Counted by placement from the job's first start, of the first attempt from its planning.
    starts = [lease.created_at, *(a.started_at for a in job.attempts)]
    starts += [x.active_since for x in engine.index.of(lease.job.uid)]
    times = [start + job.active_deadline for start in starts if start is not None]
    if any(abs(lease.hard_deadline - time) <= ROUNDING for time in times):
        return ClosingReason.DEADLINE_EXCEEDED
    return ClosingReason.BUDGET_EXCEEDED


def _breaker_holds(engine: Engine, lease: Lease) -> bool:
    """Counts this loss; True while too many leases were lost within a minute.

    Blindness passes; a loss that is still seen after `failover_stop_s` is believed.
    """
    now = engine.clock.monotonic()
    engine.memory.losses.append((now, lease.name))
    since = engine.memory.lost_since.setdefault(lease.name, now)
    leases = engine.cluster.view().leases.values()
    watched = sum(1 for x in leases if x.state is LeaseState.ACTIVE)
    many = recovery.too_many_lost(engine.memory.lost_lately(now), watched)
    FAILOVER_STOPPED.set(int(many))
    return many and now - since < engine.settings.failover_stop_s


async def _keep(engine: Engine, lease: Lease, judgement: Judgement) -> None:
    engine.memory.lost_since.pop(lease.name, None)
    before = engine.memory.degraded.get(lease.name)
    after = (judgement.degraded, judgement.message) if judgement.degraded else None
    after = what_to_do(engine, lease) or after
    if after is None:
        engine.memory.degraded.pop(lease.name, None)
    else:
        engine.memory.degraded[lease.name] = after
    if (before and before[0]) != (after and after[0]):
        engine.tell(lease.job.uid)
    why = await unwanted(engine, lease)
    if why is not None:
        if not why.may_drain or is_drained(engine, lease):
            await close_lease(engine, lease, why.reason, why.message)
        else:
            engine.queue.add_after(engine.lease_key(lease), 1)
        return
    may_start(engine, lease)
    _warn_before_ceiling(engine, lease)
    engine.queue.add_after(engine.lease_key(lease), _next_look_s(engine, lease))


def _warn_before_ceiling(engine: Engine, lease: Lease) -> None:
    left = (lease.hard_deadline - engine.clock.now()).total_seconds()
    if left > 2 * engine.settings.drain_s or lease.name in engine.memory.near_ceiling:
        return
    engine.memory.near_ceiling.add(lease.name)
    engine.reports.command(lease.name, "checkpoint")
    engine.tell(lease.job.uid)


def _next_look_s(engine: Engine, lease: Lease) -> float:
    """The ceiling is watched to the second; everything else comes with polls and reports."""
    left = (lease.hard_deadline - engine.clock.now()).total_seconds()
    phase = engine.memory.phase(lease.name)
    soon = engine.settings.poll_period_s if phase is not Phase.RUNNING else 30.0
    return max(0.2, min(soon, left, abs(left - 2 * engine.settings.drain_s) + 0.2))
