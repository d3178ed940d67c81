"""The losers of a decision, grouped, and what they say together when nobody won.

Offers that share provider, reason and model are one group. When nothing fits, the group nearest
to fitting names the decision's reason: a price above the cap says more than a wrong model.
Called by `placement` and `placement_ranking`.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from typing import Protocol

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
    Reason.KEPT_FOR_FINISH,
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
    Reason.NODE_TOO_SMALL,
    Reason.TOO_FEW_GPUS,
    Reason.TOO_MANY_GPUS,
    Reason.INTERCONNECT_TOO_WEAK,
    Reason.COMPUTE_CAPABILITY_TOO_LOW,
    Reason.MEMORY_TOO_SMALL,
    Reason.WRONG_MODEL,
    Reason.COSTS_MORE,
    Reason.LESS_PREFERRED,
)
"""Nearest to fitting first."""

_RANK = {reason: rank for rank, reason in enumerate(_NEARNESS)}

_FARTHEST = len(_RANK)

_HARDWARE = (Reason.WRONG_MODEL, Reason.MEMORY_TOO_SMALL, Reason.COMPUTE_CAPABILITY_TOO_LOW)

_LIMITS = (
    Reason.PRICE_ABOVE_CAP,
    Reason.BUDGET_TOO_SMALL,
    Reason.DEADLINE_UNREACHABLE,
    Reason.LOSS_TOO_HIGH,
)
"""What the user or the class set, and only they can change."""

_BUSY = (Reason.NO_CAPACITY_NOW, Reason.GANG_WOULD_SPLIT)

_SPEAKS_FOR_ITSELF = (
    Reason.RECENTLY_REFUSED,
    Reason.PROVIDER_LIMIT,
    Reason.NAMESPACE_BUDGET_EXHAUSTED,
    Reason.BUDGET_TOO_SMALL,
    Reason.KEPT_FOR_FINISH,
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

    def ranked(self) -> "Ranked":
        """The group as a decision keeps it, with its rank."""
        price = self.cheapest_usd_per_hour
        told = Rejection(
            self.provider, self.reason, self.message, self.offers, self.gpu_model, price
        )
        rank = _RANK.get(self.reason, _FARTHEST)
        return (rank, _DEAREST if price is None else price, self.provider, self.gpu_model), told

    def count(self, offers: int, price: Decimal | None) -> None:
        """More of the same."""
        self.offers += offers
        cheapest = self.cheapest_usd_per_hour
        if price is not None and (cheapest is None or price < cheapest):
            self.cheapest_usd_per_hour = price


class Loser(Protocol):
    """A place that knows the groups in which it loses."""

    offer: Offer
    price: Decimal
    size: int
    dearer: Key
    gone: Key


_DEAREST = Decimal("Infinity")

Ranked = tuple[tuple[int, Decimal, str, str], Rejection]
"""Nearest to fitting first, then the cheapest."""

_rank = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Shared:
    """Groups that many jobs have in common: counted and put in order once."""

    groups: Mapping[Key, Ranked]
    clears: frozenset[Key]
    ranked: tuple[Ranked, ...]

    def plus(self, other: "Shared") -> "Shared":
        """Both; they have no group in common."""
        ranked = sorted((*self.ranked, *other.ranked), key=_rank)
        groups = {**self.groups, **other.groups}
        return Shared(groups, self.clears | other.clears, tuple(ranked))

    def without(self, keys: Container[Key]) -> "Shared":
        """All but these groups. Whether they may clear is still known."""
        groups = {key: found for key, found in self.groups.items() if key not in keys}
        return Shared(groups, self.clears, tuple(sorted(groups.values(), key=_rank)))


NOBODY = Shared({}, frozenset(), ())


@dataclass(slots=True)
class Losers:
    """Collects refusals of one decision; `clears` remembers which may clear with time."""

    groups: dict[Key, Group] = field(default_factory=dict)
    clears: set[Key] = field(default_factory=set)
    _shared: Shared = NOBODY
    _ordered: list[Rejection] | None = None

    def add(self, offer: Offer, why: Refusal, price: Decimal | None, offers: int = 1) -> None:
        """One more offer (or pool of equal nodes) that lost."""
        self._add((offer.provider, why.reason, offer.gpu_model), why, price, offers)

    def add_dearer(
        self, listed: Sequence["Loser"], others: range, told: Callable[[int], str]
    ) -> None:
        """Those of the list that cost more; `told` is asked why once for every group."""
        groups = self.groups
        for index in others:
            one = listed[index]
            group = groups.get(one.dearer)
            if group is None:
                provider, reason, model = one.dearer
                group = Group(provider, reason, told(index), one.size, model, one.price)
                groups[one.dearer] = group
            else:
                group.count(one.size, one.price)
        self._ordered = None

    def add_gone(self, one: "Loser", why: Refusal) -> None:
        """One that is not to be had now."""
        group = self.groups.get(one.gone)
        if group is None:
            self.add(one.offer, why, one.price, one.size)
        else:
            group.count(one.size, one.price)

    def add_account(self, provider: str, why: Refusal) -> None:
        """An account that offers nothing at all."""
        self._add((provider, why.reason, ""), why, None, 0)

    def shared(self) -> Shared:
        """What was collected, for many jobs."""
        groups = {key: group.ranked() for key, group in self.groups.items()}
        ranked = tuple(sorted(groups.values(), key=_rank))
        return Shared(groups, frozenset(self.clears), ranked).plus(self._shared)

    def include(self, others: Shared) -> None:
        """Takes in what was collected before; comes last, and once."""
        common = self.groups.keys() & others.groups.keys()
        for key in common:
            _, theirs = others.groups[key]
            self.groups[key].count(theirs.offers, theirs.cheapest_usd_per_hour)
        self._shared = others.without(common) if common else others
        self._ordered = None

    def listed(self) -> tuple[Rejection, ...]:
        """The groups, nearest to fitting first, at most `MOST`."""
        return tuple(self._told_in_order()[:MOST])

    def verdict(self, home: frozenset[str]) -> tuple[Action, Refusal]:
        """Wait or refuse, with the reason of the group nearest to fitting; nobody has won."""
        found = self._told_in_order()
        if not found:
            told = "there is nothing to choose from: no GPU node at home and no market account"
            return Action.REFUSE, Refusal(Reason.NO_SUCH_GPU, told)
        clearing = [r for r in found if self._may_clear(r)]
        if clearing and not _hopes_on_silence(found, clearing):
            why = _wait_reason(clearing, home)
            return Action.WAIT, Refusal(why, _sentence(found, clearing[0]))
        nearest = next(r for r in found if r.offers)
        if nearest.reason is Reason.WRONG_MODEL:
            return Action.REFUSE, Refusal(Reason.NO_SUCH_GPU, _models_on_offer(found))
        return Action.REFUSE, Refusal(_refusal_reason(nearest), _sentence(found, nearest))

    def _told_in_order(self) -> list[Rejection]:
        if self._ordered is None:
            ranked = [group.ranked() for group in self.groups.values()]
            ranked += self._shared.ranked
            ranked.sort(key=_rank)
            self._ordered = [told for _, told in ranked]
        return self._ordered

    def _may_clear(self, told: Rejection) -> bool:
        key = (told.provider, told.reason, told.gpu_model)
        return key in self.clears or key in self._shared.clears

    def _add(self, key: Key, why: Refusal, price: Decimal | None, offers: int) -> None:
        group = self.groups.get(key)
        if group is None:
            self.groups[key] = Group(key[0], why.reason, why.message, offers, key[2], price)
        else:
            group.count(offers, price)
        if why.clears:
            self.clears.add(key)
        self._ordered = None


def _hopes_on_silence(found: Iterable[Rejection], clearing: Iterable[Rejection]) -> bool:
    """Somebody offers all that was asked, but beyond the user's own limits, and the only hope is
    an account that offers nothing at all: the user is asked rather than kept waiting.
    """
    if any(r.offers for r in clearing):
        return False
    return any(r.reason in _LIMITS for r in found)


def _wait_reason(clearing: Sequence[Rejection], home: frozenset[str]) -> Reason:
    for told in clearing:
        is_busy = told.provider in home and told.reason in _BUSY
        if told.reason is Reason.BURST_NOT_YET or is_busy:
            return Reason.WAITING_FOR_HOME
    reason = Reason(clearing[0].reason)
    return reason if reason in _SPEAKS_FOR_ITSELF else Reason.NO_CAPACITY_NOW


def _sentence(found: Iterable[Rejection], nearest: Rejection) -> str:
    told = _told(found, nearest)
    # What else a user could do something about, from the other side of the fence.
    for other in found:
        if other.provider != nearest.provider and other.reason in _SPEAKS_FOR_ITSELF:
            return f"{told}; {_told(found, other)}"
    return told


def _told(found: Iterable[Rejection], one: Rejection) -> str:
    alike = [
        r
        for r in found
        if r.message == one.message and r.provider == one.provider and r.reason == one.reason
    ]
    model = f" {one.gpu_model}" if one.gpu_model and len(alike) == 1 else ""
    return f"{one.provider}{model}: {one.message}"


def _models_on_offer(found: Iterable[Rejection]) -> str:
    models = sorted({r.gpu_model for r in found if r.reason is Reason.WRONG_MODEL} - {""})
    return f"nobody has what spec.gpu.models asks for; on offer are {', '.join(models)}"


def _refusal_reason(nearest: Rejection) -> Reason:
    reason = Reason(nearest.reason)
    if reason in _HARDWARE:
        return Reason.NO_SUCH_GPU
    return reason if reason in _SPEAKS_FOR_ITSELF else Reason.NO_OFFER_FITS
