"""What a market has made for a lease, and since when it may cost.

Shared by `opening`, which adopts what it finds under its key, and `closing`, which ends it: also
what never became Active was paid for, from the moment it was made.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from overspill.core import transition
from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease
from overspill.engine.context import Engine
from overspill.engine.records import record_lease


def oldest_of(held: Sequence[HeldLease]) -> HeldLease:
    """R5: of several under one key, the one that counts."""
    return min(held, key=lambda h: (h.created_at is None, h.created_at, h.handle.external_id))


def handle_of(lease: Lease, held: HeldLease) -> Handle:
    """How it is found again: what the market shows now over what the record knows."""
    recorded = dict(lease.handle.data) if lease.handle else {}
    data = tuple(sorted((recorded | dict(held.handle.data)).items()))
    return Handle(lease.key, held.handle.external_id, data)


def note_made(engine: Engine, lease: Lease, created_at: datetime | None) -> None:
    """What is found has been billed since the market made it, not since we found it."""
    now, made = engine.clock.now(), created_at or lease.created_at
    if made.tzinfo is None:  # a market that does not name the zone means this one
        made = made.replace(tzinfo=UTC)
    age_s = max(0.0, (now - max(made, lease.created_at)).total_seconds())
    engine.memory.opened_at[lease.name] = engine.clock.monotonic() - age_s


def note_unlisted(engine: Engine, lease: Lease, earliest: float) -> None:
    """What an earlier send may have made, of any leader, and a class A market will recognise: not
    before the record, nor before `earliest` (monotonic), or the list would have shown it.
    """
    if lease.name not in engine.memory.opened_at:
        note_made(engine, lease, None)
    engine.memory.opened_at[lease.name] = max(engine.memory.opened_at[lease.name], earliest)


async def keep_found(engine: Engine, lease: Lease, live: Sequence[HeldLease]) -> Lease:
    """Records what is found of a Closing lease before it is ended: nobody has known its id.

    Its end is then proven by that id and its bill asked for, also after a restart.
    """
    if lease.active_since is not None or _is_known(lease):
        return lease
    held = oldest_of(live)
    note_made(engine, lease, held.created_at)
    found = transition.found(lease, handle_of(lease, held), held.price_usd_per_hour)
    return await record_lease(engine, found)


def as_charged(engine: Engine, lease: Lease) -> Lease:
    """The lease with the time since when it may have cost.

    What never became Active but was made costs since then; where that is forgotten, since its
    record stands, for nothing is sent before.
    """
    if lease.active_since is not None or not _is_known(lease):
        return lease
    made = engine.memory.opened_at.get(lease.name)
    if made is None:
        return replace(lease, active_since=lease.created_at)
    age = timedelta(seconds=engine.clock.monotonic() - made)
    return replace(lease, active_since=engine.clock.now() - age)


def _is_known(lease: Lease) -> bool:
    return lease.handle is not None and lease.handle.external_id != ""
