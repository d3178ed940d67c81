"""What the rest of a job costs: backward induction over slack, work left, and a place's age.

One unreliable place against one reliable one. The value of a state depends on the slack (time
less work) and the work that is left, not on the clock, so one table serves every job of a place
until its hazards are learnt anew. The steps are those of the decision: idle a step, work a step,
or enter, which bills the start and eats slack. Below the start of the reliable place no slack may
be risked, so the hard safety net is part of every value. Called by `policy`.
"""

import math
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
_Layer = list[list[float]]
_INFINITE = math.inf


class Table:
    """The values of one market up to a slack and a work, on a grid of `step` hours.

    Built layer by layer of slack; `costs` answers for any state by interpolation.
    """

    def __init__(self, market: Market, slack: float, work: float, step: float) -> None:
        self._market, self._step = market, step
        self._works = math.ceil(work / step) + 1
        self._cold = market.cold / step
        self._moves = [_moves(market, a, step) for a in range(2 * BUCKETS)]
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
        survives = self._survives_start(a)
        lost = self._at(self._idle, BUCKETS, at - self._cold, work)
        paid = self._market.price * self._market.cold + self._market.entry
        return paid + survives * running + (1 - survives) * lost

    def _survives_start(self, a: int) -> float:
        return self._market.up.survival(_age(a), self._market.cold)

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
        """One more step of slack: first what runs on, then what may be entered, work by work."""
        slack = len(self._idle)
        idle: _Layer = [[0.0] for _ in range(2 * BUCKETS)]
        reliable: _Layer = [[0.0] for _ in range(2 * BUCKETS)]
        running: _Layer = [[0.0] for _ in range(BUCKETS)]
        for layers, layer in (
            (self._idle, idle),
            (self._reliable, reliable),
            (self._running, running),
        ):
            layers.append(layer)
        for work in range(1, self._works):
            self._fill(slack, work, (idle, reliable, running))

    def _fill(self, slack: int, work: int, layer: tuple[_Layer, _Layer, _Layer]) -> None:
        idle, reliable, running = layer
        market, step = self._market, self._step
        for a in range(BUCKETS):
            later = sum(
                p * (running[b][work - 1] if b < BUCKETS else idle[b][work - 1])
                for b, p in self._moves[a]
            )
            running[a].append(market.price * step + later)
        for a in range(2 * BUCKETS):
            moves = self._moves[a]
            waits = (
                sum(p * self._idle[slack - 1][b][work] for b, p in moves) if slack else _INFINITE
            )
            enters = self._entering(a, slack, work)
            stays = market.reliable_price * step
            stays += sum(p * reliable[b][work - 1] for b, p in moves)
            if not slack:
                stays = market.reliable_price * step * work
            reliable[a].append(min(stays, waits, enters))
            relied = market.reliable_price * market.cold + self._reliable_at(a, slack, work)
            idle[a].append(min(waits, relied, enters))

    def _entering(self, a: int, slack: int, work: int) -> float:
        """Entering the unreliable place, which is possible only while it is up."""
        if a >= BUCKETS or slack < self._cold:
            return _INFINITE
        at = slack - self._cold
        survives = self._survives_start(a)
        paid = self._market.price * self._market.cold + self._market.entry
        lost = self._grid(self._idle, BUCKETS, min(at, slack - 1.0), work)
        return paid + survives * self._grid(self._running, a, at, work) + (1 - survives) * lost

    def _reliable_at(self, a: int, slack: int, work: int) -> float:
        at = slack - self._cold
        if at <= 0:
            return self._market.reliable_price * work * self._step
        return self._grid(self._reliable, a, at, work)

    def _grid(self, layers: list[_Layer], a: int, at: float, work: int) -> float:
        """Between two layers that are both filled at this work."""
        low = max(0, int(at))
        share = max(0.0, at) - low
        here = layers[low][a][work]
        if share == 0:
            return here
        return here + share * (layers[low + 1][a][work] - here)


def _age(a: int) -> float:
    """An age that stands for a bucket."""
    index = a % BUCKETS
    low = 0.0 if index == 0 else EDGES[index - 1]
    return low if index == BUCKETS - 1 else (low + EDGES[index]) / 2


def _moves(market: Market, a: int, step: float) -> list[tuple[int, float]]:
    """Where a step leads: younger buckets grow older, and up turns down or down turns up."""
    is_up, age = a < BUCKETS, _age(a)
    hazards = market.up if is_up else market.down
    stays = hazards.survival(age, step)
    same, other = (0, BUCKETS) if is_up else (BUCKETS, 0)
    index = a % BUCKETS
    older = 0.0
    if index < BUCKETS - 1:
        low = 0.0 if index == 0 else EDGES[index - 1]
        older = min(1.0, step / (EDGES[index] - low))
    target = max(index + 1, bucket(age + step)) if older else index
    found = [(other, 1 - stays), (same + index, stays * (1 - older))]
    if older:
        found.append((same + min(target, BUCKETS - 1), stays * older))
    return [(b, p) for b, p in found if p > 0]
