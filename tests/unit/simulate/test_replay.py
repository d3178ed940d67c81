"""A history under a scenario: who ran where, from when, and what it cost to the cent."""

from __future__ import annotations

import pytest

from overspill.simulate.history import Fault, Series
from overspill.simulate.replay import Outcome, replay
from overspill.simulate.scenario import scenario

from .conftest import Maker, cloud, job


def run(outcome: Outcome, name: str) -> tuple[float | None, float | None, list[str]]:
    """First start, end, and places of a job."""
    (found,) = [r for r in outcome.runs if r.past.name == name]
    return found.first_start_s, found.finished_s, [s.place or "home" for s in found.stays]


def test_what_fits_at_home_runs_there_at_once(past: Maker) -> None:
    outcome = replay(past([job()], 1, cloud()), scenario("overspill"))
    assert run(outcome, "a") == (0.0, 3630.0, ["home"])
    (only,) = outcome.runs
    assert only.bill.own == pytest.approx(0.10 * 3630 / 3600)
    assert only.bill.start == pytest.approx(0.10 * 30 / 3600)
    assert (only.bill.rented, only.bill.rework, only.missed) == (0.0, 0.0, False)


def test_a_full_home_is_waited_for_and_then_left(past: Maker) -> None:
    jobs = [job("big", gpus=8, work_s=7200.0), job("small", 60.0)]
    outcome = replay(past(jobs, 1, cloud()), scenario("overspill"))
    start, end, places = run(outcome, "small")
    assert places == ["cloud"]
    assert start == 60.0 + 300.0
    assert end == 360.0 + 180.0 + 3600.0


def test_who_always_waits_never_rents(past: Maker) -> None:
    jobs = [job("big", gpus=8, work_s=7200.0), job("small", 60.0)]
    outcome = replay(past(jobs, 1, cloud()), scenario("always-wait"))
    start, _, places = run(outcome, "small")
    assert places == ["home"]
    assert start == 7260.0  # the batch after 7,230 s
    assert sum(r.bill.rented for r in outcome.runs) == 0.0


def test_who_bursts_at_once_does_not_wait(past: Maker) -> None:
    jobs = [job("big", gpus=8, work_s=7200.0), job("small", 60.0)]
    outcome = replay(past(jobs, 1, cloud()), scenario("burst-at-once"))
    assert run(outcome, "small")[0] == 60.0


def test_a_lost_place_costs_the_work_since_the_last_checkpoint(past: Maker) -> None:
    # Three minutes of start, 25 of work, two checkpoints; then the place is gone for an hour.
    blinks = cloud(gpus=Series((0.0, 1680.0, 5280.0), (8, 0, 8)))
    outcome = replay(past([job()], 0, blinks), scenario("overspill"))
    (only,) = outcome.runs
    assert (only.losses, [s.lost for s in only.stays]) == (1, [True, False])
    assert only.bill.rework == pytest.approx(4.0 * 300 / 3600)
    assert only.bill.start == pytest.approx(4.0 * 2 * 180 / 3600)
    assert only.finished_s == 5280.0 + 180.0 + 3600.0 - 1200.0
    assert only.bill.total == pytest.approx(4.0 * (3600 + 300 + 360) / 3600)


def test_without_checkpoints_everything_is_lost(past: Maker) -> None:
    blinks = cloud(gpus=Series((0.0, 1680.0, 5280.0), (8, 0, 8)))
    outcome = replay(past([job(interval_s=None)], 0, blinks), scenario("overspill"))
    (only,) = outcome.runs
    assert only.bill.rework == pytest.approx(4.0 * 1500 / 3600)


def test_a_node_that_fails_is_not_used_until_it_is_back(past: Maker) -> None:
    history = past([job()], 1, faults=[Fault("n0", 1830.0, 9000.0)])
    outcome = replay(history, scenario("always-wait"))
    (only,) = outcome.runs
    assert [s.begin_s for s in only.stays] == [0.0, 9000.0]
    assert only.finished_s == 9000.0 + 30.0 + 1800.0


