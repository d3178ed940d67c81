"""The reference check: Uniform Progress on the windows that SkyNomad's authors published.

A world and a job are built as their simulator does (a zone is up when at least one of 16 VMs
launched; prices are of eight GPUs), our simulator runs our reading of UP, and the costs are
compared. Called by `__main__` (`--suite published`) and by the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.placement import traces
from benchmarks.placement.simulate import View, run
from benchmarks.placement.world import Job, Place, World

SINGLE = "single_region"
"""The rows of one zone; 18 more under a zone's name are averages and unions over all zones."""


@dataclass(frozen=True)
class Check:
    """One published window and ours."""

    zone: str
    ratio: float
    window: int
    published: float
    ours: float

    @property
    def error(self) -> float:
        """Relative to the published figure."""
        return abs(self.ours / self.published - 1)


class PublishedUP:
    """UP as the authors' code runs it: whole ticks in the net, 2d when idle or on demand."""

    name = "UP (authors' code)"

    def choose(self, view: View) -> int | None:
        """Place 0 is the spot zone, place 1 on demand."""
        tick, cold = view.world.tick_s, view.job.cold_s
        needed = math.ceil((view.left_s + cold) / tick) * tick
        if needed >= view.time_s:
            return 0 if view.place == 0 and view.overhead_s == 0 else 1
        doubled = math.ceil((view.left_s + 2 * cold) / tick) * tick
        if doubled >= view.time_s and view.place != 0:
            return 1
        return self._paced(view)

    def _paced(self, view: View) -> int | None:
        pace = view.job.work_s / (view.job.ticks * view.world.tick_s)
        margin = view.done_s - view.elapsed_s * pace
        if view.place == 1:
            return 0 if view.up[0] and margin > 2 * view.job.cold_s * pace else 1
        if view.up[0]:
            return 0
        return 1 if margin < 0 else None


def checks() -> list[Check]:
    """Every published UP window whose zone is among the shared ones."""
    counts, found = traces.h100_counts_as_published(), []
    for row in traces.published_windows():
        zone = row["region"].removesuffix("_h100_16")
        if row["strategy"] == "rc_cr_threshold" and row["task_type"] == SINGLE and zone in counts:
            found.append(_check(row, zone))
    return found


def _check(row: dict[str, str], zone: str) -> Check:
    tick = traces.TICK_H100_S
    start = math.ceil(float(row["env_start_hours"]) * 3600 / tick - 1e-9)
    ticks = math.floor(float(row["deadline_hours"]) * 3600 / tick + 1e-9)
    job = Job(start, ticks, round(float(row["task_duration"]) * 3600), 720)
    ratio, window = float(row["deadline_ratio"]), int(row["window_index"])
    return Check(zone, ratio, window, float(row["cost"]), _cost(_world(zone), job))


def _cost(world: World, job: Job) -> float:
    """Their simulator bills the tick in which a job finishes whole; what is late, to the second."""
    out = run(world, job, PublishedUP())
    if out.missed or out.last is None:
        return out.cost
    rest_s = -out.finished_s % world.tick_s
    return out.cost + world.places[out.last].price[job.start] * rest_s / 3600


def _world(zone: str) -> World:
    up = tuple(n >= 1 for n in traces.h100_counts_as_published()[zone])
    spot, on_demand = traces.h100_prices()[zone]
    always = (True,) * len(up)
    places = (
        Place(zone, "spot", zone, up, (spot,) * len(up)),
        Place(f"{zone} on demand", "ondemand", zone, always, (on_demand,) * len(up)),
    )
    return World(zone, traces.TICK_H100_S, places)
