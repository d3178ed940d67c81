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
from pathlib import Path

from benchmarks.placement import traces
from benchmarks.placement.kept import Kept
from benchmarks.placement.serving_input import Window, windows, zones
from benchmarks.placement.serving_sim import OnDemand, Overspill, Policy, Result, SpotHedge, run
from benchmarks.placement.stats import Sample, bootstrap, sum_ratio

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
    measured = {name: _measure(name, make, found, args) for name, make in makers.items()}
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


def _measure(
    name: str, make: Maker, found: Sequence[Window], args: argparse.Namespace
) -> list[Result]:
    results = Kept(args.results, OURS if name.startswith("overspill") else RULES)
    began = said = time.monotonic()
    lines = []
    for index, window in enumerate(found):
        key = f"{args.split}:{window.group}:{index}:{name}"
        lines.append(Result(**results.get(key, lambda w=window: vars(run(w, zones(), make())))))
        if time.monotonic() - said > 10:
            said = time.monotonic()
            left = (said - began) / (index + 1) * (len(found) - index - 1)
            print(f"{name}: {index + 1}/{len(found)}, {left:.0f} s left", file=sys.stderr)
    return lines


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
    parser.add_argument("--results", type=Path, default=Path("dist/bench-placement-serving.jsonl"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
