"""A place that fits a kind of job, and what it costs one job of that kind.

Thousands of jobs meet the same places, each with work of its own. What does not depend on the job
is worked out once (`Stand`); to rank, its price per useful hour is estimated in binary floating
point, rounded to a millionth; dollars that are compared with a limit, told or recorded are always
the exact ones of `pricing`, worked out when somebody asks. Called by `placement_ranking`.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import exp, expm1, inf
from typing import NamedTuple

from overspill.core.filters import Market, Needs, fabric_falls_short
from overspill.core.offer import Offer
from overspill.core.placement_capacity import Rented
from overspill.core.placement_losers import Key
from overspill.core.placement_money import CLOSING_TIME, RATE_TOLERANCE, SAFETY_SHARE, least_money
from overspill.core.placement_pool import Pool
from overspill.core.policy_past import Place, place_of
from overspill.core.pricing import (
    Quote,
    Terms,
    cut_price,
    egress_usd_per_gib,
    hours,
    mtbf_of,
    quote_at,
    span,
    start_time,
)
from overspill.core.reasons import Reason
from overspill.core.vocabulary import CapacityType

Preference = tuple[int, int, bool]
"""Capacity type, model, fabric: what goes before the price."""

Tail = tuple[bool, float, str, str]
"""What parts places of one price: home first, a service's nearest, then by name."""

FARTHEST = 20.0
"""exp() is cut here, as in `pricing`."""

_NEAR = 1e-3
"""Hours; what is closer than this to a limit is worked out exactly."""

CLOSING_H = CLOSING_TIME / timedelta(hours=1)
_TOLERANCE = float(RATE_TOLERANCE)
RESERVE = float(RATE_TOLERANCE / SAFETY_SHARE)


class Work(NamedTuple):
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


@dataclass(slots=True, eq=False)
class Stand:
    """A pool or an offer under the needs of a kind of job: all that no term changes."""

    offer: Offer
    market: Market
    preference: Preference
    price: Decimal
    """USD per hour, cut to size."""
    start_h: Decimal
    stock: Pool | Rented
    """What is left of it in this plan."""
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
    gpus: int
    """What a job takes of each node."""
    nodes: int
    takes: float
    """GPUs that must be free of a rented offer: more than any has while it cannot be had."""
    is_own: bool
    """Nodes of ours: no dollars leave. A pool that an autoscaler grows is home, but paid."""
    is_limited: bool
    """Its account has limits of its own."""
    dearer: Key
    gone: Key
    """The groups of losers it belongs to where its price is why, or that it is not to be had."""
    cut: Offer | None = None
    """What a job takes of a rented offer, once one did."""

    def about(self, work: Work) -> float:
        """About the USD per useful hour."""
        start = self.start + work.restore
        paid = start + work.hours
        if self.hazard:
            x, y = self.hazard * work.at_stake, self.hazard * start
            if 0 < x < FARTHEST > y:
                paid = start + work.hours * (exp(y) * expm1(x) / x)
            else:
                paid += self.rework(work, start)
        paid = max(paid, self.least)
        return (self.usd_per_hour * paid + self.egress * work.moved_gib) / work.at_least

    def useful(self, work: Work) -> float:
        """The same, rounded to a millionth: what is closer than that costs the same."""
        return round(self.about(work), 6)

    def needed(self, work: Work, run: float | None) -> float:
        """About the USD a lease needs with its reserve; `run`: hours, where work is unknown."""
        start = self.start + work.restore
        lasts = start + work.hours + self.rework(work, start) if run is None else start + run
        paid = max(lasts, self.least) + CLOSING_H
        return self.usd_per_hour * paid * RESERVE + self.egress * work.moved_gib * 1.1

    def costs_less_than(self, limit: float, work: Work, terms: Terms) -> bool:
        """Whether the least money a lease needs is surely less than that; False: perhaps."""
        run = None if terms.is_known else 1.0
        return self.needed(work, run) * 1.001 + 0.01 < limit

    @property
    def cost(self) -> tuple[float, ...]:
        """All that its price depends on: who is equal in it costs every job the same."""
        return self.usd_per_hour, self.start, self.hazard, self.egress, self.least

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
    gone = Reason.UNAVAILABLE if offer.unavailable_reason else Reason.NO_CAPACITY_NOW
    is_mortal = mtbf is not None and mtbf > timedelta(0)
    return Stand(
        offer,
        market,
        _preference(offer, needs),
        price,
        start_h,
        place,
        pool,
        rented,
        float(price),
        float(start_h),
        needs.num_nodes * (timedelta(hours=1) / mtbf) if mtbf and is_mortal else 0.0,
        float(egress_usd_per_gib(offer, market)),
        offer.min_billable / timedelta(hours=1),
        (pool is None, _distance(offer, market, needs), offer.provider, offer.offer_id),
        place_of(offer, is_home=pool is not None),
        len(pool.nodes) if pool else 1,
        needs.gpu.count,
        needs.num_nodes,
        inf if offer.unavailable_reason else rented.wanted(needs) if rented else 0,
        pool is not None and offer.capacity_type is CapacityType.OWN,
        _is_limited(market),
        (offer.provider, Reason.COSTS_MORE, offer.gpu_model),
        (offer.provider, gone, offer.gpu_model),
    )


