"""What was seen of every place over time: its free GPUs, its price, and how long leases lasted.

Offers come and go under new ids, so the past is kept by place: provider, region, model, capacity
type and size. It is looked at once per `step` and kept only where it changed, so that a week of
a hundred places is small. Values only: `engine/memory` holds the newest one, `engine/remember`
keeps it over restarts, `policy_learn` reads it. Forgetting it costs foresight, never money.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from overspill.core.offer import Offer
from overspill.core.policy_knowledge import Tuning

STEP = timedelta(minutes=10)
KEPT = timedelta(days=7)
SPARE = timedelta(days=1)
"""Kept beyond that, so that what was learnt some hours ago can be learnt again."""
MOST_PLACES = 256
MOST_LIVES = 64
"""Leases remembered per place."""

Room = tuple[tuple[int, int], ...]
"""(free GPUs on a node, how many such nodes), most free first."""


class Place(NamedTuple):
    """Where work can run, under a name that lasts. `size` 0: any number of GPUs may be taken."""

    provider: str
    region: str
    gpu_model: str
    capacity_type: str
    size: int = 0
    is_home: bool = False

    @property
    def label(self) -> str:
        """One word for a person and for the policy."""
        return _label(self)


@lru_cache(maxsize=1024)
def _label(place: Place) -> str:
    size = f"x{place.size}" if place.size else ""
    parts = (place.provider, place.region, f"{place.gpu_model}{size}", place.capacity_type)
    return "/".join(part for part in parts if part)


class Gang(NamedTuple):
    """How much a job takes: GPUs of one node, and how many nodes."""

    gpus: int
    nodes: int

    @property
    def total(self) -> int:
        """GPUs of all nodes."""
        return self.gpus * self.nodes


class Seen(NamedTuple):
    """A place from this step on. `usd` is of one GPU and hour, the last one while it is away."""

    step: int
    room: Room
    usd: Decimal


class Lived(NamedTuple):
    """One lease: how long it ran, until which step, and whether the place was lost."""

    until: int
    hours: float
    was_lost: bool
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Track:
    """One place's past, oldest first. `marks` name what was seen up to each change (for memos)."""

    place: Place
    changes: tuple[Seen, ...]
    marks: tuple[int, ...] = field(compare=False, repr=False)

    def then(self, seen: Seen, oldest: int) -> "Track":
        """The past with one more change, less what is older than `oldest`."""
        first = max(0, bisect_right(self.changes, oldest, key=_step) - 1)
        mark = _mark(self.marks[-1] if self.marks else self.place, seen)
        return Track(self.place, (*self.changes[first:], seen), (*self.marks[first:], mark))

    def count(self, step: int) -> int:
        """How many changes had been seen by then."""
        return bisect_right(self.changes, step, key=_step)

    def holds(self, seen: Seen, gang: Gang) -> bool:
        """Whether the gang found room."""
        if self.place.is_home:
            return sum(nodes for free, nodes in seen.room if free >= gang.gpus) >= gang.nodes
        return any(free >= gang.total for free, _ in seen.room)

    def price(self, seen: Seen, gang: Gang) -> float:
        """USD per hour for the gang; a whole offer is paid whole."""
        return float(seen.usd) * (self.place.size or gang.total)

    def since(self, step: int, gang: Gang) -> int:
        """From which step on the gang has found room (or none) without a break."""
        count = self.count(step)
        if not count:
            return step
        now = self.holds(self.changes[count - 1], gang)
        began = count - 1
        while began and self.holds(self.changes[began - 1], gang) == now:
            began -= 1
        return self.changes[began].step

    def looks(self, low: int, high: int, gang: Gang) -> tuple[tuple[bool, ...], float]:
        """At every step of [low, high]: was there room; and the mean price, USD per hour."""
        ups: list[bool] = []
        paid = 0.0
        changes = self.changes[: self.count(high)]
        for index, seen in enumerate(changes):
            end = changes[index + 1].step if index + 1 < len(changes) else high + 1
            lasted = end - max(seen.step, low)
            if lasted > 0:
                if not ups:
                    # Before it was first seen nobody offered it.
                    ups.extend([False] * (max(seen.step, low) - low))
                    paid += self.price(seen, gang) * len(ups)
                ups.extend([self.holds(seen, gang)] * lasted)
                paid += self.price(seen, gang) * lasted
        return tuple(ups), paid / len(ups) if ups else 0.0


