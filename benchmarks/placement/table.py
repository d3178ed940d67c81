"""The table: per suite every policy's cost over the optimum, and ours against each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.placement.results import Line
from benchmarks.placement.simulate import Outcome
from benchmarks.placement.stats import (
    Sample,
    bootstrap,
    mean_ratio,
    mean_regret,
    p95_ratio,
    paired,
    sum_ratio,
)
from benchmarks.placement.summary import Entry, sentence, verdict

OURS = "overspill"
PROBED = "overspill probed"


@dataclass(frozen=True)
class Row:
    """All jobs of a suite under one policy."""

    policy: str
    samples: list[Sample]
    lines: list[Line]

    @property
    def outcomes(self) -> list[Outcome]:
        """What happened, job by job."""
        return [line.outcome for line in self.lines]


def text(suite: str, rows: Sequence[Row]) -> str:
    """One suite, ours last."""
    jobs = len(rows[0].samples)
    starts = len({s.group for s in rows[0].samples})
    head = (
        f"{suite}: {jobs} jobs, {starts} places and starts\n"
        f"  {'policy':20} {'mean cost/optimum':22} {'p95':>6} {'sum':>6} {'regret':>7} "
        f"{'misses':>6} {'wasted h':>8} {'moves':>6} {'egress':>7} {'ms':>6}  ours less this"
    )
    ours = next((row for row in rows if row.policy == OURS), None)
    return "\n".join([head, *(_line(row, ours) for row in rows)])


def figures(rows: Sequence[Row]) -> Mapping[str, Mapping[str, object]]:
    """The same for machines."""
    return {row.policy: _figures(row) for row in rows}


def entry(suite: str, rows: Sequence[Row]) -> Entry:
    """The suite's line of the summary."""
    ours = next(row for row in rows if row.policy == OURS)
    count, mean = len(ours.lines), bootstrap(ours.samples, mean_ratio)
    others = [r for r in rows if not r.policy.startswith(OURS)]
    gaps = {r.policy: paired(ours.samples, r.samples) for r in others}
    probed = [_dearer(r, ours) for r in rows if r.policy == PROBED]
    return Entry(
        suite,
        f"cost/optimum {mean}",
        f"{p95_ratio(ours.samples):.3f}",
        str(sum(o.missed for o in ours.outcomes)),
        f"{sum(o.wasted_s for o in ours.outcomes) / 3600 / count:.1f}",
        f"{sum(line.ms_per_decision for line in ours.lines) / count:.3f}",
        [sentence({name: verdict(gap) for name, gap in gaps.items()}), *probed],
    )


def _dearer(probed: Row, ours: Row) -> str:
    """What it costs to know only what was looked at."""
    pairs = zip(probed.samples, ours.samples, strict=True)
    both = [Sample(p.group, p.cost, o.cost, o.cost) for p, o in pairs]
    found = bootstrap(both, sum_ratio)
    looks = sum(o.probes for o in probed.outcomes) / sum(o.cost for o in probed.outcomes)
    low, high = found.low - 1, found.high - 1
    missed = sum(o.missed for o in probed.outcomes)
    told = f"probed mode costs {found.value - 1:+.1%} [{low:+.1%} {high:+.1%}], looks {looks:.1%}"
    return f"{told} of it; {missed} misses"


def _figures(row: Row) -> dict[str, object]:
    mean = bootstrap(row.samples, mean_ratio)
    return {
        "mean": round(mean.value, 4),
        "ci": [round(mean.low, 4), round(mean.high, 4)],
        "p95": round(p95_ratio(row.samples), 4),
        "sum": round(sum_ratio(row.samples), 4),
        "regret": round(mean_regret(row.samples), 4),
        "misses": sum(o.missed for o in row.outcomes),
        "wasted_h": round(sum(o.wasted_s for o in row.outcomes) / 3600 / len(row.outcomes), 2),
        "moves": round(sum(o.moves for o in row.outcomes) / len(row.outcomes), 2),
        "egress_usd": round(sum(o.egress for o in row.outcomes) / len(row.outcomes), 2),
        "probes_usd": round(sum(o.probes for o in row.outcomes) / len(row.outcomes), 2),
    }


def _line(row: Row, ours: Row | None) -> str:
    mean = bootstrap(row.samples, mean_ratio)
    count = len(row.lines)
    total = {
        name: sum(getattr(o, name) for o in row.outcomes) / count
        for name in ("moves", "egress", "wasted_s")
    }
    against = ""
    if ours is not None and row is not ours:
        gap = paired(ours.samples, row.samples)
        word = verdict(gap).removesuffix(" of").removesuffix(" with")
        against = f"{gap.value:+.3f} [{gap.low:+.3f} {gap.high:+.3f}] {word}"
    return (
        f"  {row.policy:20} {mean!s:22} {p95_ratio(row.samples):6.3f} "
        f"{sum_ratio(row.samples):6.3f} {mean_regret(row.samples):7.4f} "
        f"{sum(o.missed for o in row.outcomes):6d} {total['wasted_s'] / 3600:8.1f} "
        f"{total['moves']:6.1f} {total['egress']:7.2f} "
        f"{sum(line.ms_per_decision for line in row.lines) / count:6.3f}  {against}"
    )
