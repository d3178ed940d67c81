"""R6: ends a lease for certain. Closing → Closed → finalizer removed → ledger entry expires.

Proof of absence before forgetting: the last permit is waited out first, then two complete
listings without the key, then a read that says gone. Errors never lead to removal.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core import bill, transition
from overspill.core.errors import LeaseNotFound, ProviderError
from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease
from overspill.core.vocabulary import ClosingReason, Phase
from overspill.engine.context import Engine
from overspill.engine.gate import GatedProvider
from overspill.engine.made import as_charged, keep_found
from overspill.engine.records import record_lease
from overspill.engine.stranded import close_without_account, note
from overspill.ports import DeleteLease, ReleaseLease
from overspill.telemetry import BILLED_USD, LEDGER_USD, ORPHANS

log = logging.getLogger(__name__)

DRIFT_USD, DRIFT_SHARE = Decimal("0.05"), Decimal("0.05")
"""A bill that differs by more than both is worth a line in the log."""

LOOK_FIRST_S, LOOK_LAST_S = 2.0, 30.0
"""Between two looks at a child that is ending: each of them asks the API server to delete it."""

GONE = (Phase.TERMINATED, Phase.SUCCEEDED, Phase.FAILED)


async def end_lease(engine: Engine, lease: Lease) -> None:
    """One step for a Closing lease; requeues itself until it is Closed."""
    engine.reports.fence(lease.name)
    provider = engine.accounts.provider(lease.provider)
    if provider is None:
        await close_without_account(engine, lease)
        return
    lease = await note(engine, lease)
    if provider.capabilities.needs_permits:
        await _end_paid(engine, lease, provider)
    else:
        await _end_home(engine, lease, provider)


async def _end_home(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    """The child's name is unique: its absence, or its own end, is proof enough."""
    memo = engine.memory.steps.get(lease.name)  # a child that never was Active is known here only
    handle = lease.handle or (memo.handle if memo else None) or Handle(lease.key)
    if not await _has_finished(engine, lease, provider, handle):
        if _may_be_behind(engine, lease):
            engine.queue.add_after(engine.lease_key(lease), LOOK_FIRST_S)
            return
        await provider.close(handle)
        try:
            seen = await provider.observe(handle)
        except LeaseNotFound:
            pass
        else:
            if seen.phase not in GONE:
                engine.queue.add_after(engine.lease_key(lease), _next_look_s(engine, lease))
                return
    await _closed(engine, lease, None)


async def _has_finished(
    engine: Engine, lease: Lease, provider: GatedProvider, handle: Handle
) -> bool:
    """Whether it ended by itself: its Job then stays, for whoever wants to read its log."""
    if not _is_recorded_as_finished(lease):
        return False
    if engine.memory.phase(lease.name) not in GONE:  # as after a start
        try:
            seen = await provider.observe(handle)
        except LeaseNotFound:
            return True
        engine.memory.note(lease.name, seen, engine.clock.monotonic())
    return engine.memory.phase(lease.name) in GONE


def _may_be_behind(engine: Engine, lease: Lease) -> bool:
    """Whether what shows it alive may be older than the record of its end, as after a start."""
    seen = engine.memory.seen.get(lease.name)
    if seen is None or not _is_recorded_as_finished(lease):
        return False
    return engine.clock.monotonic() - seen.phase_since < LOOK_LAST_S


def _is_recorded_as_finished(lease: Lease) -> bool:
    return lease.closing is not None and lease.closing.reason is ClosingReason.FINISHED


def _next_look_s(engine: Engine, lease: Lease) -> float:
    """A pod on a node that is silent for good ends when somebody comes: its own events wake us."""
    since = lease.closing.requested_at if lease.closing else engine.clock.now()
    age = (engine.clock.now() - since).total_seconds()
    return min(LOOK_LAST_S, max(LOOK_FIRST_S, age / 5))


