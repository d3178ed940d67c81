"""The soak's lines say what was measured, and count what was not seen to."""

from benchmarks.soak_table import Soak, finds, lines
from benchmarks.writes import What


def soak() -> Soak:
    """One that meets every figure, of three probes."""
    found = Soak(jobs=10, nodes=2, leases=1, active=1, active_at_end=1, minutes=1, synced_s=4)
    found.first_s, found.peak_rss_mib = 9, 100
    found.probes = {"a": 10.0, "b": 11.0, "c": 12.0}
    found.seen.told = {"a": 10.5, "b": 11.9, "c": 12.4}
    found.seen.leased = {"b": 11.3}
    return found


def missed(found: Soak) -> list[str]:
    return [line.goal for line in lines(found) if not line.is_met]


def test_one_that_meets_every_figure() -> None:
    assert missed(soak()) == []


def test_the_first_thing_that_shows_counts_be_it_a_lease_or_a_status() -> None:
    told = next(line for line in lines(soak()) if "reconcile p99" in line.goal)
    assert "p50 0.40 s, p99 0.50 s of 3 probes" in told.measured


def test_what_is_missed_is_said() -> None:
    found = soak()
    found.synced_s, found.first_s, found.peak_rss_mib, found.restarts = 6, 11, 200, 1
    found.active_at_end = 0
    found.seen.told["a"] = 12.0
    found.idle_writes = {What("overspill.dev", "gpuleases/status", "PATCH"): 1}
    assert len(missed(found)) == 7


def test_truth_finds_are_summed_over_kinds() -> None:
    name = "overspill_truth_finds_total"
    assert finds(f'{name}{{kind="GPUJob"}} 2.0\n{name}{{kind="GPULease"}} 1.0\n') == 3
