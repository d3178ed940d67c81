"""The benchmark's values: places with their capacity and price over time, and one job to place.

Time is whole ticks of the trace and whole seconds within them; nothing is resampled. Built by
`traces` and `suites`, read by `simulate`, `optimum` and the policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["own", "p2p", "spot", "ondemand"]


@dataclass(frozen=True)
class Place:
    """Somewhere a job can run. `up[t]`: the whole gang fits at tick t; `price[t]` is USD/h."""

    name: str
    kind: Kind
    region: str
    up: tuple[bool, ...]
    price: tuple[float, ...]

    @property
    def is_reliable(self) -> bool:
        """Never taken away: what the safety net may stand on."""
        return self.kind == "ondemand"


@dataclass(frozen=True)
class World:
    """All places of a suite on one clock, the reliable ones last."""

    name: str
    tick_s: int
    places: tuple[Place, ...]
    egress: dict[tuple[str, str], float] = field(default_factory=dict)
    """USD to move one checkpoint between two regions; nothing where a pair is missing."""

    @property
    def ticks(self) -> int:
        """How long the trace is."""
        return len(self.places[0].up)

    def egress_usd(self, source: int | None, target: int) -> float:
        """What moving the checkpoint between two places costs; the first start moves none."""
        if source is None:
            return 0.0
        pair = (self.places[source].region, self.places[target].region)
        return self.egress.get(pair, 0.0)

    def cheapest_reliable(self, tick: int, source: int | None, hours: float) -> int:
        """Where the fallback runs: the price of `hours` and the move together are least."""
        found = [i for i, p in enumerate(self.places) if p.is_reliable]
        return min(
            found,
            key=lambda i: self.places[i].price[tick] * hours + self.egress_usd(source, i),
        )


@dataclass(frozen=True)
class Job:
    """One job: starts at a tick, needs `work_s` before `ticks` ticks are over."""

    start: int
    ticks: int
    work_s: int
    cold_s: int
    """Billed and useless time at every entry of a place."""
    loss_s: int = 0
    """Interval of checkpoints: what a loss destroys at most; 0: a loss destroys nothing."""
