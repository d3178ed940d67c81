"""The places of one job as the policy weighs them: what fits, what is only away, what is held.

Several offers of one place are one option, the best that fits; a place without room now is kept,
because waiting for it may pay; who fails for another reason is no option. Called by
`placement_policy`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from overspill.core.filters import Refusal
from overspill.core.lease import Lease
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_moves import allowance_to_move
from overspill.core.placement_reserve import RELIABLE
from overspill.core.placement_search import Fit, Search
from overspill.core.policy import Option
from overspill.core.policy_learn import Studied, share
from overspill.core.policy_looks import known_as
from overspill.core.policy_past import Gang, Past, Place, Track
from overspill.core.pricing import Quote
from overspill.core.reasons import Reason
from overspill.core.vocabulary import CapacityType

STEADY = (*RELIABLE, CapacityType.OWN)
"""Free ones are taken by others, but what we hold is not."""

NODE_LIFE = timedelta(days=100)
"""Mean time between losses of one node that nobody takes back, where no prior is given: faults of
GPU nodes in published traces are two to four per 1,000 node-days."""

AWAY = (Reason.NO_CAPACITY_NOW, Reason.UNAVAILABLE, Reason.GANG_WOULD_SPLIT)
"""Refusals that mean: not now."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One place for jobs of one kind, as it is now."""

    place: Place
    price: float
    start: float
    is_reliable: bool
    option: Option
    """As the policy sees it."""
    studied: Studied
    """What there is to learn from."""


class Sight(NamedTuple):
    """A place for one job. `fit` None: it is away, or it is the one that is held."""

    spot: Spot
    fit: Fit | None = None
    is_held: bool = False

    @property
    def may_serve(self) -> bool:
        """It is there."""
        return self.fit is not None or self.is_held


class Outlook(NamedTuple):
    """All places of a job at once, as far as the policy asks."""

    options: Sequence[Option]
    reliable_price: float | None
    """USD per hour of the cheapest that is reliable; it is there, or held. None: there is none."""
    cold: float
    """Hours of the longest start."""
    uncertain: Sequence[Studied]
    """Of the others."""


def outlook_of(spots: Sequence[Spot]) -> Outlook:
    """Of these places."""
    return Outlook(
        [spot.option for spot in spots],
        min((spot.price for spot in spots if spot.is_reliable), default=None),
        max((spot.start for spot in spots), default=0.0),
        [spot.studied for spot in spots if not spot.is_reliable],
    )


class Moved(NamedTuple):
    """What jobs have to move: those that are equal in it see the same spots."""

    restore_h: Decimal
    now_gib: Decimal
    usual_gib: Decimal
    """Data and checkpoint, once there is one."""


class Ground:
    """The past as one plan asks it: the same question is answered once."""

    def __init__(self, past: Past, now: datetime) -> None:
        self.past, self.now = past, now
        self._ages: dict[tuple[Place, Gang], float] = {}
        self._dependable: dict[tuple[Place, Gang], bool] = {}
        self._studied: dict[tuple[int, float, float | None], Studied] = {}
        self._spots: dict[Moved, dict[tuple[int, bool], Spot]] = defaultdict(dict)

    def age(self, place: Place, gang: Gang) -> float:
        """Hours that the gang has found room there, or none, without a break."""
        key = (place, gang)
        if key not in self._ages:
            track = self.past.tracks.get(place)
            since = self.past.until if track is None else track.since(self.past.until, gang)
            hours = (self.now - self.past.moment(since)) / timedelta(hours=1)
            self._ages[key] = 0.0 if track is None else max(0.0, hours)
        return self._ages[key]

    def is_dependable(self, place: Place, gang: Gang) -> bool:
        """Whether the gang has nearly always found room there."""
        key = (place, gang)
        if key not in self._dependable:
            up = share(self.past, self.past.tracks[place], gang)
            self._dependable[key] = up >= self.past.tuning.dependable_share
        return self._dependable[key]

    def studied(self, candidate: Candidate, place: Place, moved: Moved) -> Studied:
        """What there is to learn from about a place, by what any candidate of it tells."""
        track = self.past.tracks.get(place) or Track(place, (), ())
        entry, losses = _digits(_usual_move(candidate, moved.usual_gib)), _losses(candidate, place)
        found = Studied(track, self.past.lives.get(place, ()), entry, losses)
        return self._studied.setdefault((id(track), entry, losses), found)

    def spots(self, moved: Moved) -> dict[tuple[int, bool], Spot]:
        """What is known for jobs that move so much; by the id of a stand, which lives as long as
        its plan and knows the needs of its jobs, and whether it is up.
        """
        return self._spots[moved]


