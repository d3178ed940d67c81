"""The losers of a decision, grouped, and what they say together when nobody won.

Offers that share provider, reason and model are one group. When nothing fits, the group nearest
to fitting names the decision's reason: a price above the cap says more than a wrong model.
Called by `placement` and `placement_ranking`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
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


@dataclass(slots=True)
class Losers:
    """Collects refusals of one decision; `clears` remembers which may clear with time."""

    groups: dict[tuple[str, Reason, str], Rejection] = field(default_factory=dict)
    clears: set[tuple[str, Reason, str]] = field(default_factory=set)

    def add(self, offer: Offer, why: Refusal, price: Decimal | None, offers: int = 1) -> None:
        """One more offer (or pool of equal nodes) that lost."""
        key = (offer.provider, why.reason, offer.gpu_model)
        fresh = Rejection(offer.provider, why.reason, why.message, offers, offer.gpu_model, price)
        self._merge(key, fresh)
        if why.clears:
            self.clears.add(key)

    def add_account(self, provider: str, why: Refusal) -> None:
        """An account that offers nothing at all."""
        key = (provider, why.reason, "")
        self._merge(key, Rejection(provider, why.reason, why.message, offers=0))
        if why.clears:
            self.clears.add(key)

    def include(self, other: "Losers") -> None:
        """Takes in groups collected before, shared by jobs with equal needs."""
        for key, rejection in other.groups.items():
            self._merge(key, rejection)
        self.clears |= other.clears

    def listed(self) -> tuple[Rejection, ...]:
        """The groups, nearest to fitting first, at most `MOST`."""
        return tuple(sorted(self.groups.values(), key=_order)[:MOST])

    def verdict(self, home: frozenset[str]) -> tuple[Action, Refusal]:
        """Wait or refuse, with the reason of the group nearest to fitting; nobody has won."""
        if not self.groups:
            told = "there is nothing to choose from: no GPU node at home and no market account"
            return Action.REFUSE, Refusal(Reason.NO_SUCH_GPU, told)
        if self.clears and not self._hopes_on_silence():
            nearest = self._nearest(self.clears)
            return Action.WAIT, Refusal(self._wait_reason(home), self._sentence(nearest))
        nearest = min((r for r in self.groups.values() if r.offers), key=_order)
        if Reason(nearest.reason) is Reason.WRONG_MODEL:
            return Action.REFUSE, Refusal(Reason.NO_SUCH_GPU, self._models_on_offer())
        return Action.REFUSE, Refusal(_refusal_reason(nearest), self._sentence(nearest))

    def _models_on_offer(self) -> str:
        wrong = [r for r in self.groups.values() if Reason(r.reason) is Reason.WRONG_MODEL]
        models = sorted({r.gpu_model for r in wrong if r.gpu_model})
        return f"nobody has what spec.gpu.models asks for; on offer are {', '.join(models)}"

    def _hopes_on_silence(self) -> bool:
        """Somebody offers all that was asked, but beyond the user's own limits, and the only
        hope is an account that offers nothing at all: the user is asked rather than kept waiting.
        """
        if any(self.groups[key].offers for key in self.clears):
            return False
        return any(Reason(r.reason) in _LIMITS for r in self.groups.values())

    def _merge(self, key: tuple[str, Reason, str], fresh: Rejection) -> None:
        old = self.groups.get(key)
        if old is not None:
            prices = (old.cheapest_usd_per_hour, fresh.cheapest_usd_per_hour)
            known = [p for p in prices if p is not None]
            count = old.offers + fresh.offers
            fresh = replace(old, offers=count, cheapest_usd_per_hour=min(known, default=None))
        self.groups[key] = fresh

    def _nearest(self, keys: Iterable[tuple[str, Reason, str]]) -> Rejection:
        return min((self.groups[key] for key in keys), key=_order)

    def _wait_reason(self, home: frozenset[str]) -> Reason:
        busy = (Reason.NO_CAPACITY_NOW, Reason.GANG_WOULD_SPLIT)
        for provider, reason, _ in self.clears:
            if reason is Reason.BURST_NOT_YET or (provider in home and reason in busy):
                return Reason.WAITING_FOR_HOME
        reason = Reason(self._nearest(self.clears).reason)
        return reason if reason in _SPEAKS_FOR_ITSELF else Reason.NO_CAPACITY_NOW

    def _sentence(self, nearest: Rejection) -> str:
        told = [self._told(nearest)]
        # What else a user could do something about, from the other side of the fence.
        others = [r for r in self.groups.values() if r.provider != nearest.provider]
        actionable = [r for r in others if r.reason in _SPEAKS_FOR_ITSELF]
        if actionable:
            told.append(self._told(min(actionable, key=_order)))
        return "; ".join(told)

    def _told(self, rejection: Rejection) -> str:
        told = (rejection.provider, rejection.reason, rejection.message)
        alike = [r for r in self.groups.values() if (r.provider, r.reason, r.message) == told]
        model = f" {rejection.gpu_model}" if rejection.gpu_model and len(alike) == 1 else ""
        return f"{rejection.provider}{model}: {rejection.message}"


def _refusal_reason(nearest: Rejection) -> Reason:
    reason = Reason(nearest.reason)
    if reason in _HARDWARE:
        return Reason.NO_SUCH_GPU
    return reason if reason in _SPEAKS_FOR_ITSELF else Reason.NO_OFFER_FITS


def _order(rejection: Rejection) -> tuple[int, Decimal, str, str]:
    price = rejection.cheapest_usd_per_hour
    rank = _RANK.get(Reason(rejection.reason), len(_RANK))
    return (
        rank,
        Decimal("Infinity") if price is None else price,
        rejection.provider,
        (rejection.gpu_model),
    )
