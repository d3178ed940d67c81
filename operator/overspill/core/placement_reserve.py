"""Money kept for the safety net: what finishing on a reliable place costs at most is not risked.

A place that may be taken away can be lost with nothing to show for it: its start, the work since
the last checkpoint, and the time until somebody notices are paid and gone. It is used only while,
after that, the money still buys the rest of the work on a reliable place, at the highest price of
the last week. So a job that keeps its checkpoints can always afford its finish-by, however often
it loses. What runs is never stopped for it. Called by `placement_search`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from overspill.core.filters import Refusal
from overspill.core.placement_candidate import Candidate, Stand
from overspill.core.placement_case import Case
from overspill.core.placement_money import AUCTION_HEADROOM, FIRM_HEADROOM, RATE_TOLERANCE
from overspill.core.policy_past import Past, Place
from overspill.core.pricing import Terms, hours, span
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.statusparts import usd
from overspill.core.vocabulary import CapacityType

RELIABLE = (CapacityType.RESERVED, CapacityType.ON_DEMAND)
"""What the administrator of an account calls so is not taken back; the past must agree."""


class Peaks:
    """How far above their prices of now places were in the past; found once a plan."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._known: dict[tuple[Place, Decimal], Decimal] = {}
        self._highest: dict[int, tuple[Sequence[Stand], Decimal]] = {}

    def highest(self, stands: Sequence[Stand]) -> Decimal:
        """The most of any of them. They are known by their id, and so kept."""
        found = self._highest.get(id(stands))
        if found is None:
            most = max(map(self.over, stands), default=Decimal(1))
            found = self._highest[id(stands)] = (stands, most)
        return found[1]

    def over(self, stand: Stand) -> Decimal:
        """The highest price of the place by its price now; never below 1."""
        key = (stand.place, stand.offer.price_per_gpu_hour)
        if key not in self._known:
            track, now = self._past.tracks.get(key[0]), key[1]
            seen = max(s.usd for s in track.changes) / now if track and now > 0 else 1
            self._known[key] = max(Decimal(1), Decimal(seen))
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Watched:
    """A finish-by that can be reckoned with, and what it may be kept with."""

    reliable: Callable[[], Iterable[Candidate]]
    """Places that are not taken back, whose finish needs least money first."""
    stands: Sequence[Stand]
    """The same, in no order."""
    peaks: Peaks
    at_risk_h: Decimal | None
    """Hours, see `at_risk_h`, where the policy's net holds; None: nothing is forbidden."""

    def is_ample_anywhere(self, dearest: Candidate, money: Decimal) -> bool:
        """Whether it is, whichever reliable place it is kept for; none is dearer than `dearest`."""
        needed = dearest.about_needed
        if self.at_risk_h is not None:
            needed *= float(AUCTION_HEADROOM * self.peaks.highest(self.stands))
            needed += dearest.about_paid(float(self.at_risk_h))
        return needed * 1.001 + 0.02 < float(money)

    def is_ample(self, finish: Candidate, candidate: Candidate, money: Decimal) -> bool:
        """Whether the money buys both by far. Nearer than that the exact sums decide."""
        needed = finish.about_needed
        if self.at_risk_h is not None:
            needed *= float(_headroom(finish) * self.peaks.over(finish.stand))
            needed += candidate.about_paid(float(self.at_risk_h))
        return needed * 1.001 + 0.02 < float(money)


@dataclass(frozen=True, slots=True)
class Reserve:
    """What the cheapest reliable way to finish costs."""

    place: str
    now_usd: Decimal
    """At the price of this moment, the reserve of every lease included."""
    worst_usd: Decimal
    """At the highest price of the past week, and as far above it as a lease may open."""

    def refusal(self, candidate: Candidate, at_risk: Decimal, money: Decimal) -> Refusal | None:
        """Why a place that may be taken away would risk the finish; None: it does not.

        Where the money does not even buy the finish now there is nothing to keep. `at_risk`:
        hours, see `at_risk_h`.
        """
        stake = stake_usd(candidate, at_risk)
        if self.now_usd > money or stake + self.worst_usd <= money:
            return None
        told = f"a loss there could cost {usd(stake)} USD, and up to {usd(self.worst_usd)} USD are "
        told += f"kept to finish at {self.place} in time; {usd(money)} USD may be spent"
        return Refusal(Reason.KEPT_FOR_FINISH, told)

    def warning(self, money: Decimal) -> str:
        """What to say when only luck can keep the finish-by; empty: the money suffices."""
        if self.now_usd <= money:
            return ""
        told = f"finishing at {self.place} costs {usd(self.now_usd)} USD with its reserve, "
        return f"{told}{usd(money)} USD may be spent: the finish-by depends on a cheaper place"


def reserve_of(finish: Candidate, peaks: Peaks) -> Reserve:
    """The reserve for finishing there."""
    needed = finish.bought[0]
    worst = needed * _headroom(finish) * peaks.over(finish.stand)
    return Reserve(finish.offer.place, needed, worst)


def is_reliable(candidate: Candidate) -> bool:
    """Whether nobody takes the place back: own nodes too, which are lost only when they break."""
    return candidate.offer.capacity_type in (CapacityType.OWN, *RELIABLE)


def has_promise(case: Case, terms: Terms) -> bool:
    """Whether the job has a finish-by that can be reckoned with; who is late keeps nothing."""
    finish_by = case.job.finish_by
    if finish_by is None or not terms.is_known or terms.work_h <= 0:
        return False
    return case.now + span(terms.work_h) <= finish_by


def at_risk_h(case: Case, terms: Terms) -> Decimal:
    """Hours of work a loss destroys at most, and those in which nobody notices it."""
    unnoticed = hours((case.sla or SlaClass("")).heartbeat_grace)
    destroyed = terms.work_h if terms.interval_h is None else min(terms.interval_h, terms.work_h)
    return destroyed + unnoticed


def stake_usd(candidate: Candidate, at_risk: Decimal) -> Decimal:
    """What a loss leaves paid and gone: the start, the work at risk, and what had to move."""
    paid_h = candidate.quote.start_h + at_risk
    return candidate.price * RATE_TOLERANCE * paid_h + candidate.quote.line("egress")


def _headroom(candidate: Candidate) -> Decimal:
    return FIRM_HEADROOM if candidate.offer.is_firm else AUCTION_HEADROOM
