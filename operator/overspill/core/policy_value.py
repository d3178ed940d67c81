"""What the rest of a job costs: backward induction over slack, work left, and a place's age.

One unreliable place against one reliable one. The value of a state depends on the slack (time
less work) and the work that is left, not on the clock, so one table serves every job of a place
until its hazards are learnt anew. The steps are those of the decision: idle a step, work a step,
or enter, which bills the start and eats slack. Below the start of the reliable place no slack may
be risked, so the hard safety net is part of every value. Called by `policy`.
"""

import math
from array import array
from dataclasses import dataclass
from typing import NamedTuple

from overspill.core.policy_lifetime import EDGES, Hazards, bucket


@dataclass(frozen=True, slots=True)
class Market:
    """What a table is about. Prices in USD per hour, times in hours."""

    up: Hazards
    down: Hazards
    price: float
    reliable_price: float
    cold: float
    entry: float = 0.0
    """USD for every move to the unreliable place, beyond its billed start."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a job stands: `slack` beyond the reliable start, `work` left, and the place's age."""

    slack: float
    work: float
    is_up: bool
    age: float


class Costs(NamedTuple):
    """Expected cost of the rest of the job by what is done next; infinite: may not be done."""

    idle: float
    reliable: float
    unreliable: float


BUCKETS = len(EDGES) + 1
_Layer = list["array[float]"]
"""Arrays, because lists of floats take four times the memory and tables are kept for hours."""
_INFINITE = math.inf


