"""What a soak observed, and its lines beside the figures of the lease protocol (section 4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks import report, writes
from benchmarks.chaos_lines import Line
from benchmarks.follow import Moments
from benchmarks.process import Usage
from benchmarks.writes import What

RSS_MIB = 150 * 1000 * 1000 / 2**20
SYNCED_S = 5.0
FIRST_S = 10.0
REACT_S = 1.0


@dataclass
class Soak:
    """Everything observed; what was not stays at its default and makes no line."""

    jobs: int
    nodes: int
    leases: int
    active: int = 0
    running_home: int = 0
    filled_s: float = 0.0
    idle_writes: dict[What, int] = field(default_factory=dict)
    idle_cpu_s: float = 0.0
    writes_after_start: dict[What, int] = field(default_factory=dict)
    finds_idle: float = 0.0
    minutes: float = 0.0
    nodes_lost: int = 0
    restarts: int = 0
    usage: Usage | None = None
    cpu_s: float = 0.0
    probes: dict[str, float] = field(default_factory=dict)
    """When each probe was accepted, on this process's monotonic clock."""
    seen: Moments = field(default_factory=Moments)
    active_at_end: int = 0
    synced_s: float = 0.0
    first_s: float = 0.0
    peak_rss_mib: float = 0.0


def lines(soak: Soak) -> list[Line]:
    """Goal and measured figure."""
    size = f"{soak.jobs} jobs, {soak.nodes} nodes, {soak.leases} leases"
    full = (
        f"{soak.active} leases Active and {soak.running_home} at home after {soak.filled_s:.0f} s"
    )
    return [
        Line(f"L8 {size}", full, soak.active == soak.leases),
        _memory(soak),
        _reaction(soak),
        Line("synced <= 5 s after a start", f"{soak.synced_s:.1f} s", soak.synced_s <= SYNCED_S),
        Line("first reconcile <= 10 s", f"{soak.first_s:.1f} s", soak.first_s <= FIRST_S),
        _idle(soak),
        _after_start(soak),
        _losses(soak),
        Line("operator never ended itself", f"{soak.restarts} times", soak.restarts == 0),
    ]


def finds(metrics: str) -> float:
    """How many changes only the truth LIST found, from /metrics."""
    found = [x for x in metrics.splitlines() if x.startswith("overspill_truth_finds_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def _memory(soak: Soak) -> Line:
    now = f"{soak.usage.rss_mib:.0f} MiB, peak {soak.usage.peak_rss_mib:.0f}" if soak.usage else "-"
    told = f"{now}; after a cold start peak {soak.peak_rss_mib:.0f} MiB"
    highest = max(soak.peak_rss_mib, soak.usage.peak_rss_mib if soak.usage else 0.0)
    return Line("memory <= 150 MB RSS", told, highest <= RSS_MIB)


def _reaction(soak: Soak) -> Line:
    """Until the first thing that shows: a lease, or a status that says why there is none."""
    shown = {
        name: min(soak.seen.leased.get(name, told), told) for name, told in soak.seen.told.items()
    }
    waited = report.latencies(soak.probes, shown)
    p50, p99 = report.quantile(waited, 0.5), report.quantile(waited, 0.99)
    unseen = len(soak.probes) - len(waited)
    told = f"p50 {p50:.2f} s, p99 {p99:.2f} s of {len(waited)} probes, {unseen} not seen to"
    return Line("event to reconcile p99 <= 1 s", told, p99 <= REACT_S and bool(waited))


def _idle(soak: Soak) -> Line:
    count, which = _ours(soak.idle_writes)
    told = (
        f"{count} writes{which}, {soak.finds_idle:.0f} truth finds, "
        f"{soak.idle_cpu_s:.1f} CPU s a minute"
    )
    return Line("idle: no writes", told, count == 0)


def _after_start(soak: Soak) -> Line:
    count, which = _ours(soak.writes_after_start)
    return Line("idle after a start: no writes", f"{count} writes{which} in 40 s", count == 0)


def _ours(found: dict[What, int]) -> tuple[int, str]:
    """How many writes were the operator's, and what it wrote, the most frequent first."""
    ours = {w: n for w, n in found.items() if writes.owner(w) == "operator" and w.ok}
    most = sorted(ours, key=lambda what: -ours[what])
    which = ", ".join(f"{ours[what]} {what.verb} {what.resource}" for what in most)
    return sum(ours.values()), f" ({which})" if which else ""


def _losses(soak: Soak) -> Line:
    share = soak.cpu_s / (60 * soak.minutes) if soak.minutes else 0.0
    kept = f"{soak.active_at_end} of {soak.active} rented leases kept"
    told = f"{soak.nodes_lost} nodes lost in {soak.minutes:g} min, {kept}, {share:.2f} cores"
    return Line("rented leases untouched by churn", told, soak.active_at_end == soak.active)