def track_of(place: Place, changes: Iterable[Seen]) -> Track:
    """A track of these changes, oldest first."""
    changes, marks = tuple(changes), list[int]()
    for seen in changes:
        marks.append(_mark(marks[-1] if marks else place, seen))
    return Track(place, changes, tuple(marks))


def _mark(before: object, seen: Seen) -> int:
    return hash((before, seen))


def losses_of(lives: Mapping[Place, tuple[Lived, ...]], provider: str) -> tuple[float, int]:
    """Node-hours that leases of an account ran, and how many of them were lost."""
    mine = [one for place, lived in lives.items() if place.provider == provider for one in lived]
    return sum(one.hours * one.nodes for one in mine), sum(one.was_lost for one in mine)


def _step(seen: Seen) -> int:
    return seen.step


@dataclass(frozen=True, slots=True)
class Past:
    """All places. `since` is the first step that was looked at."""

    step: timedelta = STEP
    since: int | None = None
    until: int = 0
    tracks: Mapping[Place, Track] = field(default_factory=dict)
    lives: Mapping[Place, tuple[Lived, ...]] = field(default_factory=dict)
    tuning: Tuning = field(default_factory=Tuning)

    def at(self, now: datetime) -> int:
        """The step of a moment."""
        return (now - _EPOCH) // self.step

    def moment(self, step: int) -> datetime:
        """When a step began."""
        return _EPOCH + step * self.step

    @property
    def kept_steps(self) -> int:
        """How many steps back is learnt from."""
        return KEPT // self.step

    def looked(self, now: datetime, rooms: Mapping[Place, tuple[Room, Decimal]]) -> "Past":
        """The past with this look; the same object when this step was looked at before."""
        step = self.at(now)
        if self.since is not None and step <= self.until:
            return self
        oldest = step - (KEPT + SPARE) // self.step
        tracks = dict(self.tracks)
        for place in tracks.keys() | rooms.keys():
            track = tracks.get(place) or Track(place, (), ())
            room, usd = rooms.get(place) or ((), track.changes[-1].usd)
            last = track.changes[-1] if track.changes else None
            if last is None or (last.room, last.usd) != (room, usd):
                tracks[place] = track.then(Seen(step, room, usd), oldest)
        since = step if self.since is None else self.since
        return replace(self, since=since, until=step, tracks=_bounded(tracks, oldest))


def _bounded(tracks: dict[Place, Track], oldest: int) -> Mapping[Place, Track]:
    """Places that have been gone for the whole time are forgotten, the longest unchanged first."""
    kept = {p: t for p, t in tracks.items() if t.changes[-1].room or t.changes[-1].step >= oldest}
    if len(kept) <= MOST_PLACES:
        return kept
    ordered = sorted(kept.items(), key=lambda item: (-item[1].changes[-1].step, item[0]))
    return dict(ordered[:MOST_PLACES])


def place_of(offer: Offer, *, is_home: bool) -> Place:
    """The place that an offer is one of."""
    size = 0 if offer.is_divisible or is_home else offer.gpu_count
    region = "" if is_home else offer.region
    kind = offer.capacity_type.value
    return Place(offer.provider, region, offer.gpu_model, kind, size, is_home)


def rooms_of(offers: Iterable[Offer], home: frozenset[str]) -> Mapping[Place, tuple[Room, Decimal]]:
    """What these offers leave free at every place, and the least price of a GPU and hour."""
    free: dict[Place, dict[int, int]] = {}
    prices: dict[Place, tuple[bool, Decimal]] = {}
    for offer in offers:
        if offer.gpu_count <= 0:
            continue
        place = place_of(offer, is_home=offer.provider in home)
        counts = free.setdefault(place, {})
        price = (bool(offer.unavailable_reason), offer.price_per_gpu_hour)
        prices[place] = min(prices.get(place, price), price)
        if not offer.unavailable_reason:
            counts[offer.gpu_count] = counts.get(offer.gpu_count, 0) + 1
    return {
        place: (tuple(sorted(counts.items(), reverse=True)), prices[place][1])
        for place, counts in free.items()
    }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