class Kind(NamedTuple):
    """What jobs have in common that are ranked together."""

    needs: Needs
    terms: Terms
    work: Work

    def candidate(self, stand: Stand) -> "Candidate":
        """The stand for these jobs."""
        return Candidate(stand, self)


class Candidate:
    """A stand for one job's terms. Dollars are worked out when somebody asks, and kept."""

    __slots__ = ("_bought", "_kind", "_needed", "_quote", "_takes", "stand")

    def __init__(self, stand: Stand, kind: Kind) -> None:
        self.stand, self._kind = stand, kind
        self._quote: Quote | None = None
        self._bought: tuple[Decimal, str] | None = None
        self._takes: timedelta | None = None
        self._needed: float | None = None
        """`about_needed`, once somebody asked."""

    @property
    def offer(self) -> Offer:
        """What would be taken; of a pool, any of its nodes."""
        return self.stand.offer

    @property
    def market(self) -> Market:
        """The account behind it."""
        return self.stand.market

    @property
    def preference(self) -> Preference:
        """What goes before the price."""
        return self.stand.preference

    @property
    def price(self) -> Decimal:
        """USD per hour, cut to size."""
        return self.stand.price

    @property
    def pool(self) -> Pool | None:
        """The nodes of this cluster that it stands for."""
        return self.stand.pool

    @property
    def rented(self) -> Rented | None:
        """The market's offer that it stands for."""
        return self.stand.rented

    @property
    def is_home(self) -> bool:
        """A pool of nodes of this cluster."""
        return self.stand.pool is not None

    @property
    def size(self) -> int:
        """How many offers it stands for."""
        return self.stand.size

    @property
    def useful(self) -> float:
        """About the USD per useful hour."""
        return self.stand.useful(self._kind.work)

    @property
    def quote(self) -> Quote:
        """The all-in price, exact."""
        if self._quote is None:
            stand = self.stand
            self._quote = quote_at(
                stand.price, stand.start_h, stand.offer, stand.market, self._kind.terms
            )
        return self._quote

    @property
    def bought(self) -> tuple[Decimal, str]:
        """The least money a lease makes sense with, and what it would buy."""
        if self._bought is None:
            self._bought = least_money(self.offer, self.quote, self._kind.terms)
        return self._bought

    @property
    def takes(self) -> timedelta:
        """From now to the end of the work, losses left out; to its start where it is unknown."""
        if self._takes is None:
            terms = self._kind.terms
            self._takes = span(self.start_h + (terms.work_h if terms.is_known else 0))
        return self._takes

    def is_done_within(self, hours: float) -> bool:
        """Whether the work ends by then; False: perhaps, `takes` says."""
        work = self._kind.work
        lasts = work.hours if self._kind.terms.is_known else 0.0
        return self.stand.start + work.restore + lasts + _NEAR < hours

    @property
    def start_h(self) -> Decimal:
        """Hours from lease to useful work."""
        return self.stand.start_h + self._kind.terms.restore_h

    @property
    def entry(self) -> float:
        """About the USD to bring data and checkpoint there."""
        return self.stand.egress * self._kind.work.moved_gib

    @property
    def about_needed(self) -> float:
        """About the USD of a lease for all the work that is left, with its reserve."""
        if self._needed is None:
            self._needed = self.stand.needed(self._kind.work, None)
        return self._needed

    def about_paid(self, hours: float) -> float:
        """About the USD of its start, so many hours, and what has to move there."""
        paid = self.stand.start + self._kind.work.restore + hours
        return self.stand.usd_per_hour * _TOLERANCE * paid + self.entry

    def exceeds(self, limit: Decimal | None) -> bool:
        """Whether the least money is more than that. Exact wherever it is near."""
        if limit is None or self.is_surely_below(float(limit)):
            return False
        return self.bought[0] > limit

    def is_surely_below(self, limit: float) -> bool:
        """Whether the least money is less than that by far; False: perhaps."""
        kind = self._kind
        needed = self.about_needed if kind.terms.is_known else self.stand.needed(kind.work, 1.0)
        return needed * 1.001 + 0.01 < limit


def _is_limited(market: Market) -> bool:
    account = market.account
    if account is None:
        return False
    limits = (account.max_leases, account.max_hourly_usd, account.max_exposure_usd)
    return any(limit is not None for limit in limits)


def _distance(offer: Offer, market: Market, needs: Needs) -> float:
    """Milliseconds, where it matters; who was never measured comes last."""
    return 0.0 if needs.is_batch else market.rtt_ms.get(offer.region, inf)


def _preference(offer: Offer, needs: Needs) -> Preference:
    models = needs.gpu.models
    return (
        needs.capacity_types.index(offer.capacity_type),
        models.index(offer.gpu_model) if models else 0,
        fabric_falls_short(needs.gpu, offer),
    )
