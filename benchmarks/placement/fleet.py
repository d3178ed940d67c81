"""S5: a fleet of jobs on own nodes that fail, overflowing to rented places. `plan()` decides.

`python -m benchmarks.placement fleet`: ours against who always waits and who bursts at once, each
in dollars over a bound, with misses per class and the paired interval of the difference. The
simulator is that of `overspill simulate`. Resumable: every policy's result is kept at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.placement import traces
from benchmarks.placement.fleet_bound import bound_usd
from benchmarks.placement.fleet_input import Fleet, fleet
from benchmarks.placement.kept import Kept
from benchmarks.placement.stats import Sample, bootstrap, mean_ratio
from benchmarks.placement.workers import each
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
SOURCES = (
    "benchmarks/placement/fleet*.py",
    "benchmarks/placement/traces.py",
    "operator/overspill/simulate/*.py",
    "operator/overspill/core/p*.py",
)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = _parser().parse_args(argv)
    if not traces.present():
        print(f"There are no traces at {traces.root()}; OVERSPILL_TRACES names another place.")
        return 2
    found = fleet(args.split, args.size)
    every = scenarios(args.ours)
    bound, told = _results(found, every, args)
    print(_table(found, told, bound, args))
    missed = told[OURS]["missed"]
    broken = missed.get("guaranteed", 0) + missed.get("standard", 0)
    dearer = [n for n in POLICIES[1:] if told[n]["usd"] <= told[OURS]["usd"]]
    if broken or dearer:
        print(f"Not as it should be: {broken} misses, dearer than {dearer}", file=sys.stderr)
    return 1 if broken or dearer else 0


def scenarios(ours: str = SHIPPED) -> Mapping[str, Scenario]:
    """The three, on the same classes; who is late goes on demand, whoever decides."""
    base = scenario(CLASSES).classes
    words = {OURS: ours, "always-wait": "always-wait", "burst-at-once": "burst-at-once"}
    return {
        name: replace(scenario(word, base), name=name, late_goes_out=True)
        for name, word in words.items()
    }


def _results(
    found: Fleet, every: Mapping[str, Scenario], args: argparse.Namespace
) -> tuple[float, Mapping[str, Mapping[str, Any]]]:
    """The bound, and every policy's document: what is not known yet is made side by side."""
    results, key = Kept(args.results, SOURCES), f"fleet:{args.split}:{args.size}"
    counted = [j for j in found.history.jobs if j.name in found.counted]
    classes = every[OURS].classes
    bound = results.get(f"{key}:bound", lambda: bound_usd(found.history, counted, classes))
    keys = {name: f"{key}:{args.ours if name == OURS else name}" for name in every}
    missing = [name for name in every if not results.has(keys[name])]
    pieces = [(found, every[name]) for name in missing]
    for index, document in each(_measure, pieces, args.workers):
        results.put(keys[missing[index]], document)
    return float(bound), {name: results.get(keys[name], dict) for name in every}


def _measure(piece: tuple[Fleet, Scenario]) -> dict[str, Any]:
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


def _table(
    found: Fleet, told: Mapping[str, Mapping[str, Any]], bound: float, args: argparse.Namespace
) -> str:
    nodes = len(found.history.nodes)
    counts: dict[str, int] = {}
    for job in (j for j in found.history.jobs if j.name in found.counted):
        counts[job.sla] = counts.get(job.sla, 0) + 1
    lines = [
        f"fleet ({args.split}): {len(found.counted)} jobs counted of {len(found.history.jobs)}, "
        f"{nodes} own nodes, {len(found.history.faults)} faults, bound {bound:,.0f} USD",
        "classes: " + ", ".join(f"{n} {c}" for n, c in sorted(counts.items())),
        f"  {'policy':14} {'USD':>9} {'/bound':>7} {'own USD':>8} {'missed g/s':>14} "
        f"{'losses':>6} {'moves':>6} {'left':>5} {'wasted GPU-h':>12} {'plans':>7} {'s':>6}  "
        f"{'ours less it':28}  on promises both kept",
    ]
    return "\n".join([*lines, *(_line(n, told, bound) for n in POLICIES)])


def _line(name: str, told: Mapping[str, Mapping[str, Any]], bound: float) -> str:
    one = told[name]
    misses = "/".join(
        str(one["missed"].get(c, 0)) for c in ("guaranteed", "standard", "besteffort")
    )
    ours, gap, fair = told[OURS], "", ""
    if name != OURS:
        gap = _gap(ours["jobs"], one["jobs"])
        fair = _gap(ours["jobs"], one["jobs"], without={*ours["broken"], *one["broken"]})
    return (
        f"  {name:14} {one['usd']:9,.0f} {one['usd'] / bound:7.3f} {one['own']:8,.0f} {misses:>14} "
        f"{one['losses']:6d} {one['moves']:6d} {one['preemptions']:5d} "
        f"{one['wasted_gpu_h']:12,.0f} {one['plans']:7d} {one['seconds']:6.0f}  {gap:28}  {fair}"
    )


def _gap(
    ours: Mapping[str, Sequence[float]],
    theirs: Mapping[str, Sequence[float]],
    without: Iterable[str] = (),
) -> str:
    """USD of all counted jobs but some, the interval drawn over blocks of six hours of submission.

    Who breaks a promise saves by it: without the jobs of broken promises the comparison is fairer.
    """
    kept = ours.keys() - set(without)
    pairs = [
        Sample(f"{int(ours[n][0] // 21600)}", ours[n][1] - theirs[n][1], 1.0, 0.0)
        for n in ours
        if n in kept
    ]
    gap, count = bootstrap(pairs, mean_ratio), len(pairs)
    return f"{gap.value * count:+,.0f} [{gap.low * count:+,.0f} {gap.high * count:+,.0f}]"


class _Progress:
    """A line on stderr every ten seconds."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._said = time.monotonic()

    def tell(self, done: int, second: float) -> None:
        now = time.monotonic()
        if now - self._said > 10:
            self._said = now
            print(f"{self._what}: {done}/{self._total}, day {second / 86400:.1f}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.placement.fleet", description=__doc__
    )
    parser.add_argument("--split", choices=("tune", "validate"), default="validate")
    parser.add_argument("--size", type=int, default=800, help="jobs, about")
    parser.add_argument("--workers", type=int, help="processes; default: one per core")
    parser.add_argument("--ours", default=SHIPPED, metavar="WORDS", help="for tuning: our settings")
    parser.add_argument("--results", type=Path, default=Path("dist/bench-placement-fleet.jsonl"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
