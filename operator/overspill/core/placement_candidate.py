"""A place that fits a kind of job, and what it costs one job of that kind.

Thousands of jobs meet the same places, each with work of its own. What does not depend on the job
is worked out once (`Stand`); to rank, its price per useful hour is estimated in binary floating
point, rounded to a millionth; dollars that are compared with a limit, told or recorded are always
the exact ones of `pricing`, worked out when somebody asks. Called by `placement_ranking`.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from math import exp, expm1

from overspill.core.filters import Market, Needs, fabric_falls_short
from overspill.core.offer import Offer
from overspill.core.placement_capacity import Pool, Rented
from overspill.core.placement_losers import Key
from overspill.core.placement_money import CLOSING_TIME, RATE_TOLERANCE, SAFETY_SHARE, least_money
from overspill.core.policy_past import Place, place_of
from overspill.core.pricing import (
    Quote,
    Terms,
    cut_price,
    egress_usd_per_gib,
    hours,
    mtbf_of,
    quote,
    span,
    start_time,
)
from overspill.core.reasons import Reason

Preference = tuple[int, int, bool]
"""Capacity type, model, fabric: what goes before the price."""

Tail = tuple[bool, str, str]
"""What parts places of one price: home first, then by name."""

FARTHEST = 20.0
"""exp() is cut here, as in `pricing`."""

_CLOSING_H = CLOSING_TIME / timedelta(hours=1)
_RESERVE = float(RATE_TOLERANCE / SAFETY_SHARE)


@dataclass(frozen=True, slots=True)
class Work:
    """`Terms` as floats."""

    hours: float
    at_stake: float
    """Hours of work that a loss destroys."""
    restore: float
    moved_gib: float
    at_least: float
    """The hours that one-off costs are spread over."""

    @classmethod
    def of(cls, terms: Terms) -> "Work":
        """The same terms."""
        hours, interval = float(terms.work_h), float(terms.interval_h or 0)
        at_stake = min(interval or hours, hours)
        restore, moved = float(terms.restore_h), float(terms.moved_gib)
        return cls(hours, at_stake, restore, moved, max(hours, 0.01))


@dataclass(slots=True)
class Stand:
    """A pool or an offer under the needs of a kind of job: all that no term changes."""

    offer: Offer
    market: Market
    preference: Preference
    price: Decimal
    """USD per hour, cut to size."""
    start_h: Decimal
    pool: Pool | None
    rented: Rented | None
    usd_per_hour: float
    start: float
    hazard: float
    """Losses of the gang per hour."""
    egress: float
    """USD per GiB."""
    least: float
    """Hours that are paid at least."""
    tail: Tail
    place: Place
    size: int
    """How many offers it stands for."""
    dearer: Key
    lesser: Key
    """The groups of losers it would belong to: `COSTS_MORE` and `LESS_PREFERRED`."""

    def useful(self, work: Work) -> float:
        """About the USD per useful hour, rounded to a millionth."""
        start = self.start + work.restore
        paid = start + work.hours
        if self.hazard:
            x, y = self.hazard * work.at_stake, self.hazard * start
            if 0 < x < FARTHEST > y:
                paid = start + work.hours * (exp(y) * expm1(x) / x)
            else:
                paid += self.rework(work, start)
        paid = max(paid, self.least)
        total = self.usd_per_hour * paid + self.egress * work.moved_gib
        return round(total / work.at_least, 6)

    def needed(self, work: Work, run: float | None) -> float:
        """About the USD a lease needs with its reserve; `run`: hours, where work is unknown."""
        start = self.start + work.restore
        lasts = start + work.hours + self.rework(work, start) if run is None else start + run
        paid = max(lasts, self.least) + _CLOSING_H
        return self.usd_per_hour * paid * _RESERVE + self.egress * work.moved_gib * 1.1

    def rework(self, work: Work, start: float) -> float:
        """Hours that losses make the job pay again."""
        if not self.hazard or work.hours <= 0:
            return 0.0
        x, y = self.hazard * work.at_stake, self.hazard * start
        x, y = (x if x < FARTHEST else FARTHEST), (y if y < FARTHEST else FARTHEST)
        return work.hours * (exp(y) * expm1(x) / x - 1)


def stand_of(place: Pool | Rented, market: Market, needs: Needs) -> Stand:
    """The place under these needs."""
    pool = place if isinstance(place, Pool) else None
    rented = place if isinstance(place, Rented) else None
    offer = place.sample if isinstance(place, Pool) else place.offer
    mtbf, start_h = mtbf_of(offer, market), hours(start_time(offer, market))
    price = cut_price(offer, needs)
    is_mortal = mtbf is not None and mtbf > timedelta(0)
    return Stand(
        offer,
        market,
        _preference(offer, needs),
        price,
        start_h,
        pool,
        rented,
        float(price),
        float(start_h),
        needs.num_nodes * (timedelta(hours=1) / mtbf) if mtbf and is_mortal else 0.0,
        float(egress_usd_per_gib(offer, market)),
        offer.min_billable / timedelta(hours=1),
        (pool is None, offer.provider, offer.offer_id),
        place_of(offer, is_home=pool is not None),
        len(pool.nodes) if pool else 1,
        (offer.provider, Reason.COSTS_MORE, offer.gpu_model),
        (offer.provider, Reason.LESS_PREFERRED, offer.gpu_model),
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """What jobs have in common that are ranked together."""

    needs: Needs
    terms: Terms
    work: Work

    def candidate(self, stand: Stand) -> "Candidate":
        """The stand for these jobs."""
        return Candidate(stand, self.needs, self.terms, self.work)


class Candidate:
    """A stand for one job's terms."""

    def __init__(self, stand: Stand, needs: Needs, terms: Terms, work: Work) -> None:
        self.stand, self._needs, self._terms, self._work = stand, needs, terms, work
        self.offer, self.market, self.preference = stand.offer, stand.market, stand.preference
        self.price, self.pool, self.rented = stand.price, stand.pool, stand.rented
        self.useful = stand.useful(work)
        """About the USD per useful hour."""

    @property
    def is_home(self) -> bool:
        """A pool of nodes of this cluster."""
        return self.pool is not None

    @property
    def size(self) -> int:
        """How many offers it stands for."""
        return self.stand.size

    @cached_property
    def quote(self) -> Quote:
        """The all-in price, exact."""
        return quote(self.offer, self.market, self._needs, self._terms)

    @cached_property
    def bought(self) -> tuple[Decimal, str]:
        """The least money a lease makes sense with, and what it would buy."""
        return least_money(self.offer, self.quote, self._terms)

    @cached_property
    def takes(self) -> timedelta:
        """From now to the end of the work, losses left out; to its start where it is unknown."""
        return span(self.start_h + (self._terms.work_h if self._terms.is_known else 0))

    @property
    def start_h(self) -> Decimal:
        """Hours from lease to useful work."""
        return self.stand.start_h + self._terms.restore_h

    @property
    def entry(self) -> float:
        """About the USD to bring data and checkpoint there."""
        return self.stand.egress * self._work.moved_gib

    def exceeds(self, limit: Decimal | None) -> bool:
        """Whether the least money is more than that. Exact wherever it is near."""
        if limit is None:
            return False
        about = self.stand.needed(self._work, None if self._terms.is_known else 1.0)
        if about * 1.001 + 0.01 < float(limit):
            return False
        return self.bought[0] > limit


def _preference(offer: Offer, needs: Needs) -> Preference:
    models = needs.gpu.models
    return (
        needs.capacity_types.index(offer.capacity_type),
        models.index(offer.gpu_model) if models else 0,
        fabric_falls_short(needs.gpu, offer),
    )
