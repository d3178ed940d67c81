"""When a job that runs outside comes home, and when it is left in peace."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.snapshot import JobFacts
from overspill.core.transition import with_condition
from overspill.core.vocabulary import Burst, ClosingReason, FailbackPolicy, Fencing, LeaseState
from overspill.testing.placing import (
    HOUR,
    MINUTE,
    NOW,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    rent,
    usd,
    world,
)

FREE = node("n1", 8)


def running(job: Job, price: str = "4", **changes: Any) -> Decision:
    """The decision about a job that has run at the market for an hour, last saved a minute ago."""
    offers = changes.pop("offers", [FREE])
    offer = rent("a1", price, **changes.pop("offer", {}))
    lease = make_lease(job, offer, LeaseState.ACTIVE, **changes.pop("lease", {}))
    saved = changes.pop("saved", NOW - MINUTE)
    facts = {job.ref.uid: JobFacts(last_checkpoint_at=saved)}
    (found,) = plan(world([job], offers, leases=(lease,), facts=facts, **changes), NOW)
    return found


JOB = make_job(work=10 * HOUR, checkpoint=make_checkpoint())


def test_it_comes_home_when_that_pays() -> None:
    found = running(JOB)
    assert (found.action, found.reason) == (Action.MOVE, Reason.REPATRIATION_PAYS)
    assert (found.home_node, found.from_lease) == ("n1", "gl-train-1")
    # 10 h at 4 against 10 h at 1, two minutes of start at both, a minute of work done again
    saved = found.saving_usd
    assert saved is not None
    assert usd("29.5") < saved < usd(30)


STAYS: dict[str, tuple[Job, dict[str, Any], Reason]] = {
    "the saving is below the percentage": (JOB, {"price": "1.1"}, Reason.HYSTERESIS),
    "the job asks for more saving": (
        replace(JOB, failback_min_saving_percent=90), {}, Reason.HYSTERESIS,
    ),
    "little work is left": (
        replace(JOB, progress_percent=100), {}, Reason.HYSTERESIS,
    ),
    "much work would be lost": (
        replace(JOB, progress_percent=80), {"saved": NOW - 9 * HOUR, "lease": {
            "active_since": NOW - 9 * HOUR}}, Reason.HYSTERESIS,
    ),
    "egress eats the saving": (
        JOB, {"offer": {"egress_usd_per_gib": usd(3)}}, Reason.HYSTERESIS,
    ),
    "the minimum is paid already": (
        JOB, {"offer": {"min_billable": 30 * HOUR}}, Reason.HYSTERESIS,
    ),
    "the cooldown is not over": (
        replace(JOB, last_move_at=NOW - MINUTE), {}, Reason.HYSTERESIS,
    ),
    "it came to this place a moment ago": (
        JOB, {"lease": {"active_since": NOW - MINUTE}}, Reason.HYSTERESIS,
    ),
    "the policy is Never": (
        replace(JOB, failback_policy=FailbackPolicy.NEVER), {}, Reason.RUNNING_WELL,
    ),
    "OnCheckpoint and the last one is old": (
        replace(JOB, failback_policy=FailbackPolicy.ON_CHECKPOINT),
        {"saved": NOW - 20 * MINUTE}, Reason.HYSTERESIS,
    ),
    "OnCheckpoint without a checkpoint": (
        replace(JOB, failback_policy=FailbackPolicy.ON_CHECKPOINT, checkpoint=None), {},
        Reason.HYSTERESIS,
    ),
    "home is full": (JOB, {"offers": [node("n1", 0)]}, Reason.RUNNING_WELL),
    "burst is Only": (replace(JOB, burst=Burst.ONLY), {}, Reason.RUNNING_WELL),
    "too many moves": (replace(JOB, max_moves=0), {}, Reason.TOO_MANY_MOVES),
    "many things look lost": (JOB, {"stop_failover": "blind"}, Reason.FAILOVER_STOPPED),
    "two attempts may not overlap": (
        replace(JOB, fencing=Fencing.WAIT_FOR_POD), {}, Reason.RUNNING_WELL,
    ),
    "both rates together break the hourly cap": (
        replace(JOB, max_hourly_usd=usd("4.5")), {}, Reason.RUNNING_WELL,
    ),
    "the finish-by would be missed": (
        replace(JOB, finish_by=NOW + 10 * HOUR + MINUTE), {}, Reason.HYSTERESIS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("job", "changes", "reason"), STAYS.values(), ids=STAYS.keys())
def test_it_stays_outside_because(job: Job, changes: dict[str, Any], reason: Reason) -> None:
    found = running(job, **changes)
    assert (found.action, found.reason) == (Action.STAY, reason), found.message
    assert found.offer is not None
    assert found.offer.provider == "akash"


def test_on_checkpoint_moves_right_after_one() -> None:
    job = replace(JOB, failback_policy=FailbackPolicy.ON_CHECKPOINT)
    assert running(job, saved=NOW - 7 * MINUTE).action is Action.MOVE


def test_the_end_of_the_cooldown_is_told() -> None:
    found = running(replace(JOB, last_move_at=NOW - MINUTE))
    assert found.wait_until == NOW + timedelta(minutes=29)


def test_the_newest_place_counts_for_the_cooldown() -> None:
    job = replace(JOB, failback_cooldown=timedelta(0), last_move_at=NOW)
    assert running(job).action is Action.MOVE


def test_who_waits_is_served_before_anybody_moves() -> None:
    waiting = make_job("waiting", 8)
    lease = make_lease(JOB, rent("a1", "4"), LeaseState.ACTIVE)
    found = plan(world([JOB, waiting], [FREE], leases=(lease,)), NOW)
    assert [d.action for d in found] == [Action.STAY, Action.PLACE]


def test_what_runs_at_home_stays() -> None:
    lease = make_lease(JOB, FREE, LeaseState.ACTIVE)
    (found,) = plan(world([JOB], [FREE, rent("a1", "0.01")], leases=(lease,)), NOW)
    assert (found.action, found.reason) == (Action.STAY, Reason.RUNNING_WELL)


def test_a_move_under_way_is_not_started_again() -> None:
    old = make_lease(JOB, rent("a1", "4"), LeaseState.ACTIVE)
    new = make_lease(JOB, FREE, LeaseState.OPENING, attempt=2)
    (found,) = plan(world([JOB], [FREE], leases=(old, new)), NOW)
    assert (found.action, found.reason) == (Action.STAY, Reason.LEASE_OPENING)
    ready = replace(new, state=LeaseState.ACTIVE, active_since=NOW)
    (found,) = plan(world([JOB], [FREE], leases=(old, ready)), NOW)
    assert found.action is Action.STAY


def test_a_job_whose_ledger_says_complete_is_not_placed_again() -> None:
    lease = make_lease(JOB, FREE, LeaseState.CLOSED, ended=ClosingReason.FINISHED)
    ended = with_condition(lease, "Finished", "Exited", "exit code 0")
    assert plan(world([JOB], [FREE], leases=(ended,)), NOW) == ()


def test_a_failed_attempt_is_repeated_without_being_a_failover() -> None:
    lease = make_lease(JOB, FREE, LeaseState.CLOSED, ended=ClosingReason.FINISHED)
    failed = with_condition(lease, "Finished", "Exited", "exit code 1")
    (found,) = plan(world([JOB], [FREE], leases=(failed,), stop_failover="blind"), NOW)
    assert (found.action, found.reason) == (Action.PLACE, Reason.HOME_FITS)
