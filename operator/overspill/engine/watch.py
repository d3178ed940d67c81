"""Observes what is open: one listing per account and tick, a read per lease only where needed.

A listing confirms what is known. Whatever it says otherwise is read by itself before it counts: a
list may be old or incomplete, and what decides over life and death is read fresh. Observations go
into memory and wake the lease; nothing is decided and nothing written here.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from overspill.core.errors import LeaseNotFound, ProviderError
from overspill.core.lease import Lease
from overspill.core.observation import HeldLease, Observation
from overspill.core.vocabulary import LeaseState, Phase
from overspill.engine.accounts import Account
from overspill.engine.context import Engine

log = logging.getLogger(__name__)

WATCHED = (LeaseState.PLANNED, LeaseState.OPENING, LeaseState.ACTIVE)
PARALLEL = 8


async def watch_forever(engine: Engine) -> None:
    """Polls every account side by side; the slowest never delays the others."""
    while True:
        if engine.leader.is_leader:
            await watch_once(engine)
        await engine.clock.sleep(engine.settings.poll_period_s)


async def watch_once(engine: Engine) -> None:
    """One poll of every account."""
    accounts = [a for a in engine.accounts.by_name.values() if a.provider is not None]
    await asyncio.gather(*(_watch_account(engine, account) for account in accounts))


async def _watch_account(engine: Engine, account: Account) -> None:
    if not account.circuit.allows(engine.clock.monotonic()):
        return
    leases = [x for x in _open_leases(engine) if x.provider == account.spec.name]
    if account.is_home:
        await observe_many(engine, leases)
        return
    active = [x for x in leases if x.state is LeaseState.ACTIVE]
    if len(active) > engine.settings.read_each_up_to:
        held = await _listed(engine, account)
        active = [x for x in active if not confirmed(engine, x, held)]
    await observe_many(engine, active)


async def _listed(engine: Engine, account: Account) -> Mapping[str, HeldLease]:
    """What one listing shows, by the market's id; nothing when it cannot be had."""
    provider = engine.accounts.provider(account.spec.name)
    if provider is None:
        return {}
    try:
        held = await provider.leases()
    except ProviderError as error:
        engine.accounts.note(account.spec.name, error)
        return {}
    engine.accounts.note(account.spec.name, None)
    return {h.handle.external_id: h for h in held if h.is_live}


def confirmed(engine: Engine, lease: Lease, held: Mapping[str, HeldLease]) -> bool:
    """Whether the listing says of a lease what is known of it, so that it need not be read."""
    provider, seen = engine.accounts.provider(lease.provider), engine.memory.seen.get(lease.name)
    found = held.get(lease.handle.external_id) if lease.handle else None
    if found is None or seen is None or provider is None:
        return False
    if lease.name in engine.memory.missing_since:  # only a read takes back what a read has said
        return False
    now, before, listed = engine.clock.monotonic(), seen.observation, found.observation
    if not provider.capabilities.lists_whole:
        is_news = listed is not None and listed.phase is not before.phase
        is_due = now - seen.at >= engine.settings.detail_period_s
        return before.phase is Phase.RUNNING and not is_news and not is_due
    if listed is None or listed.gist != before.gist:
        return False
    engine.memory.note(lease.name, replace(listed, endpoints=before.endpoints), now)
    return True


def _open_leases(engine: Engine) -> list[Lease]:
    return [x for x in engine.cluster.view().leases.values() if x.state in WATCHED]


async def observe_many(engine: Engine, leases: list[Lease]) -> None:
    """Observes leases of one account, a few at a time."""
    limit = asyncio.Semaphore(PARALLEL)

    async def bounded(lease: Lease) -> None:
        async with limit:
            await observe_one(engine, lease)

    await asyncio.gather(*(bounded(lease) for lease in leases))


async def observe_one(engine: Engine, lease: Lease) -> None:
    """One observation into memory; "cannot be reached" leaves the last one standing."""
    provider = engine.accounts.provider(lease.provider)
    memo = engine.memory.steps.get(lease.name)
    handle = lease.handle or (memo.handle if memo else None)
    if provider is None or handle is None:
        return
    now = engine.clock.monotonic()
    try:
        seen = await provider.observe(handle)
    except LeaseNotFound:
        engine.memory.missing_since.setdefault(lease.name, now)
        engine.queue.add(engine.lease_key(lease))
    except ProviderError as error:
        engine.accounts.note(lease.provider, error)
        _note_unknown(engine, lease, str(error))
    else:
        engine.accounts.note(lease.provider, None)
        if engine.memory.note(lease.name, seen, now):
            engine.queue.add(engine.lease_key(lease))
            engine.tell(lease.job.uid)


def _note_unknown(engine: Engine, lease: Lease, message: str) -> None:
    unknown = Observation(Phase.UNKNOWN, "Unreachable", message[:256])
    if engine.memory.note(lease.name, unknown, engine.clock.monotonic()):
        engine.queue.add(engine.lease_key(lease))
