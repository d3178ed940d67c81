"""R7: looks for what an account holds and no record wants; market first, records second.

Orphans are ended on their second sighting. The breaker stops everything when the records look
wrong rather than the market: a deleted CRD or a wrong cluster must never kill live leases. What a
record knows as Closed is no sign of that, however much of it a market shows again.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from overspill.core.errors import OverspillError
from overspill.core.lease import Lease, is_ours
from overspill.core.observation import HeldLease
from overspill.core.vocabulary import LeaseState
from overspill.engine.closing import end_held
from overspill.engine.context import Engine
from overspill.engine.gate import GatedProvider
from overspill.telemetry import SWEEP_STOPPED

log = logging.getLogger(__name__)

WHAT_TO_DO = (
    "; nothing is ended and nothing rented here: compare `kubectl overspill leases -A` with the "
    "market's console, and close there what nobody wants"
)


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What one sweep found at one account."""

    orphans: Sequence[HeldLease] = ()
    surplus: Sequence[HeldLease] = ()
    stop: str = ""
    names: frozenset[str] = field(default=frozenset())


async def sweep_forever(engine: Engine) -> None:
    """Sweeps every account once per period, side by side: they share the LIST of the records, and
    the slowest market delays no other. An unreachable one is swept next time."""
    while True:
        await engine.clock.sleep(engine.settings.sweep_period_s)
        if engine.leader.is_leader:
            found = [a.provider for a in engine.accounts.by_name.values()]
            await asyncio.gather(*(_swept(engine, p) for p in found if p is not None))


async def _swept(engine: Engine, provider: GatedProvider) -> None:
    try:
        await sweep_once(engine, provider)
    except OverspillError as error:
        log.warning("%s was not swept: %s", provider.name, error)


async def sweep_once(engine: Engine, provider: GatedProvider) -> None:
    """One sweep of one account."""
    began = engine.clock.monotonic()
    held = await provider.leases()
    records = await engine.cluster.all_leases()
    found = classify(held, records, engine.cluster.cluster_id)
    SWEEP_STOPPED.labels(provider.name).set(int(bool(found.stop)))
    account = engine.accounts.by_name.get(provider.name)
    if account is not None:
        account.circuit.doubt = f"{found.stop}{WHAT_TO_DO}" if found.stop else ""
    if found.stop:
        log.error("%s: the sweep ends nothing: %s", provider.name, found.stop)
        return
    engine.memory.swept_at[provider.name] = began
    before = engine.memory.orphans_seen.get(provider.name, set())
    engine.memory.orphans_seen[provider.name] = set(found.names)
    for thing in found.orphans:
        if identity(thing) in before:
            await end_held(engine, provider, thing, "no record knows its key")
    for thing in found.surplus:
        if identity(thing) in before:
            await end_held(engine, provider, thing, "another lease is recorded under its key")


def classify(held: Sequence[HeldLease], records: Sequence[Lease], cluster_id: str) -> Unwanted:
    """Pure: what of an account's holdings no record wants, or why nothing may be ended."""
    ours = [h for h in held if h.is_live and is_ours(h.handle.key, cluster_id)]
    by_key = {lease.key: lease for lease in records}
    orphans = [h for h in ours if _is_orphan(by_key.get(h.handle.key))]
    surplus = [h for h in ours if _is_surplus(h, by_key.get(h.handle.key))]
    if ours and not records:
        return Unwanted(stop=f"{len(ours)} leases are held but no GPULease exists at all")
    unknown = [h for h in orphans if h.handle.key not in by_key]
    if len(unknown) > max(3, len(ours) // 5):
        return Unwanted(stop=f"{len(unknown)} of {len(ours)} leases would be orphans")
    names = frozenset(identity(h) for h in (*orphans, *surplus))
    return Unwanted(orphans, surplus, "", names)


def _is_orphan(lease: Lease | None) -> bool:
    return lease is None or lease.state is LeaseState.CLOSED


def _is_surplus(held: HeldLease, lease: Lease | None) -> bool:
    if lease is None or lease.state is not LeaseState.ACTIVE or lease.handle is None:
        return False
    recorded = lease.handle.external_id
    return recorded not in ("", held.handle.external_id)


def identity(held: HeldLease) -> str:
    """What tells two holdings apart, even under one key."""
    return f"{held.handle.key}/{held.handle.external_id}"
