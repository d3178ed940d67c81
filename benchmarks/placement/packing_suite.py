"""S4: packing a cluster until it is full. Unallocated GPUs at 130 % demand, on the openb trace.

`python -m benchmarks.placement packing`: ours beside FGD and best-fit, and the paper's own figures.
Orders of jobs are packed side by side and kept at once, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.placement.kept import Kept
from benchmarks.placement.packing import ASKED, CHOOSERS, WORKLOADS, allocated, published
from benchmarks.placement.progress import Course
from benchmarks.placement.stats import Interval, Sample, bootstrap, mean_ratio
from benchmarks.placement.summary import Entry, Report, sentence, verdict
from benchmarks.placement.workers import each

PART, USUAL_S = "packing", 20.0
"""CPU seconds of an order under one policy: a second for best-fit, 20 to 40 for the others."""
OURS = "overspill"
PUBLISHED = {"FGD": "06-FGD", "best-fit": "05-BestFit"}


class Piece(NamedTuple):
    """One order of a workload's jobs under one policy."""

    workload: str
    seed: int
    name: str

    @property
    def key(self) -> str:
        """Names it in the file of results."""
        return f"{self.workload}:{self.seed}:{self.name}"


def run(argv: Sequence[str], course: Course) -> Report:
    """The suite with the options of its own command line."""
    args = parser().parse_args(argv)
    shares = _measure(pieces(args), args, course)
    workloads = args.workloads or WORKLOADS
    found = {w: {n: [shares[p] for p in shares if p[::2] == (w, n)] for n in CHOOSERS}
             for w in workloads}  # fmt: skip
    text = "\n\n".join(table(workload, one) for workload, one in found.items())
    return Report(text, [entry(workload, one) for workload, one in found.items()])


def pieces(args: argparse.Namespace) -> list[Piece]:
    """The slow ones first, so that no core is idle at the end."""
    return [
        Piece(workload, seed, name)
        for name in reversed(CHOOSERS)
        for workload in args.workloads or WORKLOADS
        for seed in range(args.seeds)
    ]


def _measure(
    wanted: Sequence[Piece], args: argparse.Namespace, course: Course
) -> Mapping[Piece, float]:
    results = Kept(args.results, ("benchmarks.placement.packing",))
    missing = [piece for piece in wanted if not results.has(piece.key)]
    course.expect(PART, len(missing), USUAL_S)
    for at, share in each(_run, missing, args.workers):
        results.put(missing[at].key, share)
        course.step(PART)
    return {piece: results.get(piece.key, float) for piece in wanted}


def _run(piece: Piece) -> float:
    """The allocated share; runs in a process of its own."""
    return allocated(*piece)


def table(workload: str, found: Mapping[str, Sequence[float]]) -> str:
    """One workload, for people."""
    lines = [
        f"packing, {workload}: unallocated GPUs at {ASKED:.0%} demand, "
        f"{len(found[OURS])} orders of jobs",
        f"  {'policy':10} {'unallocated':>12} {'published':>10}  ours less this, points",
    ]
    for name, shares in found.items():
        paper = _paper(workload, name)
        told = "" if paper is None else f"{paper:8.2f} %"
        gap = "" if name == OURS else _told(_gap(found[OURS], shares))
        lines.append(f"  {name:10} {_unallocated(shares):10.2f} % {told:>10}  {gap}")
    return "\n".join(lines)


def entry(workload: str, found: Mapping[str, Sequence[float]]) -> Entry:
    """Its line of the summary. Of the paper only the means are known: no interval, no verdict."""
    ours = _unallocated(found[OURS])
    verdicts = {n: verdict(_gap(found[OURS], s)) for n, s in found.items() if n != OURS}
    papers = {name: _paper(workload, name) for name in PUBLISHED}
    told = [f"{n} {p:.2f} % ({ours - p:+.2f})" for n, p in papers.items() if p is not None]
    here = [f"{n} {_unallocated(s):.2f} %" for n, s in found.items() if n != OURS]
    against = [f"{sentence(verdicts)} (here: {', '.join(here)})", f"published: {', '.join(told)}"]
    return Entry(f"packing {workload}", f"{ours:.2f} % unallocated", against=against)


def _unallocated(shares: Sequence[float]) -> float:
    return 100 * (1 - float(np.mean(shares)))


def _paper(workload: str, name: str) -> float | None:
    """Unallocated percent as published; None: not told."""
    found = published(workload).get(PUBLISHED.get(name, ""))
    return None if found is None else 100 - found


def _gap(mine: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Unallocated points of ours less theirs."""
    pairs = [
        Sample(str(i), 100 * (b - a), 1.0, 0.0)
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True))
    ]
    return bootstrap(pairs, mean_ratio)


def _told(gap: Interval) -> str:
    return f"{gap.value:+.2f} [{gap.low:+.2f} {gap.high:+.2f}]"


def parser() -> argparse.ArgumentParser:
    """Its own command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.placement packing", description=__doc__
    )
    made.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    made.add_argument("--seeds", type=int, default=2, help="orders of jobs per workload")
    made.add_argument("--workers", type=int, help="processes; default: one per core")
    made.add_argument("--results", type=Path, default=Path("dist/bench-placement-packing.jsonl"))
    return made
