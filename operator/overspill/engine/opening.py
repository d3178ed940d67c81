"""Drives a lease from Planned through Opening to Active (rules R2 to R5).

The heart of money safety. Every costing send is preceded by a recorded permit; an outcome that
is not known is looked up by key and never repeated blindly.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from overspill.core import transition
from overspill.core.errors import (
    DEFINITIVE_NO,
    OpenUncertain,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle, Lease
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.engine import shares
from overspill.engine.context import Engine
from overspill.engine.gate import GatedProvider
from overspill.engine.hold import obstacle
from overspill.engine.made import handle_of, note_made, note_unlisted, oldest_of
from overspill.engine.memory import StepMemo
from overspill.engine.records import close_lease, record_lease
from overspill.engine.refusals import note_refusal
from overspill.engine.requests import SecretProblem, open_request
from overspill.engine.wanted import Unwanted, cached_job, unwanted
from overspill.ports import IdempotencyClass, OpenStep

log = logging.getLogger(__name__)

IN_DOUBT = "the outcome of opening is unknown and this market cannot be asked"


async def open_lease(engine: Engine, lease: Lease) -> None:
    """One step for a Planned or Opening lease; requeues itself while there is more to do."""
    why = await unwanted(engine, lease)
    memo = engine.memory.steps.get(lease.name)
    if why is None and lease.state is LeaseState.PLANNED:
        why = await _obstacle(engine, lease, memo)
    provider = engine.accounts.provider(lease.provider)
    if provider is None and (why is None or lease.permit is not None):
        engine.queue.add_after(engine.lease_key(lease), 5)
        return
    if provider is not None and _is_in_doubt(lease, provider, memo):
        await record_lease(engine, transition.uncertain(lease, IN_DOUBT))
        return
    if why is not None:
        await close_lease(engine, lease, why.reason, why.message)
        return
    if provider is None:
        return
    if _is_too_old(engine, lease):
        await close_lease(engine, lease, ClosingReason.WITHDRAWN, "could not be opened in time")
        return
    if not provider.capabilities.needs_permits:
        await _open_free(engine, lease, provider, memo)
    elif lease.state is LeaseState.PLANNED and not _shows_keys(provider):
        await _send(engine, lease, provider, None)
    elif memo is not None and lease.permit is not None and memo.seq == lease.permit.seq:
        await _go_on(engine, lease, provider, memo)
    else:
        await _resolve(engine, lease, provider)


async def _obstacle(engine: Engine, lease: Lease, memo: StepMemo | None) -> Unwanted | None:
    """Why a lease of which nothing was sent may not be opened."""
    why = await obstacle(engine, lease)
    return await shares.obstacle(engine, lease) if why is None and memo is None else why


def _shows_keys(provider: GatedProvider) -> bool:
    """Class B and C: a second create is a second thing, but the list tells of the first.

    They are looked at before the first send too: after a restored backup an attempt is planned
    anew under a key that may be at the market already.
    """
    return provider.capabilities.idempotency in (IdempotencyClass.B, IdempotencyClass.C)


def _is_in_doubt(lease: Lease, provider: GatedProvider, memo: StepMemo | None) -> bool:
    """Class D: something may have been bought, and no list will ever show it under our key.

    So not even an unwanted lease may be closed on the evidence of an empty list.
    """
    if provider.capabilities.idempotency is not IdempotencyClass.D or lease.permit is None:
        return False
    knows_id = lease.handle is not None and lease.handle.external_id != ""
    knows_outcome = memo is not None and memo.seq == lease.permit.seq
    return not knows_id and not knows_outcome


def _is_too_old(engine: Engine, lease: Lease) -> bool:
    """Counted since this process first looked: the wall clocks of two machines may disagree,
    and then every lease would be given up as soon as it is planned, over and over."""
    now = engine.clock.monotonic()
    since = engine.memory.opening_since.setdefault(lease.name, now)
    return not lease.is_home and now - since > engine.settings.opening_limit_s


async def _open_free(
    engine: Engine, lease: Lease, provider: GatedProvider, memo: StepMemo | None
) -> None:
    """Home: the child's name is the key; Active is recorded when its pods are bound."""
    if memo is None or not memo.is_complete:
        step = await _attempt(engine, lease, provider, None, 30.0)
        if step is None:
            return
        engine.memory.steps[lease.name] = StepMemo(0, step.handle, next_costs=False)
        engine.memory.steps[lease.name].is_complete = step.is_complete
        engine.memory.opened_at[lease.name] = engine.clock.monotonic()
        engine.queue.add_after(engine.lease_key(lease), 0.5)
        return
    await _watch_unbound(engine, lease, memo.handle or Handle(lease.key))


