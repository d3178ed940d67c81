"""The exact offline optimum of one job, by dynamic programming over tick, work left and place.

Exact means: work is counted in the largest unit that divides the tick and the cold start, so
nothing is rounded; who knows the future never enters a place that goes before its start is over,
and checkpoints before every loss, so losses destroy nothing. Compared with a search through every
plan in the tests.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.placement.world import Job, World

Array = Any  # numpy's own generic types say no more here


def optimum(world: World, job: Job) -> float:
    """The least a job can cost that is finished in time; infinite where no plan is."""
    return _Table(world, job).solve()


class _Table:
    """Layers of cost-to-go by work left, from the deadline backwards."""

    def __init__(self, world: World, job: Job) -> None:
        self._world, self._job = world, job
        unit = math.gcd(world.tick_s, job.cold_s or world.tick_s, job.work_s)
        self._tick, self._cold = world.tick_s // unit, job.cold_s // unit
        self._work = job.work_s // unit
        self._rate = unit / 3600
        self._spans = self._cold // self._tick + 1
        """Ticks until the first work: entered at t, the job works at the end of t+spans-1."""
        self._regions = sorted({place.region for place in world.places})
        self._region = [self._regions.index(place.region) for place in world.places]

    @property
    def _n(self) -> int:
        return len(self._world.places)

    def solve(self) -> float:
        """Backwards through the ticks; the first entry moves no checkpoint."""
        end = self._end(self._n)
        running: list[Array] = [end] * self._spans
        idle = self._end(len(self._regions))
        least = math.inf
        for tick in reversed(range(self._job.ticks)):
            entered = self._entered(tick, running)
            least = min(least, float(entered[:, self._work].min()))
            idle = self._idled(idle, entered)
            stayed = np.minimum(self._stayed(tick, running[0]), idle[self._region])
            running = [stayed, *running[:-1]]
        return least

    def _end(self, rows: int) -> Array:
        """At the deadline only nothing left is worth anything."""
        end = np.full((rows, self._work + 1), np.inf)
        end[:, 0] = 0.0
        return end

    def _idled(self, later: Array, entered: Array) -> Array:
        """Per region the checkpoint lies in: wait a tick, or enter the best place anywhere."""
        best = later.copy()
        for target, region in enumerate(self._regions):
            cheapest = entered[[r == target for r in self._region]].min(axis=0)
            for source, origin in enumerate(self._regions):
                moved = self._world.egress.get((origin, region), 0.0)
                np.minimum(best[source], cheapest + moved, out=best[source])
        return best

    def _stayed(self, tick: int, later: Array) -> Array:
        """Working through this tick where the job already runs."""
        out = np.full_like(later, np.inf)
        for i, place in enumerate(self._world.places):
            at = self._job.start + tick
            if place.up[at]:
                self._worked(out[i], later[i], place.price[at], self._tick, 0)
        return out

    def _entered(self, tick: int, running: list[Array]) -> Array:
        """Entering now and staying until the first work is done."""
        out = np.full((self._n, self._work + 1), np.inf)
        out[:, 0] = 0.0
        last = self._job.start + tick + self._spans - 1
        if tick + self._spans > self._job.ticks:
            return out
        for i, place in enumerate(self._world.places):
            span = range(self._job.start + tick, last + 1)
            if all(place.up[t] for t in span):
                paid = sum(place.price[t] for t in span[:-1]) * self._tick * self._rate
                cold = self._cold - (self._spans - 1) * self._tick
                self._worked(out[i], running[-1][i], place.price[last], self._tick - cold, cold)
                out[i] += paid
                out[i, 0] = 0.0
        return out

    def _worked(self, out: Array, later: Array, price: float, gained: int, cold: int) -> None:
        """A tick with `cold` units of start and `gained` of work; the end is billed to the unit."""
        rate = price * self._rate
        ends = np.arange(min(gained, self._work) + 1)
        out[: len(ends)] = rate * (cold + ends)
        if gained < self._work:
            out[gained + 1 :] = rate * (cold + gained) + later[1 : self._work + 1 - gained]
        out[0] = 0.0
