"""Where the replicas of a service stand, so that its class's availability holds at least cost.

Hosts that fail together are one host here. Copies are spread so that the chance that too few are
left when hosts are lost, times how long a replacement takes, is worth its price: the promise is one
over time, so a moment's risk is weighed against what the class still allows, not held to it. The
more was missed, the dearer it becomes; what is used up is not risked at all. On demand is the
fallback: it is taken where it is part of the best spread, and when nothing else is up. A place that
is just as fast to start on and cheaper is not passed over for it.

Pure; docs/placement.md. The benchmark's suite S6 asks this function.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

MOST_HOSTS = 6
"""Spreads over more hosts are not looked at: what they add is little and the states are many."""

SHARES = (0.0, 0.5, 1.0)
"""Of the needed copies, those that may stand on demand."""

SPARES = (1, 2, 3, 5, 8)
"""Spare copies that are looked at below what bears the loss of any one host."""

SAFETY = 0.8
"""The part of what the class allows that is planned with; the rest is for what was not foreseen."""

DAY_H, WEEK_H = 24.0, 168.0
"""Over which time an availability that was better or worse than promised is evened out."""

RESERVE = 0.1
"""The part of a loss that is kept back."""

SHORT_PRICE = 0.1
"""What being short as often as is allowed weighs, as a part of the cheapest spread's cost."""

FEW_LOSSES = 2.0
"""Losses come whole: where the class allows fewer than so many more, each weighs the more."""

Together = Mapping[frozenset[str], float]
"""By pair of hosts: of the losses of the one that is lost less often, the part that takes both."""


@dataclass(frozen=True, slots=True)
class Host:
    """Somewhere copies can stand; what fails together is one."""

    name: str
    usd_per_hour: float
    """Of one copy."""
    is_up: bool = True
    is_reliable: bool = False
    loss: float = 0.0
    """The chance that it is lost before the next look."""
    life_h: float = 24.0
    """How long it is expected to last."""
    held: int = 0
    """Copies there now, those still starting included."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is asked. Hours."""

    needed: int
    start_h: float
    until_next_h: float
    promised: float | None = None
    """Share of time in which as many copies as needed are ready; None: no promise."""
    elapsed_h: float = 0.0
    missed_h: float = 0.0
    """Time so far in which there were too few."""
    together: Together = field(default_factory=dict)
    """Pairs that are not named are lost independently of each other."""

    @property
    def allowed(self) -> float:
        """Expected share of time with too few copies that may be planned with from here on."""
        return 1.0 if self.promised is None else self._budget_h / self._evened_out_h

    @property
    def weight(self) -> float:
        """What a share of time with too few copies weighs, as a part of the cheapest spread's cost.

        Something must be allowed.
        """
        few = 1.0
        if self.promised is not None:
            few = min(1.0, self._budget_h / self.start_h / FEW_LOSSES)
        return SHORT_PRICE / self.allowed / few

    @property
    def _budget_h(self) -> float:
        lost = 1.0 - (self.promised or 0.0)
        budget_h = lost * (self.elapsed_h + self._evened_out_h) * SAFETY - self.missed_h
        return max(0.0, budget_h - RESERVE * self.start_h)

    @property
    def _evened_out_h(self) -> float:
        """A promise that does not even bear a loss a day has nothing to catch up with in a week."""
        is_strict = (1.0 - (self.promised or 0.0)) * DAY_H * SAFETY < self.start_h
        return DAY_H if is_strict else WEEK_H


@dataclass(frozen=True, slots=True)
class Spread:
    """Copies per host, with what is expected of them."""

    copies: Mapping[str, int]
    usd_per_hour: float
    short: float
    """Expected share of time with too few copies."""


def best(hosts: Sequence[Host], service: Service) -> Spread:
    """The spread that costs least with its risk; where nothing may be missed, the safest."""
    found = list(_candidates(hosts, service))
    if not service.allowed:
        return min(found, key=lambda c: (c.short, c.usd_per_hour))
    weight = service.weight * min(c.usd_per_hour for c in found)
    return min(found, key=lambda c: (c.usd_per_hour + weight * c.short, c.short))


