"""The places that fit a kind of job, in groups that only their price parts.

Jobs with equal needs share a field; `placement_ranking` puts its groups in order for one job's
work. Lives for one plan. Called by `placement_ranking`, `placement_view` and `placement_waits`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter, sub

from overspill.core.filters import Needs, Refusal
from overspill.core.once import once
from overspill.core.placement_candidate import Preference, Stand, Work
from overspill.core.placement_losers import Losers, Shared
from overspill.core.placement_reserve import RELIABLE
from overspill.core.placement_sheet import Sheet
from overspill.core.reasons import Reason


class Group:
    """Stands that only their price parts."""

    def __init__(self, preference: Preference, stands: Sequence[Stand]) -> None:
        self.preference, self.stands = preference, stands
        alike: dict[tuple[float, ...], list[Stand]] = defaultdict(list)
        for stand in sorted(stands, key=lambda stand: stand.tail):
            alike[stand.cost].append(stand)
        self.alike = list(alike.values())
        """Those that cost every job the same, by name."""
        self._firsts = [stands[0] for stands in self.alike]
        self._sheet = Sheet(self._firsts)

    def by_price(self, work: Work) -> tuple[Sequence[Stand], Sequence[float]]:
        """By what a useful hour costs, and that; what costs the same to a millionth by name."""
        if len(self.alike) == 1:
            stands = self.alike[0]
            return stands, self._sheet.about(work) * len(stands)
        about = self._sheet.about(work)
        prices = sorted(about)
        if min(map(sub, prices[1:], prices)) < _ALIKE:
            listed = [(stand.useful(work), stand.tail, stand) for stand in self.stands]
            listed.sort(key=_price_and_name)
            return [stand for *_, stand in listed], [price for price, *_ in listed]
        order = sorted(range(len(about)), key=about.__getitem__)
        if len(about) == len(self.stands):
            return itemgetter(*order)(self._firsts), prices
        pairs = [(about[index], stand) for index in order for stand in self.alike[index]]
        return [stand for _, stand in pairs], [price for price, _ in pairs]


_price_and_name = itemgetter(0, 1)
_ALIKE = 2e-6
"""Prices farther apart than this differ after rounding too."""


class Alike:
    """Places of one rank of model and fabric."""

    def __init__(self, stands: Sequence[Stand]) -> None:
        self.stands = stands
        self.are_apart = len({stand.place for stand in stands}) == len(stands)
        """No two are offers of one place."""


class Field:
    """The places that fit the needs of a kind of job, and who does not."""

    def __init__(self, needs: Needs, stands: Sequence[Stand], losers: Shared) -> None:
        self.needs, self.stands, self.losers = needs, stands, losers
        groups: dict[Preference, list[Stand]] = defaultdict(list)
        for stand in stands:
            groups[stand.preference].append(stand)
        self.groups = [Group(*group) for group in sorted(groups.items())]
        """The most preferred first."""
        self.reliable = [s for s in stands if s.offer.capacity_type in RELIABLE]
        self._reliable_sheet = Sheet(self.reliable)
        self.grows_reliable = any(s.pool is not None for s in self.reliable)
        """A pool that an autoscaler grows counts as reliable."""
        self.has_home = any(stand.pool is not None for stand in stands)
        self.may_end = any(s.offer.available_until is not None for s in stands)
        self._behind: dict[Preference, Shared] = {}
        self._alike: dict[tuple[int, bool], Alike] = {}

    @once
    def dearest(self) -> Stand | None:
        """At least as dear as every place in it, in every respect; None: there is none."""
        if not self.stands:
            return None
        return replace(
            self.stands[0],
            price=max(s.price for s in self.stands),
            usd_per_hour=max(s.usd_per_hour for s in self.stands),
            start=max(s.start for s in self.stands),
            hazard=max(s.hazard for s in self.stands),
            egress=max(s.egress for s in self.stands),
            least=max(s.least for s in self.stands),
        )

    def alike(self, preference: Preference) -> "Alike":
        """The places of the same rank of model and fabric."""
        wanted = preference[1:]
        if wanted not in self._alike:
            groups = (g for g in self.groups if g.preference[1:] == wanted)
            self._alike[wanted] = Alike([stand for group in groups for stand in group.stands])
        return self._alike[wanted]

    def by_need(self, work: Work) -> list[Stand]:
        """The reliable ones, whose lease needs least money first."""
        needed = self._reliable_sheet.needed(work)
        order = sorted(range(len(needed)), key=needed.__getitem__)
        return [self.reliable[index] for index in order]

    @property
    def changes(self) -> int:
        """Grows whenever somebody takes something of a place in it."""
        return sum([stand.stock.changes for stand in self.stands])

    def behind(self, preference: Preference) -> Shared:
        """Who does not fit, or is less preferred than that."""
        if preference not in self._behind:
            losers = Losers()
            for group in self.groups:
                if group.preference > preference:
                    why = _less_preferred(preference, group.preference)
                    for stand in group.stands:
                        losers.add(stand.offer, why, stand.price, stand.size)
            self._behind[preference] = self.losers.plus(losers.shared())
        return self._behind[preference]


def _less_preferred(chosen: Preference, other: Preference) -> Refusal:
    order = ("capacity type", "GPU model", "interconnect")
    pairs = zip(order, chosen, other, strict=True)
    by = next(name for name, mine, theirs in pairs if mine != theirs)
    return Refusal(Reason.LESS_PREFERRED, f"comes later in the wanted order of {by}")
