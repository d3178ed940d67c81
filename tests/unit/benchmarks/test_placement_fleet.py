"""S5: the bound is a bound, own hours are right by hand, and the three run on the same classes."""

from __future__ import annotations

import random

import pytest
from benchmarks.placement import traces
from benchmarks.placement.fleet import OURS, POLICIES, scenarios
from benchmarks.placement.fleet_bound import bound_usd, own_hours
from benchmarks.placement.fleet_input import fleet

from overspill.core.vocabulary import Burst
from overspill.simulate.history import History, OwnNode, PastJob, Place, constant
from overspill.simulate.replay import replay


def job(name: str, submit_s: float, hours: float, gpus: int = 1, sla: str = "standard") -> PastJob:
    by = submit_s + 2 * hours * 3600 + 3600
    return PastJob(name, submit_s, gpus, hours * 3600, deadline_s=by, sla=sla, interval_s=600.0)


def test_own_hours_serve_the_nearest_end_first() -> None:
    # Two jobs of one hour, one GPU: both fit within two hours, one within one.
    two = [(job("a", 0, 1), 7200.0), (job("b", 0, 1), 7200.0)]
    assert own_hours(two, 1) == pytest.approx(2.0)
    assert own_hours([(j, 3600.0) for j, _ in two], 1) == pytest.approx(1.0)
    assert own_hours(two, 2) == pytest.approx(2.0)
    assert own_hours([(job("late", 7200, 1), 1e9)], 1) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_no_policy_costs_less_than_the_bound(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  (histories, no secret)
    jobs = [
        job(f"j{i}", dice.uniform(0, 20000), dice.uniform(0.2, 3), dice.choice([1, 2, 4]), sla)
        for i, sla in enumerate(dice.choices(["guaranteed", "standard"], k=30))
    ]
    places = [
        Place("cloud", "ondemand", "h100", constant(8.0), constant(1000)),
        Place("spot", "spot", "h100", constant(2.0), constant(8)),
    ]
    history = History(jobs, [OwnNode("n", 8, "h100")], places)
    every = scenarios()
    bound = bound_usd(history, jobs, every[OURS].classes)
    assert bound > 0
    for one in every.values():
        total = sum(r.bill.total for r in replay(history, one).runs)
        assert total >= bound - 1e-6


def test_the_three_have_the_same_classes_but_for_patience() -> None:
    every = scenarios()
    assert tuple(every) == POLICIES
    types = [{n: c.capacity_types for n, c in s.classes.items()} for s in every.values()]
    assert types[0] == types[1] == types[2]
    assert every["always-wait"].changes == {"burst": Burst.NEVER}
    assert all(s.late_goes_out for s in every.values())


@pytest.mark.skipif(not traces.present(), reason="the shared traces are not beside the checkout")
def test_the_splits_share_no_job_and_promises_leave_room_for_a_start() -> None:
    tune, validate = fleet("tune", 200), fleet("validate", 200)
    assert not tune.counted & validate.counted
    for found in (tune, validate):
        assert 100 < len(found.counted) < 400
        names = {n.name for n in found.history.nodes}
        assert {f.node for f in found.history.faults} <= names
        for one in found.history.jobs:
            assert (one.deadline_s is None) == (one.sla == "besteffort")
            if one.deadline_s is not None:
                assert one.deadline_s - one.submit_s - one.work_s > 720
