"""S5: a fleet of jobs on own nodes that fail, overflowing to rented places. `plan()` decides.

`python -m benchmarks.placement fleet`: ours against who always waits and who bursts at once, each
in dollars over a bound, with misses per class and the paired interval of the difference. The
simulator is that of `overspill simulate`. Resumable: every policy's result is kept at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.placement.fleet_bound import bound_usd
from benchmarks.placement.fleet_input import Fleet, fleet
from benchmarks.placement.fleet_run import OURS, POLICIES, SHIPPED, measured, scenarios
from benchmarks.placement.kept import Kept
from benchmarks.placement.progress import Course
from benchmarks.placement.stats import Interval, Sample, bootstrap, mean_ratio
from benchmarks.placement.summary import Entry, Report, sentence, verdict
from benchmarks.placement.workers import each
from overspill.simulate.scenario import Scenario

PART, USUAL_S = "fleet", 200.0
"""CPU seconds of one policy's week with 800 jobs, about."""
ENTRIES = ("benchmarks.placement.fleet_run", "benchmarks.placement.fleet_bound")


def run(argv: Sequence[str], course: Course) -> Report:
    """The suite with the options of its own command line."""
    args = parser().parse_args(argv)
    found = fleet(args.split, args.size)
    bound, told = _results(found, scenarios(args.ours), args, course)
    missed = told[OURS]["missed"]
    broken = missed.get("guaranteed", 0) + missed.get("standard", 0)
    dearer = [n for n in POLICIES[1:] if told[n]["usd"] <= told[OURS]["usd"]]
    problems = [f"fleet: {broken} promises broken"] if broken else []
    problems += [f"fleet: not cheaper than {', '.join(dearer)}"] if dearer else []
    return Report(table(found, told, bound, args), [entry(told, bound)], problems)


def _results(
    found: Fleet, every: Mapping[str, Scenario], args: argparse.Namespace, course: Course
) -> tuple[float, Mapping[str, Mapping[str, Any]]]:
    """The bound, and every policy's document: what is not known yet is made side by side."""
    results, key = Kept(args.results, ENTRIES), f"fleet:{args.split}:{args.size}"
    counted = [j for j in found.history.jobs if j.name in found.counted]
    classes = every[OURS].classes
    bound = results.get(f"{key}:bound", lambda: bound_usd(found.history, counted, classes))
    keys = {name: f"{key}:{args.ours if name == OURS else name}" for name in every}
    missing = [name for name in every if not results.has(keys[name])]
    course.expect(PART, len(missing), USUAL_S)
    pieces = [(found, every[name]) for name in missing]
    for index, document in each(measured, pieces, args.workers):
        results.put(keys[missing[index]], document)
        course.step(PART)
    return float(bound), {name: results.get(keys[name], dict) for name in every}


def entry(told: Mapping[str, Mapping[str, Any]], bound: float) -> Entry:
    """Its line of the summary; misses of guaranteed, standard, besteffort."""
    ours = told[OURS]
    gaps = {n: _gap(ours["jobs"], told[n]["jobs"]) for n in POLICIES[1:]}
    dollars = [f"{n} {told[n]['usd']:,.0f} USD, misses {_misses(told[n])}" for n in gaps]
    return Entry(
        PART,
        f"{ours['usd']:,.0f} USD, {ours['usd'] / bound:.2f} of the bound",
        misses=_misses(ours),
        wasted=f"{ours['wasted_gpu_h']:.0f}",
        against=[sentence({n: verdict(gap) for n, gap in gaps.items()}), "; ".join(dollars)],
    )


def _misses(one: Mapping[str, Any]) -> str:
    return "/".join(str(one["missed"].get(c, 0)) for c in ("guaranteed", "standard", "besteffort"))


def table(
    found: Fleet, told: Mapping[str, Mapping[str, Any]], bound: float, args: argparse.Namespace
) -> str:
    """All policies, for people."""
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
    misses = _misses(one)
    ours, gap, fair = told[OURS], "", ""
    if name != OURS:
        gap = _told(_gap(ours["jobs"], one["jobs"]))
        broken = {*ours["broken"], *one["broken"]}
        fair = _told(_gap(ours["jobs"], one["jobs"], without=broken))
    return (
        f"  {name:14} {one['usd']:9,.0f} {one['usd'] / bound:7.3f} {one['own']:8,.0f} {misses:>14} "
        f"{one['losses']:6d} {one['moves']:6d} {one['preemptions']:5d} "
        f"{one['wasted_gpu_h']:12,.0f} {one['plans']:7d} {one['seconds']:6.0f}  {gap:28}  {fair}"
    )


def _gap(
    ours: Mapping[str, Sequence[float]],
    theirs: Mapping[str, Sequence[float]],
    without: Iterable[str] = (),
) -> Interval:
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
    return Interval(gap.value * count, gap.low * count, gap.high * count)


def _told(gap: Interval) -> str:
    return f"{gap.value:+,.0f} [{gap.low:+,.0f} {gap.high:+,.0f}]"


def parser() -> argparse.ArgumentParser:
    """Its own command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.placement fleet", description=__doc__)
    made.add_argument("--split", choices=("tune", "validate"), default="validate")
    made.add_argument("--size", type=int, default=800, help="jobs, about")
    made.add_argument("--workers", type=int, help="processes; default: one per core")
    made.add_argument("--ours", default=SHIPPED, metavar="WORDS", help="for tuning: our settings")
    made.add_argument("--results", type=Path, default=Path("dist/bench-placement-fleet.jsonl"))
    return made
