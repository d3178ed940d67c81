"""The losers of a decision, grouped, and what they say together when nobody won.

Offers that share provider, reason and model are one group. When nothing fits, the group nearest
to fitting names the decision's reason: a price above the cap says more than a wrong model.
Called by `placement` and `placement_ranking`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from overspill.core.decision import Action, Rejection
from overspill.core.filters import Refusal
from overspill.core.offer import Offer
from overspill.core.reasons import Reason

MOST = 32
"""Groups kept in a decision, and so in `status.decision`."""

_NEARNESS = (
    Reason.BURST_NOT_YET,
    Reason.WAITING_PAYS,
    Reason.NO_CAPACITY_NOW,
    Reason.UNAVAILABLE,
    Reason.RECENTLY_REFUSED,
    Reason.PROVIDER_LIMIT,
    Reason.NAMESPACE_BUDGET_EXHAUSTED,
    Reason.BUDGET_TOO_SMALL,
    Reason.PRICE_ABOVE_CAP,
    Reason.DEADLINE_UNREACHABLE,
    Reason.LOSS_TOO_HIGH,
    Reason.ENDS_TOO_SOON,
    Reason.PROVIDER_UNUSABLE,
    Reason.REPORT_URL_MISSING,
    Reason.RELIABILITY_TOO_LOW,
    Reason.SECRET_NOT_ALLOWED,
    Reason.CAPACITY_TYPE_NOT_ALLOWED,
    Reason.REGION_NOT_ALLOWED,
    Reason.PROVIDER_NOT_ALLOWED,
    Reason.BUDGET_MISSING,
    Reason.ENTRYPOINT_UNKNOWN,
    Reason.TEMPLATE_NOT_PORTABLE,
    Reason.TRUST_TIER_TOO_LOW,
    Reason.BURST_NOT_ALLOWED,
    Reason.HOME_NOT_ALLOWED,
    Reason.GANG_WOULD_SPLIT,
    Reason.TOO_FEW_GPUS,
    Reason.INTERCONNECT_TOO_WEAK,
    Reason.COMPUTE_CAPABILITY_TOO_LOW,
    Reason.MEMORY_TOO_SMALL,
    Reason.WRONG_MODEL,
    Reason.COSTS_MORE,
    Reason.LESS_PREFERRED,
)
"""Nearest to fitting first."""

_RANK = {reason: rank for rank, reason in enumerate(_NEARNESS)}

_HARDWARE = (Reason.WRONG_MODEL, Reason.MEMORY_TOO_SMALL, Reason.COMPUTE_CAPABILITY_TOO_LOW)

_LIMITS = (
    Reason.PRICE_ABOVE_CAP,
    Reason.BUDGET_TOO_SMALL,
    Reason.DEADLINE_UNREACHABLE,
    Reason.LOSS_TOO_HIGH,
)
"""What the user or the class set, and only they can change."""

_SPEAKS_FOR_ITSELF = (
    Reason.RECENTLY_REFUSED,
    Reason.PROVIDER_LIMIT,
    Reason.NAMESPACE_BUDGET_EXHAUSTED,
    Reason.BUDGET_TOO_SMALL,
    Reason.PRICE_ABOVE_CAP,
    Reason.DEADLINE_UNREACHABLE,
    Reason.PROVIDER_UNUSABLE,
    Reason.REPORT_URL_MISSING,
    Reason.SECRET_NOT_ALLOWED,
    Reason.BUDGET_MISSING,
    Reason.ENTRYPOINT_UNKNOWN,
    Reason.TEMPLATE_NOT_PORTABLE,
    Reason.GANG_WOULD_SPLIT,
)
"""Reasons of offers that a decision gives as its own."""


Key = tuple[str, Reason, str]
"""(provider, reason, model): what the offers of a group share."""


@dataclass(slots=True)
class Group:
    """A group while it is counted; `Rejection` says what the fields mean."""

    provider: str
    reason: Reason
    message: str
    offers: int
    gpu_model: str
    cheapest_usd_per_hour: Decimal | None

    def rejection(self) -> Rejection:
        """The group as a decision keeps it."""
        return Rejection(
            self.provider,
            self.reason,
            self.message,
            self.offers,
            self.gpu_model,
            self.cheapest_usd_per_hour,
        )

    def copy(self) -> "Group":
        """One to count on with; groups collected once are shared by many jobs."""
        return Group(
            self.provider,
            self.reason,
            self.message,
            self.offers,
            self.gpu_model,
            self.cheapest_usd_per_hour,
        )

    def count(self, offers: int, price: Decimal | None) -> None:
        """More of the same."""
        self.offers += offers
        cheapest = self.cheapest_usd_per_hour
        if price is not None and (cheapest is None or price < cheapest):
            self.cheapest_usd_per_hour = price


@dataclass(slots=True)
class Losers:
    """Collects refusals of one decision; `clears` remembers which may clear with time."""

    groups: dict[Key, Group] = field(default_factory=dict)
    clears: set[Key] = field(default_factory=set)

    def add(self, offer: Offer, why: Refusal, price: Decimal | None, offers: int = 1) -> None:
        """One more offer (or pool of equal nodes) that lost."""
        self._add((offer.provider, why.reason, offer.gpu_model), why, price, offers)

    def counted(self, key: Key, offers: int, price: Decimal) -> bool:
        """Counts more of a group that has its sentence; False: it has none yet, add one."""
        group = self.groups.get(key)
        if group is None:
            return False
        group.offers += offers
        cheapest = group.cheapest_usd_per_hour
        if cheapest is None or price < cheapest:
            group.cheapest_usd_per_hour = price
        return True

    def add_account(self, provider: str, why: Refusal) -> None:
        """An account that offers nothing at all."""
        self._add((provider, why.reason, ""), why, None, 0)

    def copy(self) -> "Losers":
        """To count on with."""
        found = Losers()
        found.include(self)
        return found

    def include(self, other: "Losers") -> None:
        """Takes in groups collected before, shared by jobs with equal needs."""
        for key, theirs in other.groups.items():
            group = self.groups.get(key)
            if group is None:
                self.groups[key] = theirs.copy()
            else:
                group.count(theirs.offers, theirs.cheapest_usd_per_hour)
        self.clears |= other.clears

    def listed(self) -> tuple[Rejection, ...]:
        """The groups, nearest to fitting first, at most `MOST`."""
        ordered = sorted(self.groups.values(), key=_order)
        return tuple(group.rejection() for group in ordered[:MOST])

    def verdict(self, home: frozenset[str]) -> tuple[Action, Refusal]:
        """Wait or refuse, with the reason of the group nearest to fitting; nobody has won."""
        if not self.groups:
            told = "there is nothing to choose from: no GPU node at home and no market account"
            return Action.REFUSE, Refusal(Reason.NO_SUCH_GPU, told)
        if self.clears and not self._hopes_on_silence():
            nearest = self._nearest(self.clears)
            return Action.WAIT, Refusal(self._wait_reason(home), self._sentence(nearest))
        nearest = min((r for r in self.groups.values() if r.offers), key=_order)
        if nearest.reason is Reason.WRONG_MODEL:
            return Action.REFUSE, Refusal(Reason.NO_SUCH_GPU, self._models_on_offer())
        return Action.REFUSE, Refusal(_refusal_reason(nearest), self._sentence(nearest))

    def _models_on_offer(self) -> str:
        wrong = [r for r in self.groups.values() if r.reason is Reason.WRONG_MODEL]
        models = sorted({r.gpu_model for r in wrong if r.gpu_model})
        return f"nobody has what spec.gpu.models asks for; on offer are {', '.join(models)}"

    def _hopes_on_silence(self) -> bool:
        """Somebody offers all that was asked, but beyond the user's own limits, and the only
        hope is an account that offers nothing at all: the user is asked rather than kept waiting.
        """
        if any(self.groups[key].offers for key in self.clears):
            return False
        return any(r.reason in _LIMITS for r in self.groups.values())

    def _add(self, key: Key, why: Refusal, price: Decimal | None, offers: int) -> None:
        group = self.groups.get(key)
        if group is None:
            self.groups[key] = Group(key[0], why.reason, why.message, offers, key[2], price)
        else:
            group.count(offers, price)
        if why.clears:
            self.clears.add(key)

    def _nearest(self, keys: Iterable[Key]) -> Group:
        return min((self.groups[key] for key in keys), key=_order)

    def _wait_reason(self, home: frozenset[str]) -> Reason:
        busy = (Reason.NO_CAPACITY_NOW, Reason.GANG_WOULD_SPLIT)
        for provider, reason, _ in self.clears:
            if reason is Reason.BURST_NOT_YET or (provider in home and reason in busy):
                return Reason.WAITING_FOR_HOME
        reason = self._nearest(self.clears).reason
        return reason if reason in _SPEAKS_FOR_ITSELF else Reason.NO_CAPACITY_NOW

    def _sentence(self, nearest: Group) -> str:
        told = [self._told(nearest)]
        # What else a user could do something about, from the other side of the fence.
        others = [r for r in self.groups.values() if r.provider != nearest.provider]
        actionable = [r for r in others if r.reason in _SPEAKS_FOR_ITSELF]
        if actionable:
            told.append(self._told(min(actionable, key=_order)))
        return "; ".join(told)

    def _told(self, rejection: Group) -> str:
        told = (rejection.provider, rejection.reason, rejection.message)
        alike = [r for r in self.groups.values() if (r.provider, r.reason, r.message) == told]
        model = f" {rejection.gpu_model}" if rejection.gpu_model and len(alike) == 1 else ""
        return f"{rejection.provider}{model}: {rejection.message}"


def _refusal_reason(nearest: Group) -> Reason:
    reason = nearest.reason
    if reason in _HARDWARE:
        return Reason.NO_SUCH_GPU
    return reason if reason in _SPEAKS_FOR_ITSELF else Reason.NO_OFFER_FITS


def _order(rejection: Group) -> tuple[int, Decimal, str, str]:
    price = rejection.cheapest_usd_per_hour
    rank = _RANK.get(rejection.reason, len(_RANK))
    return (
        rank,
        Decimal("Infinity") if price is None else price,
        rejection.provider,
        (rejection.gpu_model),
    )