def test_the_newest_lease_goes_first_when_a_place_shrinks(past: Maker) -> None:
    shrinks = cloud(gpus=Series((0.0, 1200.0), (2, 1)))
    outcome = replay(past([job("a"), job("b", 60.0)], 0, shrinks), scenario("overspill"))
    assert run(outcome, "a")[2] == ["cloud"]
    assert [r.losses for r in outcome.runs] == [0, 1]


def test_a_rented_job_comes_home_when_that_pays(past: Maker) -> None:
    jobs = [job("big", gpus=8, work_s=7200.0), job("long", 60.0, work_s=40 * 3600.0)]
    outcome = replay(past(jobs, 1, cloud()), scenario("overspill"))
    _, _, places = run(outcome, "long")
    assert places == ["cloud", "home"]
    (moved,) = [r for r in outcome.runs if r.past.name == "long"]
    assert moved.bill.double == pytest.approx(4.0 * 30 / 3600)
    assert moved.bill.rework == 0.0


def test_a_finish_by_is_kept_by_leaving_in_time(past: Maker) -> None:
    patient = "standard.burstAfterSeconds=1000000"
    jobs = [job("big", gpus=8, work_s=90000.0), job("due", 60.0, deadline_s=9000.0)]
    outcome = replay(past(jobs, 1, cloud()), scenario(patient))
    start, end, _ = run(outcome, "due")
    assert start is not None
    assert end is not None
    assert start > 4000.0
    assert end <= 9000.0
    assert not any(r.missed for r in outcome.runs)


def test_a_finish_by_that_cannot_be_kept_is_a_miss_and_the_work_goes_on(past: Maker) -> None:
    outcome = replay(past([job(deadline_s=1800.0)], 1, cloud()), scenario("overspill"))
    (only,) = outcome.runs
    assert only.missed
    assert only.finished_s is not None


def test_a_job_that_nothing_can_hold_ends_the_run_unplaced(past: Maker) -> None:
    outcome = replay(past([job(gpus=32, nodes=2)], 1), scenario("overspill"))
    (only,) = outcome.runs
    assert only.first_start_s is None
    assert "16 on one" in only.refused


def test_starts_fail_as_often_as_the_place_says_and_the_same_ones_each_time(past: Maker) -> None:
    flaky = cloud(boot_fail_share=0.3)
    history = past([job(f"j{i}") for i in range(40)], 0, flaky)
    first, second = (replay(history, scenario("overspill")) for _ in range(2))
    losses = [r.losses for r in first.runs]
    assert losses == [r.losses for r in second.runs]
    assert 5 <= sum(losses) <= 40
    assert all(r.finished_s is not None for r in first.runs)


def test_progress_is_told(past: Maker) -> None:
    told: list[int] = []
    replay(past([job()], 1), scenario("overspill"), tell=lambda done, _second: told.append(done))
    assert told[-1] == 1


def test_who_promises_nothing_makes_room_and_goes_on_from_where_it_was(past: Maker) -> None:
    """An hour of the big one's work is done when the one comes that would pay 32 USD an hour."""
    jobs = [
        job("big", gpus=8, work_s=7200.0, sla="besteffort"),
        job("dear", 3630.0, gpus=8, deadline_s=3630.0 + 3 * 3600, sla="guaranteed"),
    ]
    outcome = replay(past(jobs, 1, cloud()), scenario("overspill"))
    start, _, places = run(outcome, "dear")
    assert places == ["home"]
    assert start is not None
    assert 3630.0 < start <= 3630.0 + 180.0  # a minute of patience, and a batch until it is free
    big = next(r for r in outcome.runs if r.past.name == "big")
    assert (big.preemptions, big.losses, big.moves) == (1, 0, 0)
    assert [s.preempted for s in big.stays] == [True, False]
    assert big.bill.rework == 0.0
    assert big.finished_s is not None
    assert sum(r.bill.rented for r in outcome.runs) == 0.0
    hasty = replay(past(jobs, 1, cloud()), scenario("burst-at-once"))
    assert run(hasty, "dear")[2] == ["cloud"]
