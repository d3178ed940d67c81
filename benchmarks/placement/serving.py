"""S6: services on spot zones. Attained against promised, dollars, and the paired interval.

`python -m benchmarks.placement serving`: per class ours against SpotHedge with the least extra
copies that kept that class's promise on the tuning split, and with the published one or two. What
decides for us is `overspill.core.serving`. Resumable: each window's result is kept at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.placement.kept import Kept
from benchmarks.placement.progress import Course
from benchmarks.placement.serving_input import Window, windows, zones
from benchmarks.placement.serving_ours import Planned
from benchmarks.placement.serving_sim import OnDemand, Policy, Result, SpotHedge, run
from benchmarks.placement.stats import Interval, Sample, bootstrap, sum_ratio
from benchmarks.placement.summary import Entry, Report, sentence, verdict
from benchmarks.placement.workers import each

PROMISED: Mapping[str, float | None] = {
    "guaranteed": 0.999,
    "standard": 0.99,
    "besteffort": None,
}
EXTRA = (0.0, 0.1, 0.25, 0.5, 1.0)
"""SpotHedge's extra copies as a share of what is needed; one at least."""
POLICIES = 1 + len(EXTRA) + len(PROMISED)
"""On demand, SpotHedge, and ours for each class."""
PART, USUAL_S = "serving", 8.0
"""CPU seconds of a window under one policy: twenty for ours, next to nothing for the others."""
ENTRIES = ("benchmarks.placement.serving_sim", "benchmarks.placement.serving_ours")

Maker = Callable[[], Policy]


def run_suite(argv: Sequence[str], course: Course) -> Report:
    """The suite with the options of its own command line."""
    args = parser().parse_args(argv)
    found = windows(args.split, args.size)
    makers = _makers()
    measured = _measure(list(makers), found, args, course)
    texts, entries, problems = [], [], []
    for sla, promised in PROMISED.items():
        ours = measured[f"overspill ({sla})"]
        rivals = {n: measured[n] for n in makers if not n.startswith("overspill")}
        texts.append(_table(sla, promised, ours, rivals, found))
        entries.append(entry(sla, promised, ours, rivals, found))
        if promised is not None and _attained(ours) < promised:
            problems.append(f"serving: {sla} did not attain its promise")
    return Report("\n".join(texts).rstrip(), entries, problems)


def _makers() -> Mapping[str, Maker]:
    hedges: dict[str, Maker] = {
        SpotHedge(extra).name: lambda extra=extra: SpotHedge(extra)  # type: ignore[misc]
        for extra in EXTRA
    }
    ours: dict[str, Maker] = {
        f"overspill ({sla})": lambda promised=promised: Planned(promised)  # type: ignore[misc]
        for sla, promised in PROMISED.items()
    }
    return {"on-demand": OnDemand, **hedges, **ours}


@dataclass(frozen=True)
class _Piece:
    """One window under one policy."""

    name: str
    window: Window


def _measure(
    names: Sequence[str], found: Sequence[Window], args: argparse.Namespace, course: Course
) -> Mapping[str, list[Result]]:
    """All policies on all windows; what is not known yet side by side."""
    kept = Kept(args.results, ENTRIES)
    every = [(name, i, _key(args.split, w, i, name)) for name in names for i, w in enumerate(found)]
    missing = [(name, i, key) for name, i, key in every if not kept.has(key)]
    course.expect(PART, len(missing), USUAL_S)
    pieces = [_Piece(name, found[i]) for name, i, _ in missing]
    for at, result in each(_run, pieces, args.workers):
        kept.put(missing[at][2], result)
        course.step(PART)
    lines: dict[str, list[Result]] = {name: [] for name in names}
    for name, _, key in every:
        lines[name].append(Result(**kept.get(key, dict)))
    return lines


def _key(split: str, window: Window, index: int, name: str) -> str:
    return f"{split}:{window.group}:{index}:{name}"


def _run(piece: _Piece) -> dict[str, Any]:
    """One result as a document; runs in a process of its own."""
    return vars(run(piece.window, zones(), _makers()[piece.name]()))


def _attained(lines: Sequence[Result]) -> float:
    return 1 - sum(r.missed_s for r in lines) / sum(r.elapsed_s for r in lines)


def _table(
    sla: str,
    promised: float | None,
    ours: Sequence[Result],
    rivals: Mapping[str, Sequence[Result]],
    found: Sequence[Window],
) -> str:
    told = "no promise" if promised is None else f"promised {promised:.3%}"
    head = [
        f"{sla} ({told}): {len(found)} windows of three days",
        f"  {'policy':16} {'USD':>9} {'attained':>9} {'worst':>8} {'min/day short':>13} "
        f"{'losses':>7}  ours costs, of this",
    ]
    lines = [_line("overspill", ours, None, found)]
    lines += [_line(name, rival, ours, found) for name, rival in rivals.items()]
    return "\n".join([*head, *lines, ""])


def _line(
    name: str, lines: Sequence[Result], ours: Sequence[Result] | None, found: Sequence[Window]
) -> str:
    days = sum(r.elapsed_s for r in lines) / 86400
    gap = ""
    if ours is not None:
        share = _share(ours, lines, found)
        gap = f"{share.value - 1:+.1%} [{share.low - 1:+.1%} {share.high - 1:+.1%}]"
    worst = min(1 - r.missed_s / r.elapsed_s for r in lines)
    return (
        f"  {name:16} {sum(r.usd for r in lines):9,.0f} {_attained(lines):9.3%} {worst:8.2%} "
        f"{sum(r.missed_s for r in lines) / 60 / days:13.1f} "
        f"{sum(r.losses for r in lines):7d}  {gap}"
    )


def _share(ours: Sequence[Result], theirs: Sequence[Result], found: Sequence[Window]) -> Interval:
    """Dollars of ours over theirs."""
    pairs = [
        Sample(w.group, a.usd, b.usd, 0.0) for w, a, b in zip(found, ours, theirs, strict=True)
    ]
    return bootstrap(pairs, sum_ratio)


def entry(
    sla: str,
    promised: float | None,
    ours: Sequence[Result],
    rivals: Mapping[str, Sequence[Result]],
    found: Sequence[Window],
) -> Entry:
    """A class's line of the summary: who breaks the promise is not compared in dollars."""
    broken = [n for n, r in rivals.items() if promised is not None and _attained(r) < promised]
    shares = {n: _share(ours, r, found) for n, r in rivals.items() if n not in broken}
    less = {n: Interval(s.value - 1, s.low - 1, s.high - 1) for n, s in shares.items()}
    told = [sentence({n: verdict(one) for n, one in less.items()})]
    told += [f"promise not kept by {', '.join(broken)}"] if broken else []
    aim = "" if promised is None else f" of {promised:.1%}"
    usd = sum(r.usd for r in ours)
    is_kept = promised is None or _attained(ours) >= promised
    misses = "-" if promised is None else "kept" if is_kept else "broken"
    return Entry(
        f"serving {sla}",
        f"{usd:,.0f} USD, attained {_attained(ours):.3%}{aim}",
        misses=misses,
        against=told,
    )


def parser() -> argparse.ArgumentParser:
    """Its own command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.placement serving", description=__doc__
    )
    made.add_argument("--split", choices=("tune", "validate"), default="validate")
    made.add_argument("--size", type=int, default=24, help="windows of three days")
    made.add_argument("--workers", type=int, help="processes; default: one per core")
    made.add_argument("--results", type=Path, default=Path("dist/bench-placement-serving.jsonl"))
    return made
