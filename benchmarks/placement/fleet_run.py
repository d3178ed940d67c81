"""S5's week under one policy: ours, always waiting for home, or bursting at once. `plan()` decides.

The simulator is that of `overspill simulate`; what comes back is a document that is kept. Called by
`fleet`, in a process for each policy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.placement.fleet_input import Fleet
from overspill.simulate.replay import Pace, replay
from overspill.simulate.scenario import Scenario, scenario

OURS = "overspill"
POLICIES = (OURS, "always-wait", "burst-at-once")
CLASSES = (
    "guaranteed.capacityTypes=Own+OnDemand,standard.capacityTypes=Own+Spot+OnDemand,"
    "besteffort.capacityTypes=Own+Spot+OnDemand"
)
"""By price, not by firmness: sellers before the cloud where the class bears them."""
SHIPPED = OURS
"""Ours keeps the classes' shipped patience; beyond it the learnt policy waits where that pays."""


def scenarios(ours: str = SHIPPED) -> Mapping[str, Scenario]:
    """The three, on the same classes; who is late goes on demand, whoever decides."""
    base = scenario(CLASSES).classes
    words = {OURS: ours, "always-wait": "always-wait", "burst-at-once": "burst-at-once"}
    return {
        name: replace(scenario(word, base), name=name, late_goes_out=True)
        for name, word in words.items()
    }


def measured(piece: tuple[Fleet, Scenario]) -> dict[str, Any]:
    """One policy's week as a document; runs in a process of its own."""
    found, one = piece
    progress = _Progress(one.name, len(found.history.jobs))
    began = time.perf_counter()
    outcome = replay(found.history, one, Pace(step_s=60.0, review_s=1800.0), progress.tell)
    took = time.perf_counter() - began
    runs = [r for r in outcome.runs if r.past.name in found.counted]
    missed: dict[str, int] = {}
    for run in (r for r in runs if r.missed):
        missed[run.past.sla] = missed.get(run.past.sla, 0) + 1
    return {
        "usd": sum(r.bill.total for r in runs),
        "own": sum(r.bill.own for r in runs),
        "missed": missed,
        "broken": [r.past.name for r in runs if r.missed],
        "unfinished": sum(r.finished_s is None for r in runs),
        "losses": sum(r.losses for r in runs),
        "moves": sum(r.moves for r in runs),
        "preemptions": sum(r.preemptions for r in runs),
        "wasted_gpu_h": sum(r.bill.wasted_gpu_h for r in runs),
        "rework": sum(r.bill.rework for r in runs),
        "plans": outcome.plans,
        "seconds": took,
        "jobs": {r.past.name: [r.past.submit_s, r.bill.total] for r in runs},
    }


class _Progress:
    """A line on stderr every half minute: how far one policy's week is."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._said = time.monotonic()

    def tell(self, done: int, second: float) -> None:
        now = time.monotonic()
        if now - self._said > 30:
            self._said = now
            print(f"{self._what}: {done}/{self._total}, day {second / 86400:.1f}", file=sys.stderr)
