"""Whatever the history: no GPU is sold twice, the bills add up, and all work is done."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from overspill.simulate.history import Fault, History, OwnNode, PastJob, Place, Series, constant
from overspill.simulate.replay import Outcome, replay
from overspill.simulate.scenario import scenario

from .conftest import job


def history(seed: int) -> History:
    dice = random.Random(seed)  # noqa: S311  (histories, no secret)
    jobs = [
        job(
            f"j{i}",
            dice.uniform(0, 20000),
            gpus=dice.choice([1, 2, 4, 8]),
            work_s=dice.uniform(60, 9000),
            sla=dice.choice(["guaranteed", "standard", "besteffort"]),
            interval_s=dice.choice([None, 600.0]),
        )
        for i in range(60)
    ]
    nodes = [OwnNode(f"n{i}", 8, "h100") for i in range(2)]
    starts = sorted(dice.uniform(0, 40000) for _ in range(6))
    faults = [Fault(dice.choice(["n0", "n1"]), s, s + dice.uniform(60, 3000)) for s in starts]
    times = [float(600 * i) for i in range(50)]
    blinks = Series(times, [float(dice.choice([0, 4, 8, 16])) for _ in times], 30000.0)
    spot = Place("spot", "spot", "h100", constant(1.5), blinks)
    cloud = Place("cloud", "ondemand", "h100", constant(4.0), constant(64))
    return History(jobs, nodes, [spot, cloud], faults)


SEEDS = range(6)


@pytest.fixture(scope="module", params=SEEDS)
def outcome(request: pytest.FixtureRequest) -> Outcome:
    return replay(history(request.param), scenario("overspill"))


def test_every_job_does_all_its_work(outcome: Outcome) -> None:
    for run in outcome.runs:
        assert run.finished_s is not None
        assert run.done_s == run.past.work_s
        kept = run.bill.total - run.bill.start - run.bill.rework - run.bill.double
        assert kept - run.bill.egress > 0


def test_no_gpu_is_sold_twice(outcome: Outcome) -> None:
    changes: dict[str, list[tuple[float, int]]] = {}
    for run in outcome.runs:
        for stay in run.stays:
            assert stay.end_s is not None
            for name in stay.nodes or (stay.place,):
                gpus = run.past.gpus_per_node if stay.nodes else run.past.gpus
                changes.setdefault(name, []).extend([(stay.end_s, -gpus), (stay.begin_s, gpus)])
    for name, events in changes.items():
        used = 0
        for _, gpus in sorted(events):
            used += gpus
            assert used <= (8 if name.startswith("n") else 64)


def test_stays_of_a_job_never_overlap(outcome: Outcome) -> None:
    for run in outcome.runs:
        for before, after in pairwise(run.stays):
            assert before.end_s is not None
            assert before.end_s <= after.begin_s


def test_nothing_runs_on_a_node_while_it_is_away(outcome: Outcome) -> None:
    for fault in outcome.history.faults:
        for run in outcome.runs:
            for stay in (s for s in run.stays if fault.node in s.nodes):
                assert stay.end_s is not None
                assert stay.end_s <= fault.begin_s or stay.begin_s >= fault.end_s


def test_the_same_history_gives_the_same_bill() -> None:
    first, second = (replay(history(3), scenario("overspill")) for _ in range(2))
    assert [r.bill for r in first.runs] == [r.bill for r in second.runs]


def test_submissions_in_any_order_are_one_history(outcome: Outcome) -> None:
    past = outcome.history
    again: list[PastJob] = list(reversed(list(past.jobs)))
    turned = replay(History(again, past.nodes, past.places, past.faults), scenario("overspill"))
    ends = {r.past.name: r.finished_s for r in outcome.runs}
    assert {r.past.name: r.finished_s for r in turned.runs} == ends
