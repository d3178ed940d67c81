"""Leases that nobody can close: their GPUProvider was removed by force, or cannot be used.

Each says in the condition `Stranded` what a person must do, and goes on by itself once that is
done. A person's word ends it only where the GPUProvider is gone for good. Called by `closing`
and `care`.
"""

import logging

from overspill.core import transition
from overspill.core.lease import ABSENT, Lease
from overspill.core.reasons import Reason
from overspill.core.vocabulary import LeaseState
from overspill.engine.context import Engine
from overspill.engine.records import record_lease
from overspill.telemetry import STRANDED_LEASES

log = logging.getLogger(__name__)

STRANDED = "Stranded"
RETRY_S = 10.0


async def close_without_account(engine: Engine, lease: Lease) -> None:
    """One step for a Closing lease whose account has no adapter."""
    if _was_never_sent(lease):
        await record_lease(engine, transition.closed(lease, engine.clock.now()))
    elif lease.resolution == ABSENT and _is_removed(engine, lease):
        log.warning("%s: an admin found nothing of it at its market", lease.name)
        await record_lease(engine, transition.closed(lease, engine.clock.now()))
    else:
        log.warning("%s cannot be closed: GPUProvider %s is unusable", lease.name, lease.provider)
        await note(engine, lease)
        engine.queue.add_after(engine.lease_key(lease), RETRY_S)


async def note(engine: Engine, lease: Lease) -> Lease:
    """The lease with the condition as it should stand; written only when that changed."""
    wanted = what_to_do(engine, lease)
    standing = next((c for c in lease.conditions if c.get("type") == STRANDED), None)
    if wanted is None:
        if standing is None:
            return lease
        return await record_lease(engine, transition.without_condition(lease, STRANDED))
    reason, message = wanted
    if standing is not None and (standing.get("reason"), standing.get("message")) == wanted:
        return lease
    log.error("%s: %s", lease.name, message)
    return await record_lease(
        engine, transition.with_condition(lease, STRANDED, reason.value, message)
    )


def what_to_do(engine: Engine, lease: Lease) -> tuple[Reason, str] | None:
    """(reason, sentence) while the lease cannot be closed, or not after a restart; None: it can."""
    name = lease.provider
    if _is_removed(engine, lease):
        return Reason.PROVIDER_MISSING, (
            f"GPUProvider {name} was removed while this lease is open, and only its account can "
            f"close it. Create GPUProvider {name} again, with the same type and credentials: the "
            f"lease is then closed by itself. If the account is gone for good, end "
            f"{_what_is_held(lease)} and say so: kubectl overspill leases resolve {lease.name} "
            f"-n {lease.namespace} --absent"
        )
    account = engine.accounts.by_name.get(name)
    if account is None or account.provider is not None:
        return None  # the view is newer than the accounts, or all is well
    why = account.circuit.obstacle or "its adapter is not built yet"
    told = f"GPUProvider {name} cannot be used, so this lease cannot be closed: {why}"
    return Reason.PROVIDER_UNUSABLE, f"{told}. Mend it: the lease is then closed by itself"


def note_count(engine: Engine) -> None:
    """The metric that an alert watches."""
    leases = engine.cluster.view().leases.values()
    still = [x for x in leases if x.state is not LeaseState.CLOSED]
    STRANDED_LEASES.set(sum(what_to_do(engine, lease) is not None for lease in still))


def _what_is_held(lease: Lease) -> str:
    if lease.is_home:
        return f"the Job {lease.name} of namespace {lease.namespace}"
    known = lease.handle.external_id if lease.handle else ""
    return f"{lease.key!r} at the market" + (f", where it is {known}," if known else "")


def _is_removed(engine: Engine, lease: Lease) -> bool:
    view = engine.cluster.view()
    return view.synced and lease.provider not in view.accounts


def _was_never_sent(lease: Lease) -> bool:
    """R2: a market is sent nothing before a permit stands. (Home needs none.)"""
    return not lease.is_home and lease.permit is None and lease.handle is None
