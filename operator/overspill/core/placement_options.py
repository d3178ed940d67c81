"""The places of one job as the policy weighs them: what fits, what is only away, what is held.

Several offers of one place are one option, the best that fits; a place without room now is kept,
because waiting for it may pay; who fails for another reason is no option. Called by
`placement_policy`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

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
    """One place for one job. `fit` None: it is away, or it is the one that is held."""

    place: Place
    price: float
    entry: float
    start: float
    is_reliable: bool
    losses_per_hour: float | None
    """Of what is held there, where nobody takes it back; None: as the past of the place says."""
    fit: Fit | None = None
    is_held: bool = False
    usual_move: float = 0.0
    """USD to bring data and checkpoint there from anywhere, once there is one."""

    def option(self, ground: "Ground", gang: Gang) -> Option:
        """As the policy sees it."""
        return Option(
            name=self.place.label,
            price=self.price,
            entry=0.0 if self.is_held else self.entry,
            is_reliable=self.is_reliable,
            is_up=self.is_held or self.fit is not None,
            age=0.0 if self.is_reliable else ground.age(self.place, gang),
        )

    def studied(self, past: Past) -> Studied:
        """What there is to learn from."""
        track = past.tracks.get(self.place) or Track(self.place, (), ())
        lives = past.lives.get(self.place, ())
        return Studied(track, lives, _digits(self.usual_move), self.losses_per_hour)


class Ground:
    """The past as one plan asks it: the same question is answered once."""

    def __init__(self, past: Past, now: datetime) -> None:
        self.past, self.now = past, now
        self._ages: dict[tuple[Place, Gang], float] = {}
        self._dependable: dict[tuple[Place, Gang], bool] = {}

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


def spots_of(
    search: Search, candidates: Iterable[Candidate], ground: Ground, held: Lease | None
) -> Mapping[Place, Spot]:
    """What these candidates are to the job now, one for every place that has a past."""
    found: dict[Place, Spot] = {}
    for candidate in candidates:
        place = candidate.stand.place
        known = found.get(place)
        if place not in ground.past.tracks or (known is not None and known.fit is not None):
            continue
        if held is not None:
            search.allowance = allowance_to_move(search.case, held, candidate)
        fit = search.attempt(candidate)
        if isinstance(fit, Fit):
            found[place] = _spot(search, candidate, ground, fit)
        elif fit.reason in AWAY and known is None:
            found[place] = _spot(search, candidate, ground, None)
    return found


def held_spot(
    search: Search, lease: Lease, priced: Quote, candidate: Candidate, past: Past
) -> Spot:
    """The place where the job runs; any candidate of that account tells its lives."""
    place = known_as(lease, past.tracks)
    price = lease.price_usd_per_hour
    return Spot(
        place,
        float(priced.price if price is None else price),
        float(priced.line("egress")),
        float(priced.start_h),
        place.capacity_type in RELIABLE,
        _losses(search, candidate, place),
        is_held=True,
        usual_move=_usual_move(search, candidate),
    )


def gang_of(search: Search) -> Gang:
    """What the job takes."""
    return Gang(search.needs.gpu.count, search.needs.num_nodes)


def _spot(search: Search, candidate: Candidate, ground: Ground, fit: Fit | None) -> Spot:
    stand, place = candidate.stand, candidate.stand.place
    is_steady = fit is not None and place.capacity_type in RELIABLE
    return Spot(
        place,
        stand.usd_per_hour,
        candidate.entry,
        float(candidate.start_h),
        is_steady and ground.is_dependable(place, gang_of(search)),
        _losses(search, candidate, place),
        fit,
        usual_move=_usual_move(search, candidate),
    )


def _usual_move(search: Search, candidate: Candidate) -> float:
    """The account's prior is of any move, the offer's own figure of the one from here."""
    job, account = search.case.job, candidate.market.account
    moved = job.data_gib + (job.checkpoint.size_gib if job.checkpoint else 0)
    told = account.egress_usd_per_gib if account else Decimal(0)
    return float(moved * (told or candidate.offer.egress_usd_per_gib))


def _digits(usd: float) -> float:
    """Two digits tell places apart; more would only keep jobs from sharing what is known."""
    return float(f"{usd:.2g}")


def _losses(search: Search, candidate: Candidate, place: Place) -> float | None:
    if place.capacity_type not in STEADY:
        return None
    return candidate.stand.hazard or search.needs.num_nodes * (timedelta(hours=1) / NODE_LIFE)
