"""`python -m benchmarks.placement` (`make bench-placement`): all suites, or those named.

S4 to S6 have command lines of their own behind their names: `packing`, `fleet`, `serving`, `speed`.

Prints a table per suite and one of all at the end. Every case is kept at once in a file under
`dist/`, with the version of the code that made it, so that a stopped run goes on where it stopped.
Ends with 0 only when ours missed no deadline and broke no promise, the fleet cost less than with
its rivals, and the published windows are reproduced. The default sizes are made for half an hour
on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.placement import fleet, packing_suite, published, serving, speed, suites, traces
from benchmarks.placement.baselines import (
    AvailabilityPrice,
    CoState,
    Greedy,
    OnDemand,
    SpotOnly,
    UniformProgress,
)
from benchmarks.placement.optimum import optimum
from benchmarks.placement.ours import Overspill
from benchmarks.placement.packing import CHOOSERS, WORKLOADS
from benchmarks.placement.probing import Probing
from benchmarks.placement.progress import Course
from benchmarks.placement.results import Line, Results
from benchmarks.placement.simulate import Outcome, Policy, run
from benchmarks.placement.stats import Sample
from benchmarks.placement.suites import Case
from benchmarks.placement.summary import Report, table
from benchmarks.placement.table import OURS, Row, entry, figures, text
from benchmarks.placement.workers import each

PLAIN: tuple[Policy, ...] = (OnDemand(), SpotOnly(), Greedy())
LEAST_REPRODUCED = 0.97
USUAL_S: Mapping[str, float] = {"s1-2022": 4.0, "s1-2023": 4.0}
"""CPU seconds of a case under all policies, about, where it is not `ELSE_S`."""
ELSE_S = 12.0
FURTHER: Mapping[str, Callable[[Sequence[str], Course], Report]] = {
    packing_suite.PART: packing_suite.run,
    fleet.PART: fleet.run,
    serving.PART: serving.run_suite,
    speed.PART: speed.run,
}
"""Suites whose cases are not one job with a deadline."""


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    words = sys.argv[1:] if argv is None else argv
    name = words[0] if words else ""
    args = None if name in FURTHER else _parser().parse_args(words)
    if name != speed.PART and not traces.present():
        print(f"There are no traces at {traces.root()}; OVERSPILL_TRACES names another place.")
        return 2
    problems = _one(name, words[1:]) if args is None else _all(args)
    for problem in problems:
        print(f"Not as it should be: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _one(name: str, options: Sequence[str]) -> Sequence[str]:
    """One of the further suites."""
    report = FURTHER[name](options, Course())
    print(f"{report.text}\n")
    return report.problems


def _all(args: argparse.Namespace) -> Sequence[str]:
    """Everything, or the suites that were named; what is not as it should be."""
    named: Sequence[str] = args.suites or suites.SUITES
    further = {} if args.suites else _options(args)
    course, results = Course(), Results(args.results)
    _expect(course, args, named, further)
    problems = [] if args.no_check else _check()
    found, entries = {}, []
    for suite in named:
        rows = _measure(suite, args, results, course)
        print(text(suite, rows) + "\n", flush=True)
        found[suite] = figures(rows)
        entries.append(entry(suite, rows))
        ours = [row for row in rows if row.policy.startswith(OURS)]
        missed = sum(o.missed for row in ours for o in row.outcomes)
        problems += [f"{suite}: ours missed {missed} deadlines"] if missed else []
    for name, options in further.items():
        report = FURTHER[name](options, course)
        print(report.text + "\n", flush=True)
        entries += report.entries
        problems += report.problems
    print(table(entries))
    if args.summary:
        args.summary.write_text(json.dumps(found, indent=2) + "\n")
    return problems


def _options(args: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    """What the further suites are told."""
    split = ("--split", args.split)
    workers = ("--workers", str(args.workers)) if args.workers else ()
    return {
        packing_suite.PART: ("--seeds", str(args.orders), *workers),
        fleet.PART: ("--size", str(args.fleet), *split, *workers),
        serving.PART: ("--size", str(args.windows), *split, *workers),
        speed.PART: (),
    }


def _expect(
    course: Course, args: argparse.Namespace, named: Sequence[str], further: Mapping[str, object]
) -> None:
    """As if nothing were known yet; a suite says what is missing when its turn comes."""
    for suite in named:
        course.expect(suite, args.size, USUAL_S.get(suite, ELSE_S))
    if further:
        orders = len(WORKLOADS) * args.orders * len(CHOOSERS)
        course.expect(packing_suite.PART, orders, packing_suite.USUAL_S)
        course.expect(fleet.PART, len(fleet.POLICIES), fleet.USUAL_S)
        course.expect(serving.PART, args.windows * serving.POLICIES, serving.USUAL_S)
        course.expect(speed.PART, 1, speed.USUAL_S)


def policies(suite: str) -> tuple[Policy, ...]:
    """Who takes part in a suite: with one place the switching rules are UP itself.

    All of them are new: who probes remembers what it saw.
    """
    if suite.startswith("s1"):
        return (*PLAIN, UniformProgress(), CoState(), Overspill())
    several = (UniformProgress("UP(S)", switches=True), AvailabilityPrice(), CoState())
    return (*PLAIN, UniformProgress(), *several, Probing(), Overspill())


def _check() -> list[str]:
    """The reference check against the published windows."""
    checks = published.checks()
    near = sum(c.error <= 0.01 for c in checks)
    print(f"published UP windows within 1 %: {near} of {len(checks)} ({near / len(checks):.1%})\n")
    if near < LEAST_REPRODUCED * len(checks):
        return [f"only {near} of {len(checks)} published windows are reproduced"]
    return []


def _measure(suite: str, args: argparse.Namespace, results: Results, course: Course) -> list[Row]:
    cases = [suites.with_losses(c, args.loss) for c in suites.cases(suite, args.split, args.size)]
    taking_part = policies(suite)
    names = ["optimum", *(p.name for p in taking_part)]
    pieces = [_Piece(c, tuple(n for n in names if not results.get(_key(c), n))) for c in cases]
    missing = [piece for piece in pieces if piece.names]
    course.expect(suite, len(missing), USUAL_S.get(suite, ELSE_S))
    for _, found in each(_run, missing, args.workers):
        for line in found:
            results.add(line)
        course.step(suite)
    lines = {name: [_kept(results, case, name) for case in cases] for name in names}
    best, worst = lines["optimum"], lines["on-demand"]
    return [
        Row(p.name, _samples(cases, lines[p.name], best, worst), lines[p.name]) for p in taking_part
    ]


def _samples(
    cases: Sequence[Case], found: Sequence[Line], best: Sequence[Line], worst: Sequence[Line]
) -> list[Sample]:
    return [
        Sample(case.group, line.outcome.cost, o.outcome.cost, w.outcome.cost)
        for case, line, o, w in zip(cases, found, best, worst, strict=True)
    ]


@dataclass(frozen=True)
class _Piece:
    """A case and whose results are missing."""

    case: Case
    names: tuple[str, ...]


def _key(case: Case) -> str:
    return f"{case.suite}:{case.key}"


def _kept(results: Results, case: Case, name: str) -> Line:
    line = results.get(_key(case), name)
    assert line is not None  # noqa: S101  (just measured; narrows the type)
    return line


def _run(piece: _Piece) -> list[Line]:
    """Everything that is missing of a case; runs in a process of its own."""
    known = {policy.name: policy for policy in policies(piece.case.suite)}
    return [_line(piece.case, name, known.get(name)) for name in piece.names]


def _line(case: Case, name: str, policy: Policy | None) -> Line:
    if policy is None:
        return Line(_key(case), name, Outcome(cost=optimum(case.world, case.job)))
    began = time.thread_time()
    prober = policy.prober if isinstance(policy, Probing) else None
    outcome = run(case.world, case.job, policy, prober)
    ticks = max(1, outcome.finished_s // case.world.tick_s)
    each_ms = (time.thread_time() - began) * 1000 / ticks
    return Line(_key(case), name, outcome, round(each_ms, 4))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement", description=__doc__)
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=", ".join((*suites.SUITES, *FURTHER))
    )
    parser.add_argument("--split", choices=("tune", "validate"), default="validate")
    parser.add_argument("--size", type=int, default=48, help="S1 to S3: jobs per suite, about (48)")
    parser.add_argument(
        "--loss",
        type=int,
        default=0,
        metavar="SECONDS",
        help="S1 to S3: a loss destroys the work since the last of checkpoints so far apart; the "
        "optimum loses nothing (0)",
    )
    parser.add_argument("--orders", type=int, default=2, help="S4: orders of jobs per workload (2)")
    parser.add_argument("--fleet", type=int, default=800, help="S5: jobs, about (800)")
    parser.add_argument("--windows", type=int, default=24, help="S6: windows of three days (24)")
    parser.add_argument("--workers", type=int, help="processes; default: one per core")
    parser.add_argument("--results", type=Path, default=Path("dist/bench-placement.jsonl"))
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--no-check", action="store_true", help="skip the published windows")
    return parser


if __name__ == "__main__":
    sys.exit(main())
