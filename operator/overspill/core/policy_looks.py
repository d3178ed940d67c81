"""From what the operator sees now to its past: rooms of places, and the lives of its own leases.

What we hold at a market is not gone, though nobody else can have it any more. Lives are read from
the leases, which are the ledger; looks outlive a restart by `policy_keep`. Called by
`engine/gather`.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.policy_past import MOST_LIVES, Lived, Past, Place, Room, place_of, rooms_of
from overspill.core.vocabulary import ClosingReason, LeaseState

Rooms = Mapping[Place, tuple[Room, Decimal]]


def look(
    past: Past,
    offers: Iterable[Offer],
    leases: Iterable[Lease],
    home: frozenset[str],
    now: datetime,
) -> Past:
    """The past with this look; the same object while the step lasts. `leases` are the ledger."""
    if past.since is not None and past.at(now) <= past.until:
        return past
    leases = tuple(leases)
    seen = past.looked(now, _with_held(rooms_of(offers, home), leases))
    return replace(seen, lives=lives_of(leases, seen, now))


def lives_of(
    leases: Iterable[Lease], past: Past, now: datetime
) -> Mapping[Place, tuple[Lived, ...]]:
    """How long leases ran at each place, newest last, as far as the ledger remembers."""
    found: dict[Place, list[Lived]] = {}
    for lease in leases:
        if lease.active_since is None:
            continue
        asked = lease.closing.requested_at if lease.closing else None
        end = min(asked or lease.closed_at or now, now)
        hours = max(timedelta(0), end - lease.active_since) / timedelta(hours=1)
        was_lost = lease.closing is not None and lease.closing.reason is ClosingReason.LOST
        place = known_as(lease, past.tracks)
        found.setdefault(place, []).append(
            Lived(past.at(end), hours, was_lost, lease.request.num_nodes)
        )
    return {place: tuple(sorted(lived)[-MOST_LIVES:]) for place, lived in found.items()}


def known_as(lease: Lease, places: Container[Place]) -> Place:
    """The place of a lease; a divisible offer was cut to the job's size when it was taken."""
    place = place_of(lease.offer, is_home=lease.is_home)
    return place if place in places else place._replace(size=0)


def _with_held(rooms: Rooms, leases: Iterable[Lease]) -> Rooms:
    found = dict(rooms)
    for lease in leases:
        if lease.is_home or lease.state is not LeaseState.ACTIVE:
            continue
        place = known_as(lease, found)
        room, usd = found.get(place) or ((), lease.offer.price_per_gpu_hour)
        held = (lease.offer.gpu_count, 1)
        found[place] = (tuple(sorted({*room, held}, reverse=True)), usd)
    return found
