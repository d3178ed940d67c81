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
from overspill.core.placement_search import Fit, Search
from overspill.core.policy import Option
from overspill.core.policy_learn import Studied, share
from overspill.core.policy_looks import known_as
from overspill.core.policy_past import Gang, Past, Place, Track, place_of
from overspill.core.pricing import Quote, mtbf_of
from overspill.core.reasons import Reason
from overspill.core.vocabulary import CapacityType

RELIABLE = (CapacityType.RESERVED, CapacityType.ON_DEMAND)
"""What the administrator of an account calls so is not taken back; the past must agree."""

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

    def option(self, past: Past, gang: Gang, now: datetime) -> Option:
        """As the policy sees it."""
        age = timedelta(0)
        track = past.tracks.get(self.place)
        if track is not None and not self.is_reliable:
            age = now - past.moment(track.since(past.until, gang))
        return Option(
            name=self.place.label,
            price=self.price,
            entry=0.0 if self.is_held else self.entry,
            is_reliable=self.is_reliable,
            is_up=self.is_held or self.fit is not None,
            age=max(0.0, age / timedelta(hours=1)),
        )

    def studied(self, past: Past) -> Studied:
        """What there is to learn from."""
        track = past.tracks.get(self.place) or Track(self.place, (), ())
        lives = past.lives.get(self.place, ())
        return Studied(track, lives, _digits(self.usual_move), self.losses_per_hour)


def spots_of(
    search: Search, candidates: Iterable[Candidate], past: Past, held: Lease | None
) -> Mapping[Place, Spot]:
    """What these candidates are to the job now, one for every place that has a past."""
    found: dict[Place, Spot] = {}
    for candidate in candidates:
        place = place_of(candidate.offer, is_home=candidate.is_home)
        known = found.get(place)
        if place not in past.tracks or (known is not None and known.fit is not None):
            continue
        if held is not None:
            search.allowance = allowance_to_move(search.case, held, candidate)
        fit = search.attempt(candidate)
        if isinstance(fit, Fit):
            found[place] = _spot(search, candidate, place, past, fit)
        elif fit.reason in AWAY and known is None:
            found[place] = _spot(search, candidate, place, past, None)
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
        _losses(place, candidate),
        is_held=True,
        usual_move=_usual_move(search, candidate),
    )


def gang_of(search: Search) -> Gang:
    """What the job takes."""
    return Gang(search.needs.gpu.count, search.needs.num_nodes)


def _spot(search: Search, candidate: Candidate, place: Place, past: Past, fit: Fit | None) -> Spot:
    steady = fit is not None and place.capacity_type in RELIABLE
    if steady:
        up = share(past, past.tracks[place], gang_of(search))
        steady = up >= past.tuning.dependable_share
    return Spot(
        place,
        float(candidate.price),
        candidate.entry,
        float(candidate.start_h),
        steady,
        _losses(place, candidate),
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


def _losses(place: Place, candidate: Candidate) -> float | None:
    if place.capacity_type not in STEADY:
        return None
    life = mtbf_of(candidate.offer, candidate.market) or NODE_LIFE
    return timedelta(hours=1) / life
