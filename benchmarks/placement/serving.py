"""S6: services on spot zones. Attained against promised, dollars, and the paired interval.

`python -m benchmarks.placement serving`: per class ours against SpotHedge with the least extra
copies that kept that class's promise on the tuning split, and with the published one or two. What
decides for us is `overspill.core.serving`. Resumable: each window's result is kept at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.placement import traces
from benchmarks.placement.kept import Kept
from benchmarks.placement.serving_input import Window, windows, zones
from benchmarks.placement.serving_sim import OnDemand, Overspill, Policy, Result, SpotHedge, run
from benchmarks.placement.stats import Sample, bootstrap, sum_ratio
from benchmarks.placement.workers import each

PROMISED: Mapping[str, float | None] = {
    "guaranteed": 0.999,
    "standard": 0.99,
    "besteffort": None,
}
EXTRA = (0.0, 0.1, 0.25, 0.5, 1.0)
"""SpotHedge's extra copies as a share of what is needed; one at least."""
RULES = ("benchmarks/placement/serving_*.py", "benchmarks/placement/traces.py")
OURS = (
    *RULES,
    "operator/overspill/core/serving.py",
    "operator/overspill/core/policy_lifetime.py",
    "operator/overspill/core/policy_knowledge.py",
)
"""What a result depends on: the baselines stay valid when only ours changes."""

Maker = Callable[[], Policy]


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = _parser().parse_args(argv)
    if not traces.present():
        print(f"There are no traces at {traces.root()}; OVERSPILL_TRACES names another place.")
        return 2
    found = windows(args.split, args.size)
    makers = _makers()
    measured = _measure(list(makers), found, args)
    bad = []
    for sla, promised in PROMISED.items():
        ours = measured[f"overspill ({sla})"]
        rivals = ["on-demand", *(n for n in makers if n.startswith("spothedge"))]
        print(_table(sla, promised, ours, {n: measured[n] for n in rivals}, found))
        bad += [sla] if promised is not None and _attained(ours) < promised else []
    for sla in bad:
        print(f"Not as it should be: {sla} did not attain its promise", file=sys.stderr)
    return 1 if bad else 0


def _makers() -> Mapping[str, Maker]:
    hedges: dict[str, Maker] = {
        SpotHedge(extra).name: lambda extra=extra: SpotHedge(extra)  # type: ignore[misc]
        for extra in EXTRA
    }
    ours: dict[str, Maker] = {
        f"overspill ({sla})": lambda promised=promised: Overspill(promised)  # type: ignore[misc]
        for sla, promised in PROMISED.items()
    }
    return {"on-demand": OnDemand, **hedges, **ours}


@dataclass(frozen=True)
class _Piece:
    """One window under one policy."""

    name: str
    window: Window


def _measure(
    names: Sequence[str], found: Sequence[Window], args: argparse.Namespace
) -> Mapping[str, list[Result]]:
    """All policies on all windows; what is not known yet side by side."""
    kept = {name: Kept(args.results, OURS if name.startswith("overspill") else RULES)
            for name in names}  # fmt: skip
    every = [(name, i, _key(args.split, w, i, name)) for name in names for i, w in enumerate(found)]
    missing = [(name, i, key) for name, i, key in every if not kept[name].has(key)]
    began = said = time.monotonic()
    pieces = [_Piece(name, found[i]) for name, i, _ in missing]
    for done, (at, result) in enumerate(each(_run, pieces, args.workers), start=1):
        kept[missing[at][0]].put(missing[at][2], result)
        if time.monotonic() - said > 10:
            said = time.monotonic()
            left = (said - began) / done * (len(missing) - done)
            print(f"serving: {done}/{len(missing)}, {left:.0f} s left", file=sys.stderr)
    lines: dict[str, list[Result]] = {name: [] for name in names}
    for name, _, key in every:
        lines[name].append(Result(**kept[name].get(key, dict)))
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
        pairs = [
            Sample(w.group, a.usd, b.usd, 0.0) for w, a, b in zip(found, ours, lines, strict=True)
        ]
        share = bootstrap(pairs, sum_ratio)
        gap = f"{share.value - 1:+.1%} [{share.low - 1:+.1%} {share.high - 1:+.1%}]"
    worst = min(1 - r.missed_s / r.elapsed_s for r in lines)
    return (
        f"  {name:16} {sum(r.usd for r in lines):9,.0f} {_attained(lines):9.3%} {worst:8.2%} "
        f"{sum(r.missed_s for r in lines) / 60 / days:13.1f} "
        f"{sum(r.losses for r in lines):7d}  {gap}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.placement serving", description=__doc__
    )
    parser.add_argument("--split", choices=("tune", "validate"), default="validate")
    parser.add_argument("--size", type=int, default=24, help="windows of three days")
    parser.add_argument("--workers", type=int, help="processes; default: one per core")
    parser.add_argument("--results", type=Path, default=Path("dist/bench-placement-serving.jsonl"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
