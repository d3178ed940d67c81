"""`python -m benchmarks.placement` (`make bench-placement`): all suites, or those named.

S4 to S6 have command lines of their own behind their names: `packing`, `fleet`, `serving`, `speed`.

Prints the table and writes the figures. Every result is kept at once in a file under `dist/`, so
that a stopped run goes on where it stopped; results of older code are not used. Ends with 0 only
when ours missed no deadline and the published windows are reproduced.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.placement import fleet, packing, published, serving, speed, suites, traces
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
from benchmarks.placement.results import Line, Results
from benchmarks.placement.simulate import Outcome, Policy, run
from benchmarks.placement.stats import Sample
from benchmarks.placement.suites import Case
from benchmarks.placement.table import OURS, Row, figures, text
from benchmarks.placement.workers import each

PLAIN: tuple[Policy, ...] = (OnDemand(), SpotOnly(), Greedy())
LEAST_REPRODUCED = 0.97
FURTHER: Mapping[str, Callable[[list[str]], int]] = {
    "packing": packing.main,
    "fleet": fleet.main,
    "serving": serving.main,
    "speed": speed.main,
}
"""Suites whose cases are not one job with a deadline."""


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in FURTHER:
        return FURTHER[words[0]](words[1:])
    args = _parser().parse_args(words)
    if not traces.present():
        print(f"There are no traces at {traces.root()}; OVERSPILL_TRACES names another place.")
        return 2
    problems = [] if args.no_check else _check()
    found = {}
    results = Results(args.results)
    for suite in args.suites or suites.SUITES:
        rows = _measure(suite, args, results)
        print(text(suite, rows) + "\n", flush=True)
        found[suite] = figures(rows)
        missed = sum(o.missed for row in rows if row.policy == OURS for o in row.outcomes)
        problems += [f"{suite}: ours missed {missed} deadlines"] if missed else []
    if args.summary:
        args.summary.write_text(json.dumps(found, indent=2) + "\n")
    if not args.suites:
        problems += [f"{name}: see above" for name, run_it in FURTHER.items() if run_it([])]
    for problem in problems:
        print(f"Not as it should be: {problem}", file=sys.stderr)
    return 1 if problems else 0


def policies(suite: str) -> tuple[Policy, ...]:
    """Who takes part in a suite: with one place the switching rules are UP itself."""
    if suite.startswith("s1"):
        return (*PLAIN, UniformProgress(), CoState(), Overspill())
    several = (UniformProgress("UP(S)", switches=True), AvailabilityPrice(), CoState())
    return (*PLAIN, UniformProgress(), *several, Overspill())


def _check() -> list[str]:
    """The reference check against the published windows."""
    checks = published.checks()
    near = sum(c.error <= 0.01 for c in checks)
    print(f"published UP windows within 1 %: {near} of {len(checks)} ({near / len(checks):.1%})\n")
    if near < LEAST_REPRODUCED * len(checks):
        return [f"only {near} of {len(checks)} published windows are reproduced"]
    return []


def _measure(suite: str, args: argparse.Namespace, results: Results) -> list[Row]:
    cases = suites.cases(suite, args.split, args.size)
    progress = _Progress(f"{suite} ({args.split})", len(cases))
    taking_part = policies(suite)
    names = ["optimum", *(p.name for p in taking_part)]
    missing = [_Piece(c, tuple(n for n in names if not results.get(_key(c), n))) for c in cases]
    progress.skip(sum(not piece.names for piece in missing))
    for _, found in each(_run, [piece for piece in missing if piece.names], args.workers):
        for line in found:
            results.add(line)
        progress.step()
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
    began = time.perf_counter()
    outcome = run(case.world, case.job, policy)
    ticks = max(1, outcome.finished_s // case.world.tick_s)
    each_ms = (time.perf_counter() - began) * 1000 / ticks
    return Line(_key(case), name, outcome, round(each_ms, 4))


class _Progress:
    """A line on stderr every few seconds."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._began = self._said = time.monotonic()

    def skip(self, count: int) -> None:
        """So many are known from before."""
        self._total -= count

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._said > 5:
            self._said = now
            left_s = (now - self._began) / self._done * (self._total - self._done)
            print(f"{self._what}: {self._done}/{self._total}, {left_s:.0f} s left", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement", description=__doc__)
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=", ".join((*suites.SUITES, *FURTHER))
    )
    parser.add_argument("--split", choices=("tune", "validate"), default="validate")
    parser.add_argument("--size", type=int, default=48, help="jobs per suite, about")
    parser.add_argument("--workers", type=int, help="processes; default: one per core")
    parser.add_argument("--results", type=Path, default=Path("dist/bench-placement.jsonl"))
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--no-check", action="store_true", help="skip the published windows")
    return parser


if __name__ == "__main__":
    sys.exit(main())
