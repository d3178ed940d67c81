"""How long a place lasts: hazards by age, learnt from the place's own past and shrunk to a prior.

Lives of rented GPUs are short and heavy-tailed: a place that has lasted is likely to last, so the
hazard falls with age. It is taken as constant within a bucket of age; a few losses more at the
prior's rate are added to what was seen, so that a place with little past is not believed too
much. Called by `policy` and `policy_value`. Hours, like every figure in here.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

EDGES = (0.25, 1.0, 4.0)
"""Ages that part the buckets."""

_ENDS = (*EDGES, math.inf)


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of time in which a place was up (or down), as far as it was seen."""

    hours: float
    ended: bool
    """False: it goes on, or the watching stopped."""
    since: float = 0.0
    """Age at which the watching began."""
    weight: float = 1.0
    """How much it counts: less, the longer ago it was."""


@dataclass(frozen=True, slots=True)
class Hazards:
    """Ends per hour, by bucket of age."""

    rates: tuple[float, ...]

    def survival(self, age: float, span: float) -> float:
        """The chance that what has lasted `age` lasts `span` longer."""
        return math.exp(-self._integral(age, age + span))

    def life(self, age: float, horizon: float) -> float:
        """Hours that what has lasted `age` is expected to last, nothing counted past `horizon`."""
        total, alive, end = 0.0, 1.0, age + horizon
        # Plans ask this for every place and job, so the pieces are not listed first.
        for rate, high in zip(self.rates, _ENDS, strict=True):
            if age >= high:
                continue
            span = min(end, high) - age
            if span <= 0:
                break
            lasts = math.exp(-rate * span)
            total += alive * (span if rate * span < 1e-9 else (1 - lasts) / rate)
            alive *= lasts
            age = high
        return total

    def _integral(self, start: float, end: float) -> float:
        return sum(rate * (b - a) for rate, a, b in self._pieces(start, end))

    def _pieces(self, start: float, end: float) -> list[tuple[float, float, float]]:
        found, low = [], 0.0
        for rate, high in zip(self.rates, _ENDS, strict=True):
            a, b = max(start, low), min(end, high)
            if b > a:
                found.append((rate, a, b))
            low = high
        return found


def bucket(age: float) -> int:
    """Which bucket an age belongs to."""
    return sum(1 for edge in EDGES if age >= edge)


def learn(runs: Iterable[Run], prior: Hazards, weight: float) -> Hazards:
    """The hazards of what was seen, with `weight` ends at the prior's rate added per bucket."""
    ends, exposed = [weight] * len(prior.rates), [weight / rate for rate in prior.rates]
    for run in runs:
        _count(run, ends, exposed)
    return Hazards(tuple(e / x for e, x in zip(ends, exposed, strict=True)))


def _count(run: Run, ends: list[float], exposed: list[float]) -> None:
    low = 0.0
    stop = run.since + run.hours
    for index, high in enumerate(_ENDS):
        exposed[index] += run.weight * max(0.0, min(stop, high) - max(run.since, low))
        low = high
    if run.ended:
        ends[bucket(max(0.0, stop - 1e-9))] += run.weight
