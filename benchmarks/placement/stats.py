"""Ratios to the optimum with bootstrap intervals, drawn over places and starts.

Called by `table`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f} {self.high:.3f}]"


@dataclass(frozen=True)
class Sample:
    """One job under one policy: what it cost, the optimum, and what the bootstrap draws it with."""

    group: str
    cost: float
    optimum: float
    worst: float
    """The cost on demand from start to end: what regret is normalised by."""

    @property
    def ratio(self) -> float:
        """Cost over optimum."""
        return self.cost / self.optimum

    @property
    def regret(self) -> float:
        """0 is the optimum, 1 is on demand; stays finite where the optimum is nearly free."""
        return (self.cost - self.optimum) / max(self.worst - self.optimum, 1e-9)


def mean_ratio(samples: Sequence[Sample]) -> float:
    """Every job counts the same."""
    return float(np.mean([s.ratio for s in samples]))


def sum_ratio(samples: Sequence[Sample]) -> float:
    """Every dollar counts the same."""
    return sum(s.cost for s in samples) / sum(s.optimum for s in samples)


def p95_ratio(samples: Sequence[Sample]) -> float:
    """One job in twenty is worse."""
    return float(np.quantile([s.ratio for s in samples], 0.95))


def mean_regret(samples: Sequence[Sample]) -> float:
    """Mean normalised regret."""
    return float(np.mean([s.regret for s in samples]))


def bootstrap(samples: Sequence[Sample], figure: Callable[[Sequence[Sample]], float]) -> Interval:
    """A figure with its interval: groups are drawn, all jobs of a group together."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group].append(sample)
    members = [groups[name] for name in sorted(groups)]
    dice = np.random.default_rng(7)
    draws = dice.integers(len(members), size=(DRAWS, len(members)))
    found = [figure([s for i in row for s in members[i]]) for row in draws]
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(figure(samples), float(low), float(high))


def paired(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Interval:
    """Mean difference of the ratios job by job; below zero: ours is cheaper."""
    pairs = [
        Sample(a.group, a.ratio - b.ratio, 1.0, 0.0) for a, b in zip(ours, theirs, strict=True)
    ]
    return bootstrap(pairs, mean_ratio)
