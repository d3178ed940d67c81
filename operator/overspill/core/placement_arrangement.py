"""Where the copies of one service should stand, and who of them goes there within one plan.

Made by `placement_services`, followed by `placement_copies`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from overspill.core.lease import Lease
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_moves import allowance_to_move
from overspill.core.placement_search import Fit, Search


class Rented(NamedTuple):
    """One host of a market: what fails together there, firm or not."""

    provider: str
    region: str
    is_firm: bool

    @property
    def label(self) -> str:
        """For a person."""
        return f"{self.provider}/{self.region}" + (" on demand" if self.is_firm else "")


@dataclass(slots=True)
class Arrangement:
    """Where the copies of one service should stand; `held` follows what this plan places."""

    targets: Mapping[Rented, int]
    spares: int
    told: str
    held: Counter[Rented]
    places: Mapping[Rented, Sequence[Candidate]]
    """Best first."""

    def open(self) -> Iterator[tuple[Rented, Candidate]]:
        """Places on hosts that should have more copies than they have, the cheapest first."""
        hosts = [h for h, count in self.targets.items() if count > self.held[h]]
        hosts.sort(key=lambda h: (self.places[h][0].price, h) if self.places.get(h) else (0, h))
        return ((host, place) for host in hosts for place in self.places.get(host, ()))

    @property
    def is_full(self) -> bool:
        """Whether every host has the copies that it should have."""
        return all(self.held[host] >= count for host, count in self.targets.items())

    def take(self, search: Search) -> Fit | None:
        """The best place that a copy can have now."""
        for host, candidate in self.open():
            fit = search.attempt(candidate)
            if isinstance(fit, Fit):
                self.held[host] += 1
                return fit
        return None

    def move(self, search: Search, lease: Lease, here: Rented, limit: Decimal) -> Fit | None:
        """The place that a copy on a host with too many should have, at `limit` USD/h at most."""
        if self.held[here] <= self.targets.get(here, 0):
            return None
        for host, candidate in self.open():
            search.allowance = allowance_to_move(search.case, lease, candidate)
            fit = search.attempt(candidate) if candidate.price <= limit else None
            if isinstance(fit, Fit):
                self.held[host] += 1
                self.held[here] -= 1
                return fit
        return None