async def _end_paid(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    if lease.handle is not None and lease.handle.external_id:
        await provider.close(lease.handle)  # stops the bill early; proves nothing
    now = engine.clock.monotonic()
    wait = engine.memory.quarantine_left(lease, engine.wait_s(lease), now)
    if wait > 0:
        engine.queue.add_after(engine.lease_key(lease), wait)
        return
    mine = [h for h in await provider.leases() if _is_same(h, lease)]
    live = [h for h in mine if h.is_live]
    if live:
        engine.memory.absences.pop(lease.name, None)
        lease = await keep_found(engine, lease, live)
        for held in live:
            await provider.close(held.handle)
        engine.queue.add_after(engine.lease_key(lease), _interval(engine, provider))
    elif not _absent_twice(engine, lease, provider):
        engine.queue.add_after(engine.lease_key(lease), _interval(engine, provider))
    else:
        await _prove_and_close(engine, lease, provider)


def _is_same(held: HeldLease, lease: Lease) -> bool:
    recorded = lease.handle.external_id if lease.handle else ""
    return held.handle.key == lease.key or (recorded != "" and held.handle.external_id == recorded)


def _interval(engine: Engine, provider: GatedProvider) -> float:
    lag = provider.capabilities.list_lag.total_seconds()
    return max(lag, engine.settings.absence_interval_s)


def _absent_twice(engine: Engine, lease: Lease, provider: GatedProvider) -> bool:
    now = engine.clock.monotonic()
    first = engine.memory.absences.setdefault(lease.name, now)
    return now > first and now - first >= _interval(engine, provider)


async def _prove_and_close(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    billed: Decimal | None = None
    if lease.handle is not None and lease.handle.external_id:
        try:
            seen = await provider.observe(lease.handle)
        except LeaseNotFound as error:
            billed = error.billed_usd
        else:
            if seen.phase not in GONE:
                engine.memory.absences.pop(lease.name, None)
                engine.queue.add_after(engine.lease_key(lease), _interval(engine, provider))
                return
            billed = seen.billed_usd
    await _closed(engine, lease, billed)


async def _closed(engine: Engine, lease: Lease, billed: Decimal | None) -> None:
    now = _seen_gone(engine, lease)
    if lease.closing is not None and _is_recorded_as_finished(lease):
        seen = engine.memory.seen.get(lease.name)
        ended = seen.observation.ends_at if seen and lease.is_home else None
        now = ended or (lease.closing.requested_at if lease.is_home else now)
    final = billed if billed is not None or lease.is_home else _final_usd(engine, lease, now)
    await record_lease(engine, transition.closed(lease, now, final))
    _reconcile(as_charged(engine, lease), now, billed)
    engine.reports.forget(lease.name)


def _final_usd(engine: Engine, lease: Lease, end: datetime) -> Decimal:
    """Where the market tells no final bill: its last running one and the time since, or our books.

    What has exited may bill until it is ended. After a restart that last word is forgotten, and
    our books hold from the start.
    """
    last, meter = engine.memory.seen.get(lease.name), None
    if last is not None and last.observation.billed_usd is not None:
        age = timedelta(seconds=engine.clock.monotonic() - last.at)
        meter = bill.Meter(last.observation.billed_usd, engine.clock.now() - age)
    return bill.final_usd(as_charged(engine, lease), end, meter)


def _seen_gone(engine: Engine, lease: Lease) -> datetime:
    """When it was first seen to be gone: our books go on until then, not until the second proof."""
    now, since = engine.clock.now(), engine.memory.absences.get(lease.name)
    if since is None:
        return now
    return now - timedelta(seconds=engine.clock.monotonic() - since)


def _reconcile(lease: Lease, now: datetime, billed: Decimal | None) -> None:
    """Holds the market's bill against our own books; the bill is what stays recorded."""
    if billed is None or lease.is_home:
        return
    ours = bill.final_usd(lease, now)
    LEDGER_USD.labels(lease.provider).inc(float(ours))
    BILLED_USD.labels(lease.provider).inc(float(billed))
    if abs(billed - ours) > max(DRIFT_USD, DRIFT_SHARE * ours):
        log.warning("%s was billed %s USD, by our books it cost %s", lease.name, billed, ours)


async def release(engine: Engine, lease: Lease) -> None:
    """A Closed lease: the finalizer goes, later the ledger entry."""
    if lease.has_finalizer:
        await engine.cluster.record(ReleaseLease(lease))
        engine.memory.forget_lease(lease.name)
        engine.tell(lease.job.uid)
        return
    closed_at = lease.closed_at or lease.created_at
    left = engine.settings.retention_s - (engine.clock.now() - closed_at).total_seconds()
    job_lives = lease.job.uid in engine.cluster.view().jobs
    if left > 0 or job_lives:
        engine.queue.add_after(engine.lease_key(lease), max(60.0, left))
    else:
        await engine.cluster.record(DeleteLease(lease))


async def end_held(engine: Engine, provider: GatedProvider, held: HeldLease, why: str) -> None:
    """Ends something an account holds that no record wants (sweep)."""
    log.warning("%s: ending %s (%s)", provider.name, held.handle.key, why)
    try:
        await provider.close(held.handle)
        ORPHANS.labels(provider.name).inc()
    except ProviderError as error:
        engine.accounts.note(provider.name, error)
