"""Observes what is open: one listing per account and tick, a read per lease only where needed.

Observations go into memory and wake the lease; nothing is decided and nothing written here.
"""

import asyncio
import logging

from overspill.core.errors import LeaseNotFound, ProviderError
from overspill.core.lease import Lease
from overspill.core.observation import Observation
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
            accounts = [a for a in engine.accounts.by_name.values() if a.provider is not None]
            await asyncio.gather(*(_watch_account(engine, account) for account in accounts))
        await engine.clock.sleep(engine.settings.poll_period_s)


async def _watch_account(engine: Engine, account: Account) -> None:
    if not account.circuit.allows(engine.clock.monotonic()):
        return
    leases = [x for x in _open_leases(engine) if x.provider == account.spec.name]
    if account.is_home:
        await observe_many(engine, leases)
        return
    active = [x for x in leases if x.state is LeaseState.ACTIVE]
    await observe_many(engine, active)


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