async def _watch_unbound(engine: Engine, lease: Lease, handle: Handle) -> None:
    from overspill.engine.care import care_for  # noqa: PLC0415  (care also withdraws what never binds)

    seen = engine.memory.seen.get(lease.name)
    bound_at = seen.observation.bound_at if seen else None
    if bound_at is not None:
        active = transition.active(lease, handle, lease.offer.price_usd_per_hour, bound_at)
        await record_lease(engine, active)
    else:
        await care_for(engine, lease)


async def _go_on(engine: Engine, lease: Lease, provider: GatedProvider, memo: StepMemo) -> None:
    if memo.next_costs:
        await _send(engine, lease, provider, memo.handle)
        return
    step = await _attempt(engine, lease, provider, memo.handle, engine.request_s(lease))
    if step is not None:
        await _take(engine, lease, step)


async def _resolve(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    """R5: the outcome of an earlier send is unknown; the market is asked by key."""
    asked = engine.clock.monotonic()
    wait = engine.memory.quarantine_left(lease, engine.wait_s(lease), asked)
    held = [h for h in await provider.leases() if h.handle.key == lease.key and h.is_live]
    if held:
        log.info("adopting what the market holds under %s", lease.key)
        oldest = oldest_of(held)
        note_made(engine, lease, oldest.created_at)
        await _send(engine, lease, provider, handle_of(lease, oldest), adopts=True)
    elif provider.capabilities.idempotency is IdempotencyClass.A:
        if lease.permit is not None:
            note_unlisted(engine, lease, asked - provider.capabilities.list_lag.total_seconds())
        await _send(engine, lease, provider, None)
    elif provider.capabilities.idempotency is IdempotencyClass.D:
        await record_lease(engine, transition.uncertain(lease, IN_DOUBT))
    elif wait > 0:
        engine.queue.add_after(engine.lease_key(lease), wait)
    else:
        await _send(engine, lease, provider, None)


async def _send(
    engine: Engine,
    lease: Lease,
    provider: GatedProvider,
    handle: Handle | None,
    *,
    adopts: bool = False,
) -> None:
    """R2 and R3: a permit is committed, then one send inside it, bounded by the election too."""
    if adopts:
        engine.memory.steps.pop(lease.name, None)  # what is found is looked up anew if need be
    elif provider.capabilities.idempotency is not IdempotencyClass.A:
        engine.memory.opened_at.pop(lease.name, None)
    limit = engine.request_s(lease)
    if engine.leader.remaining_s() < limit:
        engine.queue.add_after(engine.lease_key(lease), 1)
        return
    started = engine.clock.monotonic()
    permitted = await record_lease(
        engine,
        transition.permitted(
            lease,
            (engine.leader.identity, engine.leader.epoch),
            engine.clock.now(),
            timedelta(seconds=engine.permit_s(lease)),
            handle,
        ),
    )
    assert permitted.permit is not None  # noqa: S101  (`permitted` just set it)
    seq = permitted.permit.seq
    engine.memory.first_read[(lease.name, seq)] = started
    left = engine.permit_s(lease) - (engine.clock.monotonic() - started)
    if left <= 0 or engine.leader.remaining_s() < min(limit, left):
        # Nothing was sent under this permit: that is known, so the next pass may ask for another.
        if not adopts:
            engine.memory.steps[lease.name] = StepMemo(seq, handle, next_costs=True)
        engine.queue.add_after(engine.lease_key(lease), 1)
        return
    step = await _attempt(engine, permitted, provider, handle, min(limit, left))
    if step is not None:
        await _take(engine, permitted, step)


async def _attempt(
    engine: Engine,
    lease: Lease,
    provider: GatedProvider,
    handle: Handle | None,
    limit_s: float,
) -> OpenStep | None:
    """R4: one call, classified. None: handled here."""
    memo = engine.memory.steps.pop(lease.name, None)
    sent = began = engine.clock.monotonic()
    try:
        request = await open_request(engine, lease, handle)
        left = limit_s - (engine.clock.monotonic() - began)
        if left <= 0:
            # Reading the Secrets used up the permit: nothing was sent under it, and that is known.
            _remember(engine, lease, memo, handle)
            engine.queue.add_failed(engine.lease_key(lease))
            return None
        sent = engine.clock.monotonic()
        step = await provider.open(request, timedelta(seconds=left))
    except SecretProblem as error:
        await _refused(engine, lease, error, handle)
    except DEFINITIVE_NO as error:
        engine.accounts.note(lease.provider, error)
        await _refused(engine, lease, error, handle)
    except RateLimited as error:
        engine.accounts.note(lease.provider, error)
        _remember(engine, lease, memo, handle)
        engine.queue.add_after(engine.lease_key(lease), error.retry_after.total_seconds())
    except Unavailable as error:
        # A read inside a free step failed: what was known before is still known.
        engine.accounts.note(lease.provider, error)
        if memo is not None and not memo.next_costs:
            engine.memory.steps[lease.name] = memo
        engine.queue.add_failed(engine.lease_key(lease))
    except OpenUncertain as error:
        engine.memory.opened_at.setdefault(lease.name, sent)
        log.warning("outcome unknown, will be looked up by key: %s", error)
        engine.queue.add_failed(engine.lease_key(lease))
    else:
        engine.memory.opened_at.setdefault(lease.name, sent)  # it may cost before we are told
        engine.accounts.note(lease.provider, None, has_paid=step.is_complete)
        engine.queue.forget(engine.lease_key(lease))
        return step
    return None


def _remember(engine: Engine, lease: Lease, memo: StepMemo | None, handle: Handle | None) -> None:
    """After a refusal before execution: what was known before is still known.

    What is adopted is looked up anew, with the time when it was made: it costs since then.
    """
    seq = lease.permit.seq if lease.permit else 0
    if memo is not None and not memo.next_costs:
        engine.memory.steps[lease.name] = memo
    elif memo is not None or handle is None or not handle.external_id:
        engine.memory.steps[lease.name] = StepMemo(seq, handle, next_costs=True)


async def _take(engine: Engine, lease: Lease, step: OpenStep) -> None:
    seq = lease.permit.seq if lease.permit else 0
    now = engine.clock.monotonic()
    made = engine.memory.opened_at.setdefault(lease.name, now)
    if not step.is_complete:
        engine.memory.steps[lease.name] = StepMemo(seq, step.handle, step.next_costs)
        delay = 0 if step.next_costs else step.retry_after.total_seconds()
        engine.queue.add_after(engine.lease_key(lease), delay)
        return
    since = engine.clock.now() - timedelta(seconds=now - made)
    active = transition.active(lease, step.handle, step.price_usd_per_hour, since)
    await record_lease(engine, active)
    engine.memory.opened_at[lease.name] = now


async def _refused(
    engine: Engine, lease: Lease, error: ProviderError, handle: Handle | None
) -> None:
    """Closes it. What was made and then refused (another GPU, a higher price) has an id and may
    have a bill: the id is recorded, so that its end is proven by it and its bill is asked for."""
    if handle is not None and handle.external_id:
        lease = replace(lease, handle=handle)
    note_refusal(engine, cached_job(engine, lease), lease, error)
    await close_lease(engine, lease, ClosingReason.REJECTED, str(error)[:512])
