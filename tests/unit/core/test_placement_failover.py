"""A job that lost its place: where it goes next, when it waits, and what ends it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from overspill.core.decision import Action
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.reasons import Reason
from overspill.core.vocabulary import (
    ClosingReason,
    Fencing,
    LeaseState,
)
from overspill.testing.placing import (
    HOUR,
    MINUTE,
    NOW,
    STANDARD,
    decide,
    make_job,
    make_lease,
    node,
    rent,
    usd,
)

BUSY = node("n1", free=0)
FREE = node("n1", free=8)


def lost(job: Job, ended: ClosingReason = ClosingReason.LOST, **changes: Any) -> Lease:
    lease = make_lease(job, node("n9", 8), LeaseState.CLOSING, ended=ended)
    return replace(lease, **changes)


def test_a_lost_job_fails_over_while_its_old_lease_still_closes() -> None:
    job = make_job()
    found = decide(job, FREE, leases=(lost(job),))
    assert (found.action, found.reason) == (Action.PLACE, Reason.FAILOVER)


def test_failover_is_held_while_many_things_look_lost() -> None:
    job = make_job()
    found = decide(job, FREE, leases=(lost(job),), stop_failover="9 of 10 nodes look lost")
    assert (found.action, found.reason) == (Action.WAIT, Reason.FAILOVER_STOPPED)


def test_a_new_job_is_placed_even_then() -> None:
    assert decide(make_job(), FREE, stop_failover="many").action is Action.PLACE


def test_a_refused_attempt_does_not_hide_the_loss_before_it() -> None:
    job = make_job()
    refused = lost(job, ClosingReason.REJECTED, attempt=2, active_since=None)
    found = decide(job, FREE, leases=(lost(job), refused), stop_failover="many")
    assert found.reason is Reason.FAILOVER_STOPPED


def test_too_many_moves_end_the_failover() -> None:
    job = make_job(max_moves=0)
    assert decide(job, FREE, leases=(lost(job),)).reason is Reason.TOO_MANY_MOVES


def test_failover_waits_for_home_no_longer_than_the_class_promises() -> None:
    job = replace(make_job(), created_at=NOW)
    found = decide(job, BUSY, rent(), leases=(lost(job),))
    assert found.wait_until == NOW + STANDARD.failover_within


def test_wait_for_pod_holds_the_next_attempt() -> None:
    job = make_job(fencing=Fencing.WAIT_FOR_POD)
    assert decide(job, FREE, leases=(lost(job),)).reason is Reason.FENCED_BY_POD


def test_a_late_job_that_ran_is_finished_all_the_same() -> None:
    job = make_job(work=4 * HOUR, finish_by=NOW - MINUTE)
    assert decide(job, FREE, leases=(lost(job),)).action is Action.PLACE


def test_the_active_deadline_counts_from_the_first_start() -> None:
    job = make_job(active_deadline=timedelta(minutes=30))
    found = decide(job, FREE, leases=(lost(job),))
    assert (found.action, found.reason) == (Action.REFUSE, Reason.ACTIVE_DEADLINE_EXCEEDED)


def test_what_was_spent_is_no_longer_there() -> None:
    job = make_job(max_total_usd=usd(5), work=4 * HOUR)
    old = lost(job, billed_usd=usd(4), state=LeaseState.CLOSED)
    assert decide(job, FREE, leases=(old,)).reason is Reason.BUDGET_TOO_SMALL