def _candidates(hosts: Sequence[Host], service: Service) -> Iterator[Spread]:
    """Nearly equal spreads over the best hosts, for every number of losses they should bear."""
    firm_ones = (h for h in hosts if h.is_up and h.is_reliable)
    reliable = min(firm_ones, key=lambda h: h.usd_per_hour, default=None)
    cheap = cheapest(hosts, service)
    shares = SHARES if reliable is not None and cheap else (1.0 if reliable else 0.0,)
    for share in shares:
        firm = round(share * service.needed)
        for copies in _over(cheap, service.needed - firm):
            if reliable is not None and firm:
                copies[reliable.name] = firm
            yield _judged(copies, hosts, service)


def cheapest(hosts: Sequence[Host], service: Service) -> Sequence[Host]:
    """Those that may be lost and are looked at, the cheapest first."""
    up = (h for h in hosts if h.is_up and not h.is_reliable)
    return sorted(up, key=lambda h: _rate(h, service))[:MOST_HOSTS]


def _over(cheap: Sequence[Host], needed: int) -> Iterator[dict[str, int]]:
    if needed <= 0 or not cheap:
        yield {}
        return
    for count in range(1, len(cheap) + 1):
        names = [h.name for h in cheap[:count]]
        for total in _totals(needed, count):
            yield _evenly(names, total)


def _totals(needed: int, count: int) -> list[int]:
    """How many copies to spread: with none to spare, with some, and as bear 1, 2… hosts' loss."""
    bearing = {-(-needed * count // (count - borne)) for borne in range(count)}
    first = -(-needed * count // max(1, count - 1)) - needed
    return sorted(bearing | {needed + min(first, part) for part in SPARES})


def _evenly(names: Sequence[str], total: int) -> dict[str, int]:
    """The cheapest hosts, which stand first, get what does not divide."""
    each, more = divmod(total, len(names))
    return {name: each + (i < more) for i, name in enumerate(names)}


def _judged(copies: Mapping[str, int], hosts: Sequence[Host], service: Service) -> Spread:
    used = [h for h in hosts if copies.get(h.name)]
    usd = sum(_cost(h, copies[h.name], service) for h in used)
    slow = min(1.0, service.start_h / service.until_next_h)
    chance = _shortfall(used, copies, service.needed) + _lost_together(used, copies, service)
    return Spread(copies, usd, min(1.0, chance) * slow)


def _cost(host: Host, copies: int, service: Service) -> float:
    """USD per hour, the starts of new copies spread over the life of the host."""
    new = max(0, copies - host.held)
    starts = new * host.usd_per_hour * service.start_h / max(host.life_h, service.start_h)
    return copies * host.usd_per_hour + starts


def _rate(host: Host, service: Service) -> tuple[float, str]:
    """A copy's price with the start that follows when the host is lost."""
    again = host.usd_per_hour * service.start_h / max(host.life_h, service.start_h)
    return host.usd_per_hour + again, host.name


def _shortfall(used: Sequence[Host], copies: Mapping[str, int], needed: int) -> float:
    """The chance that too few are left at the next look, were each host lost by itself."""
    firm = sum(copies[h.name] for h in used if h.is_reliable)
    risky = [h for h in used if not h.is_reliable]
    short = 0.0
    for state in product((True, False), repeat=len(risky)):
        left, chance = firm, 1.0
        for host, stays in zip(risky, state, strict=True):
            left += copies[host.name] if stays else 0
            chance *= 1.0 - host.loss if stays else host.loss
        short += chance if left < needed else 0.0
    return short


def _lost_together(used: Sequence[Host], copies: Mapping[str, int], service: Service) -> float:
    """The chance that what takes two hosts at a time leaves too few."""
    if not service.together:
        return 0.0
    total, chance = sum(copies[h.name] for h in used), 0.0
    for one, other in combinations([h for h in used if not h.is_reliable], 2):
        if total - copies[one.name] - copies[other.name] < service.needed:
            share = service.together.get(frozenset((one.name, other.name)), 0.0)
            chance += share * min(one.loss, other.loss)
    return chance
