"""The optimum is the least any plan costs: compared with a search through every plan."""

from __future__ import annotations

import random

import pytest
from benchmarks.placement.optimum import optimum
from benchmarks.placement.world import Job, Place, World

TICK_S = 600


def _random_case(seed: int) -> tuple[World, Job]:
    dice = random.Random(seed)  # noqa: S311  (small worlds, no secret)
    ticks = dice.randint(4, 6)
    places = [
        Place(
            f"spot{i}",
            "spot",
            f"r{i}",
            tuple(dice.random() < 0.7 for _ in range(ticks)),
            tuple(dice.choice([1.0, 1.5, 2.0]) for _ in range(ticks)),
        )
        for i in range(dice.randint(1, 2))
    ]
    places.append(Place("od", "ondemand", "r0", (True,) * ticks, (3.0,) * ticks))
    egress = {("r0", "r1"): dice.choice([0.0, 0.1]), ("r1", "r0"): dice.choice([0.0, 0.3])}
    cold = dice.choice([0, 120, 600, 720])
    work = dice.randint(1, ticks - 1) * TICK_S - dice.choice([0, 120, 240])
    return World("small", TICK_S, tuple(places), egress), Job(0, ticks, work, cold)


def _best_plan(world: World, job: Job) -> float:
    """Every sequence of choices, the rules of the simulator written down a second time."""
    best = float("inf")

    def go(tick: int, left: int, at: int | None, last: int | None, cold: int, paid: float) -> None:
        nonlocal best
        if left <= 0:
            best = min(best, paid)
            return
        if tick >= job.ticks or paid >= best:
            return
        if at is not None and not world.places[at].up[tick]:
            at = None
        go(tick + 1, left, None, last, 0, paid)
        for i, place in enumerate(world.places):
            if not place.up[tick]:
                continue
            moved = 0.0 if i == at else world.egress_usd(last, i)
            start = cold if i == at else job.cold_s
            idle = min(start, TICK_S)
            worked = min(TICK_S - idle, left)
            cost = place.price[tick] * (idle + worked) / 3600
            go(tick + 1, left - worked, i, i, start - idle, paid + moved + cost)

    go(0, job.work_s, None, None, 0, 0.0)
    return best


@pytest.mark.parametrize("seed", range(120))
def test_optimum_equals_the_best_of_all_plans(seed: int) -> None:
    world, job = _random_case(seed)
    assert optimum(world, job) == pytest.approx(_best_plan(world, job))