class Table:
    """The values of one market up to a slack and a work, on a grid of `step` hours.

    Built layer by layer of slack; `costs` answers for any state by interpolation.
    """

    def __init__(self, market: Market, slack: float, work: float, step: float) -> None:
        self._market, self._step = market, step
        self._works = math.ceil(work / step) + 1
        self._cold = market.cold / step
        self._entry = market.price * market.cold + market.entry
        self._moves = [_moves(market, a, step) for a in range(2 * BUCKETS)]
        self._survives = [market.up.survival(_age(a), market.cold) for a in range(BUCKETS)]
        self._idle: list[_Layer] = []
        self._reliable: list[_Layer] = []
        self._running: list[_Layer] = []
        for _ in range(math.ceil(slack / step) + 2):
            self._add_layer()

    def costs(self, state: State, *, on_reliable: bool, on_unreliable: bool) -> Costs:
        """What each way on costs from here; a place that is held is not entered again."""
        at = state.slack / self._step
        a = bucket(state.age) + (0 if state.is_up else BUCKETS)
        work = state.work / self._step
        return Costs(
            self._idled(a, at, work),
            self._kept_reliable(a, at, work) if on_reliable else self._relied(a, at, work),
            self._used(a, at, work, on_unreliable) if state.is_up else _INFINITE,
        )

    def _idled(self, a: int, at: float, work: float) -> float:
        if at < 1:
            return _INFINITE
        return sum(p * self._at(self._idle, b, at - 1, work) for b, p in self._moves[a])

    def _relied(self, a: int, at: float, work: float) -> float:
        return self._market.reliable_price * self._market.cold + self._kept_reliable(
            a, at - self._cold, work
        )

    def _kept_reliable(self, a: int, at: float, work: float) -> float:
        if at <= 0:
            return self._market.reliable_price * work * self._step
        return self._at(self._reliable, a, at, work)

    def _used(self, a: int, at: float, work: float, held: bool) -> float:
        if held:
            return self._at(self._running, a, at, work) if at >= 0 else _INFINITE
        if at < self._cold:
            return _INFINITE
        return self._entered(a, self._at(self._running, a, at - self._cold, work), at, work)

    def _entered(self, a: int, running: float, at: float, work: float) -> float:
        survives = self._survives[a]
        lost = self._at(self._idle, BUCKETS, at - self._cold, work)
        return self._entry + survives * running + (1 - survives) * lost

    def _at(self, layers: list[_Layer], a: int, at: float, work: float) -> float:
        """Bilinear between the grid's points; past its end the last layer stands."""
        low = min(int(at), len(layers) - 2)
        share = min(1.0, at - low)
        column = min(int(work), self._works - 2)
        rest = min(1.0, work - column)
        lower, upper = layers[low][a], layers[low + 1][a]
        here = lower[column] + rest * (lower[column + 1] - lower[column])
        if share == 0:
            return here
        there = upper[column] + rest * (upper[column + 1] - upper[column])
        return here + share * (there - here)

    def _add_layer(self) -> None:
        """One more step of slack, work by work; what is down first, for a start may fail."""
        slack = len(self._idle)
        idle: _Layer = [array("d", (0.0,)) for _ in range(2 * BUCKETS)]
        reliable: _Layer = [array("d", (0.0,)) for _ in range(2 * BUCKETS)]
        running: _Layer = [array("d", (0.0,)) for _ in range(BUCKETS)]
        waits = [self._waiting(slack, a) for a in range(2 * BUCKETS)]
        self._idle.append(idle)
        self._reliable.append(reliable)
        self._running.append(running)
        for work in range(1, self._works):
            self._run(work, idle, running)
            for a in reversed(range(2 * BUCKETS)):
                best = waits[a][work]
                if a < BUCKETS:
                    best = min(best, self._entering(a, slack, work))
                reliable[a].append(min(self._staying(a, slack, work), best))
                idle[a].append(min(best, self._relying(a, slack, work)))

    def _waiting(self, slack: int, a: int) -> list[float]:
        """The value of a step without work, for every work."""
        if not slack:
            return [_INFINITE] * self._works
        before = self._idle[slack - 1]
        (b, p), (c, q), (d, r) = self._moves[a]
        return [
            p * x + q * y + r * z for x, y, z in zip(before[b], before[c], before[d], strict=True)
        ]

    def _run(self, work: int, idle: _Layer, running: _Layer) -> None:
        """A step of work at the unreliable place; its first move is the loss."""
        paid = self._market.price * self._step
        for a in range(BUCKETS):
            (b, p), (c, q), (d, r) = self._moves[a]
            later = p * idle[b][work - 1] + q * running[c][work - 1] + r * running[d][work - 1]
            running[a].append(paid + later)

    def _staying(self, a: int, slack: int, work: int) -> float:
        """A step of work at the reliable place; without slack there is no way back."""
        paid = self._market.reliable_price * self._step
        if not slack:
            return paid * work
        (b, p), (c, q), (d, r) = self._moves[a]
        layer, before = self._reliable[slack], work - 1
        return paid + p * layer[b][before] + q * layer[c][before] + r * layer[d][before]

    def _relying(self, a: int, slack: int, work: int) -> float:
        """Entering the reliable place."""
        price, at = self._market.reliable_price, slack - self._cold
        if at <= 0:
            return price * (self._market.cold + work * self._step)
        return price * self._market.cold + self._grid(self._reliable, a, at, work)

    def _entering(self, a: int, slack: int, work: int) -> float:
        """Entering the unreliable place, which is up."""
        if slack < self._cold:
            return _INFINITE
        at = slack - self._cold
        survives = self._survives[a]
        lost = self._grid(self._idle, BUCKETS, at, work)
        running = self._grid(self._running, a, at, work)
        return self._entry + survives * running + (1 - survives) * lost

    def _grid(self, layers: list[_Layer], a: int, at: float, work: int) -> float:
        """Between two layers that are both filled at this work."""
        low = int(at)
        here = layers[low][a][work]
        if at == low:
            return here
        return here + (at - low) * (layers[low + 1][a][work] - here)


def _age(a: int) -> float:
    """An age that stands for a bucket."""
    index = a % BUCKETS
    low = 0.0 if index == 0 else EDGES[index - 1]
    return low if index == BUCKETS - 1 else (low + EDGES[index]) / 2


_Move = tuple[int, float]


def _moves(market: Market, a: int, step: float) -> tuple[_Move, _Move, _Move]:
    """Where a step leads: to the other state, to the same bucket of age, to an older one."""
    is_up, age = a < BUCKETS, _age(a)
    stays = (market.up if is_up else market.down).survival(age, step)
    same, other = (0, BUCKETS) if is_up else (BUCKETS, 0)
    index = a % BUCKETS
    if index == BUCKETS - 1:
        return (other, 1 - stays), (a, stays), (a, 0.0)
    low = 0.0 if index == 0 else EDGES[index - 1]
    older = min(1.0, step / (EDGES[index] - low))
    target = same + max(index + 1, bucket(age + step))
    return (other, 1 - stays), (a, stays * (1 - older)), (target, stays * older)
