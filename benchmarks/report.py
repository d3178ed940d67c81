"""Turns the storm's raw observations into the figures that are printed, written and judged."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import writes
from benchmarks.follow import Moments
from benchmarks.load import Created
from benchmarks.process import Usage
from benchmarks.writes import What

HOME_WRITES = 10
"""Lease protocol, section 4: writes per whole life of a home job, child Job included."""


@dataclass
class Result:
    """Everything observed in one run."""

    jobs: int
    nodes: int
    raw_per_s: float = 0.0
    created: Created = field(default_factory=Created)
    seen: Moments = field(default_factory=Moments)
    written: dict[What, int] = field(default_factory=dict)
    read: dict[What, int] = field(default_factory=dict)
    own_events: int = 0
    restarts: int = 0
    """How often the operator ended itself; its CPU and memory are then not told."""
    usage: dict[str, tuple[float, Usage]] = field(default_factory=dict)
    """Process → (CPU seconds before the storm, its usage after it)."""


def figures(result: Result) -> dict[str, Any]:
    """The figures by name; seconds since the first create where a moment is meant."""
    first = result.created.began
    to_bound = latencies(result.created.at, result.seen.bound)
    to_lease = latencies(result.created.at, result.seen.leased)
    return {
        "jobs": result.jobs,
        "nodes": result.nodes,
        "operator_restarts": result.restarts,
        "complete": sum(1 for p in result.seen.phases.values() if p == "Complete"),
        "raw_creates_per_s": round(result.raw_per_s, 1),
        "job_creates_per_s": round(result.created.rate, 1),
        "creates_asked_again": result.created.refused,
        "leases_per_s": _pace(result.seen.leased, first),
        "bound_per_s": _pace(result.seen.bound, first),
        "complete_per_s": _pace(result.seen.ended, first),
        "create_to_lease_s": _quantiles(to_lease),
        "create_to_bound_s": _quantiles(to_bound),
        "end_to_told_s": _quantiles(latencies(result.seen.succeeded, result.seen.ended)),
        "operator_writes_per_job": operator_writes(result),
        "writes": [
            {"owner": owner, "what": what, "verb": verb, "per_job": each, "refused": refused}
            for owner, what, verb, each, refused in rows(result)
        ],
        "reads": [
            {"what": what.resource, "verb": what.verb, "count": count}
            for what, count in most_read(result)
        ],
        "cpu_s": {n: round(u.cpu_s - b, 1) for n, (b, u) in result.usage.items()},
        "peak_rss_mib": {n: round(u.peak_rss_mib) for n, (_, u) in result.usage.items()},
    }


def latencies(begun: Mapping[str, float], ended: Mapping[str, float]) -> list[float]:
    """Seconds from one moment to the other, of everything that has both, sorted."""
    return sorted(ended[name] - at for name, at in begun.items() if name in ended)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least that share is not above; 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def operator_writes(result: Result) -> float:
    """The operator's successful writes per job, its own events included."""
    count = sum(
        n for what, n in result.written.items() if writes.owner(what) == "operator" and what.ok
    )
    return round((count + result.own_events) / max(1, result.jobs), 2)


def rows(result: Result) -> list[tuple[str, str, str, float, int]]:
    """(owner, resource, verb, successes per job, refusals in all), the operator first."""
    done: Counter[tuple[str, str, str]] = Counter()
    refused: Counter[tuple[str, str, str]] = Counter()
    for what, count in result.written.items():
        where = f"{what.resource}.{what.group}" if what.group else what.resource
        key = (writes.owner(what), where, what.verb)
        (done if what.ok else refused)[key] += count
    if result.own_events:
        done[("operator", "events.events.k8s.io", "POST")] = result.own_events
        done[("kube", "events.events.k8s.io", "POST")] -= result.own_events
    order = ("operator", "kube", "user", "upkeep")
    keys = sorted({*done, *refused}, key=lambda k: (order.index(k[0]), k[1], k[2]))
    jobs = max(1, result.jobs)
    return [(*key, round(done[key] / jobs, 2), refused[key]) for key in keys]


def most_read(result: Result) -> list[tuple[What, int]]:
    """What was read most, by everybody."""
    ordered = sorted(result.read.items(), key=lambda item: (-item[1], item[0]))
    return ordered[:8]


def problems(result: Result) -> list[str]:
    """Why the run does not count, or misses the protocol's figure; empty: all is well."""
    found = figures(result)
    told = []
    if found["complete"] < result.jobs:
        phases = dict(Counter(result.seen.phases.values()))
        told.append(f"{result.jobs - found['complete']} jobs are not Complete: {phases}")
    if found["operator_writes_per_job"] > HOME_WRITES:
        each = found["operator_writes_per_job"]
        told.append(f"{each} operator writes per job, more than {HOME_WRITES}")
    return told


def text(result: Result) -> str:
    """The table."""
    f = figures(result)
    lines = [
        f"{f['jobs']} GPUJobs on {f['nodes']} simulated nodes, {f['complete']} Complete",
        f"  raw creates of a small object   {f['raw_creates_per_s']:8.1f} /s  (GPUBudget, alone)",
        f"  GPUJob creates                  {f['job_creates_per_s']:8.1f} /s",
        f"  jobs placed (lease recorded)    {f['leases_per_s']:8.1f} /s",
        f"  children bound                  {f['bound_per_s']:8.1f} /s",
        f"  jobs Complete                   {f['complete_per_s']:8.1f} /s",
        *(
            f"  {label:31} p50 {f[key]['p50']:6.1f} s   p99 {f[key]['p99']:6.1f} s"
            for label, key in (
                ("create to lease recorded", "create_to_lease_s"),
                ("create to child bound", "create_to_bound_s"),
                ("pod succeeded to job Complete", "end_to_told_s"),
            )
        ),
        f"  operator started again          {f['operator_restarts']:8d} times",
        "",
        f"  operator writes per job life    {f['operator_writes_per_job']:8.2f}     "
        f"(allowed: {HOME_WRITES})",
        *(
            f"    {owner:9} {verb:17} {where:38} {each:6.2f} per job"
            + (f"   {refused} refused" if refused else "")
            for owner, where, verb, each, refused in rows(result)
        ),
        "",
        "  reads in all, by everybody: "
        + ", ".join(f"{what.verb} {what.resource} {n}" for what, n in most_read(result)),
        "",
        *(
            f"  {name:20} {f['cpu_s'][name]:7.1f} CPU s   {f['peak_rss_mib'][name]:5d} MiB peak"
            for name in f["cpu_s"]
        ),
    ]
    return "\n".join(lines)


def as_json(result: Result) -> str:
    """The figures for machines."""
    return json.dumps(figures(result), indent=2) + "\n"


def _pace(moments: Mapping[str, float], began: float) -> float:
    """How many per second until the last one."""
    if not moments:
        return 0.0
    return round(len(moments) / max(max(moments.values()) - began, 1e-9), 1)


def _quantiles(ordered: Sequence[float]) -> dict[str, float]:
    return {"p50": round(quantile(ordered, 0.5), 2), "p99": round(quantile(ordered, 0.99), 2)}
