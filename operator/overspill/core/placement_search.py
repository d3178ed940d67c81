"""Looks for a place for one job: the questions that depend on time, money and what is free now.

A search goes through a ranking from the best candidate down and remembers why each one lost.
Nothing is taken here; `placement` commits what was found. Called by `placement` alone.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import NamedTuple

from overspill.core.filters import Needs, Refusal
from overspill.core.offer import NOTHING_BESIDE
from overspill.core.placement_candidate import Candidate, Stand
from overspill.core.placement_capacity import Rented
from overspill.core.placement_case import Case
from overspill.core.placement_losers import Losers
from overspill.core.placement_money import Allowance, Money, Purse, afford, purse_of
from overspill.core.placement_pool import Node, Pool
from overspill.core.placement_reserve import Watched, has_promise, is_reliable, reserve_of
from overspill.core.pricing import Terms
from overspill.core.reasons import Reason
from overspill.core.vocabulary import CapacityType

START_MARGIN = Decimal("1.1")
"""A rented start is not put off beyond the point where this many times its length is left."""


_TAKEN = Refusal(Reason.NO_CAPACITY_NOW, "taken by another job just now", clears=True)

_HOUR = timedelta(hours=1)


class Fit(NamedTuple):
    """A candidate that a job can have now; `total` is the money its lease may use."""

    candidate: Candidate
    nodes: tuple[Node, ...]
    total: Decimal | None


_FOR_MONEY = (
    Reason.BUDGET_TOO_SMALL,
    Reason.NAMESPACE_BUDGET_EXHAUSTED,
    Reason.BURST_NOT_YET,
)
"""Refusals of a place that could be had, were there money or a little patience."""


@dataclass(slots=True)
class Search:
    """What one job asks, and what was learnt while looking for its place."""

    case: Case
    needs: Needs
    terms: Terms
    allowance: Allowance
    money: Money
    losers: Losers = field(default_factory=Losers)
    home_is_busy: bool = False
    wait_until: datetime | None = None
    watched: Watched | None = None
    """What its finish-by is kept with; None: it has none that can be reckoned with."""
    finish_at_risk: str = ""
    """Why its money does not buy the reliable way to the finish-by."""
    dearest: Candidate | None = None
    """Nowhere cheaper than any place of its ranking; None: not known."""
    has_home: bool = True
    """It may meet a busy home on its way, and wait for it."""
    _is_at_ease: bool | None = None
    _has_promise: bool | None = None
    _ways: list[Candidate | None] = field(default_factory=list)
    _purses: dict[bool, Purse] = field(default_factory=dict)
    hours_left: float = inf
    """Until the finish-by."""

    def __post_init__(self) -> None:
        finish_by = self.case.job.finish_by
        if finish_by is not None:
            self.hours_left = (finish_by - self.case.now) / _HOUR

    @property
    def max_loss(self) -> Decimal | None:
        """The loss in USD that the class bears."""
        return self.case.sla.max_loss_usd if self.case.sla else None

    @property
    def has_promise(self) -> bool:
        """Whether it has a finish-by that can still be kept."""
        if self._has_promise is None:
            self._has_promise = has_promise(self.case, self.terms)
        return self._has_promise

    def attempt(self, candidate: Candidate) -> Fit | Refusal:
        """The questions whose answer depends on time, money and what is free now."""
        stand = candidate.stand
        why = self._recently_refused(candidate) or self._too_late(candidate)
        if why is not None:
            return why
        purse = self._purse(is_own=stand.is_own)
        total: Decimal | Refusal | None = purse.total
        if not purse.surely_pays(candidate):
            total = afford(purse.allowance, purse.free, candidate)
        if self.watched is not None:
            total = self._kept(candidate, total)
        if isinstance(total, Refusal):
            return total
        if stand.is_limited:
            why = self.money.within_limits(candidate.market, candidate.price)
            if why is not None:
                return why
            total = self.money.within_exposure(candidate.market, candidate, total)
            if isinstance(total, Refusal):
                return total
        if stand.pool is not None:
            return self._at_home(candidate, stand.pool, total)
        return self._outside(candidate, total)

    def _purse(self, *, is_own: bool) -> Purse:
        known = self._purses.get(is_own)
        if known is None or known.allowance is not self.allowance:
            free = None if is_own else self.money.free(self.case.job.ref.namespace)
            known = self._purses[is_own] = purse_of(self.allowance, free)
        return known

    def fits(self, candidate: Candidate) -> bool:
        """Whether the job could have it now."""
        return isinstance(self.attempt(candidate), Fit)

    def misses(self, stand: Stand) -> bool:
        """Whether a rented place is gone, where that is all there is to ask of it."""
        rented = stand.rented
        if rented is None or stand.is_limited or rented.free >= stand.takes:
            return False
        if not self.is_at_ease:
            return False
        self.losers.add_gone(stand, _not_there(rented))
        return True

    @property
    def is_at_ease(self) -> bool:
        """Whether neither time nor money keeps the job from any rented place of its ranking,
        unless it be a limit of the account's.

        False: perhaps, `attempt` says.
        """
        if self._is_at_ease is None:
            self._is_at_ease = self.dearest is not None and self._has_ease(self.dearest)
        return self._is_at_ease

    def _has_ease(self, dearest: Candidate) -> bool:
        case = self.case
        if case.facts.excluded_offers or (self.has_home and case.burst_from > case.now):
            return False
        is_free = case.job.finish_by is None or case.has_run
        if not is_free and not dearest.is_done_within(self.hours_left):
            return False
        purse = self._purse(is_own=False)
        if not purse.surely_pays(dearest):
            return False
        if self.watched is None or purse.total is None:
            return True
        if self.watched.is_ample_anywhere(dearest, purse.total):
            return True
        finish = self._way_to_finish(self.watched)
        return finish is None or self.watched.is_ample(finish, dearest, purse.total)

    def _kept(
        self, candidate: Candidate, money: Decimal | Refusal | None
    ) -> Decimal | Refusal | None:
        """The money, unless the place would risk what is kept for the way to the finish-by."""
        if self.watched is None or money is None or isinstance(money, Refusal):
            return money
        if is_reliable(candidate) or self.is_at_ease:
            return money
        finish = self._way_to_finish(self.watched)
        if finish is None or self.watched.is_ample(finish, candidate, money):
            return money
        reserve = reserve_of(finish, self.watched.peaks)
        self.finish_at_risk = reserve.warning(money)
        if self.watched.at_risk_h is None:
            return money
        return reserve.refusal(candidate, self.watched.at_risk_h, money) or money

    def _way_to_finish(self, watched: Watched) -> Candidate | None:
        """The reliable place that needs least money; looked for once, where somebody asks."""
        if not self._ways:
            could = (c for c in watched.reliable() if self._could_finish_at(c))
            self._ways.append(next(could, None))
        return self._ways[0]

    def _could_finish_at(self, candidate: Candidate) -> bool:
        """Whether nothing but money, or patience, keeps the job from that reliable place now."""
        found = self.attempt(candidate)
        return isinstance(found, Fit) or found.reason in _FOR_MONEY

    def _recently_refused(self, candidate: Candidate) -> Refusal | None:
        excluded = self.case.facts.excluded_offers
        if not excluded:
            return None
        offer = candidate.offer
        is_out = (
            candidate.pool.is_excluded(excluded)
            if candidate.pool is not None
            else (offer.provider, offer.offer_id) in excluded
        )
        told = "refused or withdrawn for this job a moment ago"
        return Refusal(Reason.RECENTLY_REFUSED, told, clears=True) if is_out else None

    def _too_late(self, candidate: Candidate) -> Refusal | None:
        finish_by = self.case.job.finish_by
        # A job that is late already is finished as soon as can be: the promise is broken, not it.
        if finish_by is None or self.case.has_run or candidate.is_done_within(self.hours_left):
            return None
        if self.case.now + candidate.takes <= finish_by:
            return None
        told = f"the work would end at {self.case.now + candidate.takes:%Y-%m-%dT%H:%M:%SZ}, "
        return Refusal(
            Reason.DEADLINE_UNREACHABLE, f"{told}after finish-by {finish_by:%Y-%m-%dT%H:%M:%SZ}"
        )

    def _at_home(self, candidate: Candidate, pool: Pool, total: Decimal | None) -> Fit | Refusal:
        needs, facts = self.needs, self.case.facts
        nodes = pool.choose(needs, facts.excluded_offers, facts.requests)
        if nodes:
            is_own = pool.sample.capacity_type is CapacityType.OWN
            waits = None if is_own else self._waits_for_own(candidate)
            return waits or Fit(candidate, tuple(nodes), total)
        why = pool.busy(needs)
        if facts.requests is not NOTHING_BESIDE:
            why = pool.cramped(needs, facts.requests) or why
        self.home_is_busy |= why.clears
        return why

    def _outside(self, candidate: Candidate, total: Decimal | None) -> Fit | Refusal:
        rented = candidate.rented
        assert rented is not None  # noqa: S101  (home was handled before; this narrows the type)
        if rented.offer.unavailable_reason or not rented.fits(self.needs):
            return _not_there(rented)
        return self._waits_for_own(candidate) or Fit(candidate, (), total)

    def _waits_for_own(self, candidate: Candidate) -> Refusal | None:
        """What costs dollars waits for what is ours, as long as the job may wait."""
        until = self._patience(candidate)
        if until is None:
            return None
        self.wait_until = min(until, self.wait_until or until)
        told = f"it may leave from {until:%Y-%m-%dT%H:%M:%SZ} on; until then it waits for home"
        return Refusal(Reason.BURST_NOT_YET, told, clears=True)

    def _patience(self, candidate: Candidate) -> datetime | None:
        """Until when the job waits for home before taking this place; None: it does not wait.

        Only where home could serve it and is merely busy; a finish-by that would be missed by
        waiting beats the patience.
        """
        case = self.case
        if not self.home_is_busy:
            return None
        until = case.burst_from
        if case.job.finish_by is not None:
            seconds = Decimal(str(candidate.takes.total_seconds())) * START_MARGIN
            until = min(until, case.job.finish_by - timedelta(seconds=int(seconds)))
        return until if until > self.case.now else None


def _not_there(rented: Rented) -> Refusal:
    told = rented.offer.unavailable_reason
    return Refusal(Reason.UNAVAILABLE, told, clears=True) if told else _TAKEN
