"""The table of the lease protocol's section 4: each goal, and what this run measured of it.

A goal of which nothing was measured says where it is measured. Called by `chaos`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.chaos_lines import Line


@dataclass(frozen=True)
class Goal:
    """One line of section 4. `layers` are the beginnings of the lines that measure it."""

    name: str
    figure: str
    layers: tuple[str, ...] = ()
    elsewhere: str = ""


GOALS = (
    Goal(
        "leaks, doubles (class A)",
        "0 over all crash points, double crashes, seeds, full model",
        ("L0", "L2 0 leaks", "L3 crash", "L3 double", "L3 kill", "L4 0 leaks", "L7"),
    ),
    Goal(
        "doubles (B, C)",
        "0 within the quarantine; beyond it ended in 2 sweeps, 0 left at rest",
        ("L2 every", "L4 surplus"),
    ),
    Goal("wrongful terminations", "0 everywhere", ("L2 0 wrongful", "L4 0 wrongful")),
    Goal("zombie leader", "0 violations at all sites", ("L3z",), "tests/cluster/test_leaders.py"),
    Goal("Sieve-type", "100 % converge to the reference", ("L4s",)),
    Goal("Acto-type", ">= 500 transitions, >= 95 % of leaves, all oracles clean", ("L5",)),
    Goal("planner, clocks", "100,000 steps; 200 seeds", ("L1", "L6")),
    Goal("every job ends", "all invariants", ("L4 every",)),
    Goal("seeded bugs", "100 % caught", ("seeded",)),
    Goal("missed-event bound", "watch healed <= 75 s, an event <= 60 s; 0 finds without faults",
         elsewhere="tests/unit/kube/test_informer.py, benchmarks.soak"),
    Goal("node loss", "Lost <= 45 s, decision <= 2 s, failback <= 30 s", ("node loss",),
         "python -m benchmarks.chaos_moments"),
    Goal("leader failover", "<= 20 s after kill -9, <= 3 s on SIGTERM; crash to resolved",
         ("leader failover", "crash to resolved"), "python -m benchmarks.chaos_moments"),
    Goal("cold start", "5,000 jobs + 500 nodes synced <= 5 s, first reconciles <= 10 s",
         ("L8", "synced", "first reconcile"), "python -m benchmarks.soak"),
    Goal("throughput", "100 changes/s, event to reconcile p99 <= 1 s",
         ("event to reconcile",), "make bench-storm, python -m benchmarks.soak"),
    Goal("API cost", "rented <= 6 writes + 1 per re-send; home <= 10; idle 0",
         ("idle",), "make bench-storm, python -m benchmarks.soak"),
    Goal("memory", "<= 150 MB RSS at 5,000 jobs", ("memory",), "python -m benchmarks.soak"),
    Goal("cost truth", "recorded = billed within one poll, 100 % of leases", ("L4 cost",),
         "tests/cluster"),
)  # fmt: skip


def print_table(lines: Sequence[Line]) -> None:
    """Goal by goal, then whatever belongs to none."""
    left = list(lines)
    print(f"\n{'goal':28} {'figure / measured':96} met")
    for goal in GOALS:
        print(f"{goal.name:28} {goal.figure}")
        mine = [line for line in left if line.goal.startswith(goal.layers)] if goal.layers else []
        for line in mine:
            left.remove(line)
            _print(line)
        if not mine:
            print(f"{'':28}   not measured in this run: {goal.elsewhere or 'make chaos-full'}")
    if left:
        print("beside these")
    for line in left:
        _print(line)


def _print(line: Line) -> None:
    told = f"  {line.goal}: {line.measured}"
    print(f"{'':28} {told:96} {'yes' if line.is_met else 'NO'}")