def sights_of(
    search: Search, candidates: Iterable[Candidate], ground: Ground, held: Lease | None
) -> Mapping[Place, Sight]:
    """What these candidates are to the job now, one for every place that has a past."""
    found: dict[Place, Sight] = {}
    moved = moved_of(search)
    for candidate in candidates:
        place = candidate.stand.place
        known = found.get(place)
        if place not in ground.past.tracks or (known is not None and known.fit is not None):
            continue
        if held is not None:
            search.allowance = allowance_to_move(search.case, held, candidate)
        fit = search.attempt(candidate)
        there = fit if isinstance(fit, Fit) else None
        if isinstance(fit, Refusal) and (known is not None or fit.reason not in AWAY):
            continue
        found[place] = Sight(spot_of(candidate, ground, moved, is_up=there is not None), there)
    return found


def spot_of(candidate: Candidate, ground: Ground, moved: Moved, *, is_up: bool) -> Spot:
    """The candidate's place for jobs that move as much; the same object for the same question."""
    spots, key = ground.spots(moved), (id(candidate.stand), is_up)
    if key not in spots:
        spots[key] = _spot(candidate, ground, moved, is_up=is_up)
    return spots[key]


def held_sight(
    search: Search, lease: Lease, priced: Quote, candidate: Candidate, ground: Ground
) -> Sight:
    """The place where the job runs; any candidate of that account tells its lives."""
    place, gang = known_as(lease, ground.past.tracks), gang_of(search)
    price = float(priced.price if lease.price_usd_per_hour is None else lease.price_usd_per_hour)
    is_reliable = place.capacity_type in RELIABLE
    age = 0.0 if is_reliable else ground.age(place, gang)
    option = Option(place.label, price, 0.0, is_reliable, is_up=True, age=age)
    studied = ground.studied(candidate, place, moved_of(search))
    spot = Spot(place, price, float(priced.start_h), is_reliable, option, studied)
    return Sight(spot, is_held=True)


def gang_of(search: Search) -> Gang:
    """What the job takes."""
    return Gang(search.needs.gpu.count, search.needs.num_nodes)


def moved_of(search: Search) -> Moved:
    """What the job has to move."""
    job, terms = search.case.job, search.terms
    usual = job.data_gib + (job.checkpoint.size_gib if job.checkpoint else 0)
    return Moved(terms.restore_h, terms.moved_gib, usual)


def _spot(candidate: Candidate, ground: Ground, moved: Moved, *, is_up: bool) -> Spot:
    stand, place = candidate.stand, candidate.stand.place
    gang = Gang(stand.gpus, stand.nodes)
    is_steady = is_up and place.capacity_type in RELIABLE
    is_reliable = is_steady and ground.is_dependable(place, gang)
    age = 0.0 if is_reliable else ground.age(place, gang)
    price, entry = stand.usd_per_hour, candidate.entry
    option = Option(place.label, price, entry, is_reliable, is_up, age)
    studied = ground.studied(candidate, place, moved)
    return Spot(place, price, float(candidate.start_h), is_reliable, option, studied)


def _usual_move(candidate: Candidate, gib: Decimal) -> float:
    """The account's prior is of any move, the offer's own figure of the one from here."""
    account = candidate.market.account
    told = account.egress_usd_per_gib if account else Decimal(0)
    return float(gib * (told or candidate.offer.egress_usd_per_gib))


def _digits(usd: float) -> float:
    """Two digits tell places apart; more would only keep jobs from sharing what is known."""
    return float(f"{usd:.2g}")


def _losses(candidate: Candidate, place: Place) -> float | None:
    """Per hour, of what is held and nobody takes back; None: as the past of the place says."""
    if place.capacity_type not in STEADY:
        return None
    stand = candidate.stand
    return stand.hazard or stand.nodes * (timedelta(hours=1) / NODE_LIFE)
