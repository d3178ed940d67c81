"""What a simulation is given: jobs that were, own nodes with their faults, places to rent.

Seconds on the history's clock, USD per GPU and hour. Built by `reading` from CSV files, or by the
benchmark from traces; read by the rest of this package.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

UNLIMITED = 1_000_000
"""GPUs of a place whose capacity nobody told."""

Kind = Literal["p2p", "spot", "ondemand"]


@dataclass(frozen=True, slots=True)
class Series:
    """A figure that changes at given seconds. It repeats after `period_s`, if there is one."""

    times: Sequence[float]
    values: Sequence[float]
    period_s: float | None = None

    def at(self, second: float) -> float:
        """The figure at a second; before the first change it is the first figure."""
        index = bisect_right(self.times, self._folded(second)) - 1
        return self.values[max(0, index)]

    def next_change(self, second: float) -> float | None:
        """When the figure may change next; None: never."""
        folded = self._folded(second)
        index = bisect_right(self.times, folded)
        if index < len(self.times):
            return second - folded + self.times[index]
        if self.period_s is None or len(self.times) < 2:
            return None
        return second - folded + self.times[0] + self.period_s

    def least(self, begin: float, end: float) -> float:
        """The least figure between two seconds."""
        best, at = self.at(begin), self.next_change(begin)
        while at is not None and at <= end:
            best = min(best, self.at(at))
            at = self.next_change(at)
        return best

    def _folded(self, second: float) -> float:
        if self.period_s is None or second < self.times[0]:
            return second
        return self.times[0] + (second - self.times[0]) % self.period_s


def constant(value: float) -> Series:
    """A figure that never changes."""
    return Series((0.0,), (value,))


@dataclass(frozen=True, slots=True)
class PastJob:
    """One job of the history. `gpus` are those of all its nodes together."""

    name: str
    submit_s: float
    gpus: int
    work_s: float
    """How long it computes without interruption."""
    nodes: int = 1
    model: str = ""
    """Canonical; empty: any GPU will do."""
    deadline_s: float | None = None
    """On the history's clock."""
    sla: str = ""
    interval_s: float | None = None
    """Of checkpoints; None: a loss costs everything."""
    checkpoint_gib: float = 0.0
    max_total_usd: float | None = None

    @property
    def gpus_per_node(self) -> int:
        """GPUs that must stand in one machine."""
        return self.gpus // self.nodes


@dataclass(frozen=True, slots=True)
class Fault:
    """An own node is away from one second to another."""

    node: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class OwnNode:
    """A node of the cluster."""

    name: str
    gpus: int
    model: str


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to rent. `gpus` is how many one could hold there at most, ours included."""

    name: str
    kind: Kind
    model: str
    price: Series
    gpus: Series
    gpus_per_node: int = 8
    cold_start_s: float = 180.0
    egress_usd_per_gib: float = 0.0
    boot_fail_share: float = 0.0
    mtbf_h: float | None = None
    region: str = ""


@dataclass(frozen=True)
class History:
    """Everything a simulation is given."""

    jobs: Sequence[PastJob]
    nodes: Sequence[OwnNode]
    places: Sequence[Place]
    faults: Sequence[Fault] = ()
    origin: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    own_usd_per_gpu_h: float = 0.10
    own_cold_start_s: float = 30.0
    notes: tuple[str, ...] = field(default=())
    """What was assumed because the files did not tell."""

    def moment(self, second: float) -> datetime:
        """The history's clock as a date."""
        return self.origin + timedelta(seconds=second)

    def cheapest_reliable(self, model: str, second: float) -> float | None:
        """USD per GPU and hour on demand, as a reference."""
        found = [
            p.price.at(second)
            for p in self.places
            if p.kind == "ondemand" and (not model or p.model == model)
        ]
        return min(found, default=None)
