"""Attained against promised of one job: kept, broken, released, up and down."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core import transition
from overspill.core.job import Job
from overspill.core.jobstatus import Facts, Live, differs, status_document
from overspill.core.lease import Lease
from overspill.core.observation import Observation, Report
from overspill.core.promise import is_outdated, settlement, told_span
from overspill.core.sla import SlaClass
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase, PromiseOutcome, Workload
from overspill.testing.placing import HOUR, MINUTE, NOW, STANDARD, make_job, make_lease, rent

STEADY = SlaClass("steady", availability_target=Decimal("0.999"))
DUE = replace(make_job(), finish_by=NOW, work=2 * HOUR, backoff_limit=0)
SERVICE = replace(make_job(), workload=Workload.INFERENCE)
RUNS = Live(Observation(Phase.RUNNING))


def ended(kind: str, at: datetime, reason: str = "CommandSucceeded", **changes: Any) -> Job:
    """The job with its terminal condition."""
    found = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": stamp(at)}
    return replace(DUE, conditions=(found,), **changes)


def suspended(since: datetime) -> Job:
    found = {
        "type": "Suspended", "status": "True", "reason": "SuspendedByUser",
        "lastTransitionTime": stamp(since),
    }  # fmt: skip
    return replace(DUE, suspend=True, conditions=(found,))


OUTCOMES: dict[str, tuple[Job, timedelta, PromiseOutcome | None, timedelta | None]] = {
    "no finish-by": (make_job(), HOUR, None, None),
    "still open": (DUE, -HOUR, None, None),
    "open to the second": (DUE, timedelta(0), None, None),
    "passed": (DUE, HOUR, PromiseOutcome.BROKEN, None),
    "in time": (ended("Complete", NOW - HOUR), HOUR, PromiseOutcome.KEPT, -HOUR),
    "on the second": (ended("Complete", NOW), HOUR, PromiseOutcome.KEPT, timedelta(0)),
    "late": (ended("Complete", NOW + MINUTE), HOUR, PromiseOutcome.BROKEN, MINUTE),
    "its own failure": (
        ended("Failed", NOW - HOUR, "BackoffLimitExceeded"), HOUR, PromiseOutcome.RELEASED, None,
    ),
    "its own time limit": (
        ended("Failed", NOW - HOUR, "ActiveDeadlineExceeded"), HOUR, PromiseOutcome.RELEASED, None,
    ),
    "our money ran out": (
        ended("Failed", NOW - HOUR, "CeilingReached"), HOUR, PromiseOutcome.BROKEN, None,
    ),
    "failed when it was late already": (
        ended("Failed", NOW + HOUR, "BackoffLimitExceeded"), HOUR, PromiseOutcome.BROKEN, None,
    ),
    "suspended before": (suspended(NOW - HOUR), HOUR, PromiseOutcome.RELEASED, None),
    "suspended after": (suspended(NOW + MINUTE), HOUR, PromiseOutcome.BROKEN, None),
    "a service": (replace(DUE, workload=Workload.INFERENCE), HOUR, None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTCOMES, ids=str)
def test_what_becomes_of_a_finish_by(case: str) -> None:
    job, after, outcome, late = OUTCOMES[case]
    found = settlement(job, NOW + after)
    assert (found and found.outcome, found and found.late) == (outcome, late)
    if found is not None:
        assert found.at <= NOW + after
        later = settlement(job, NOW + after + 9 * HOUR)
        assert later is not None
        assert later.at == found.at, "it is settled once, at one moment"


def told(job: Job, *leases: Lease, now: datetime = NOW, **facts: Any) -> dict[str, Any]:
    klass = facts.pop("klass", STANDARD)
    return status_document(Facts(job, leases, None, klass=klass, **facts), now)


def after(job: Job, document: dict[str, Any]) -> Job:
    """The job once that was written."""
    return replace(job, status=document, conditions=tuple(document["conditions"]))


def test_the_end_and_what_became_of_the_promise_are_one_write() -> None:
    lease = make_lease(DUE, rent("a1"), LeaseState.ACTIVE)
    now = NOW - 2 * HOUR - 13 * MINUTE
    document = told(DUE, transition.finished(lease, 0, now), now=now)
    assert document["phase"] == "Complete"
    assert document["sla"] == {
        "promised": "standard: finish-by",
        "className": "standard",
        "outcome": "Kept",
        "attained": "kept, 2h13m early",
        "lateSeconds": -7980,
    }
    again = told(after(DUE, document), transition.finished(lease, 0, now), now=NOW + 9 * HOUR)
    assert again["sla"] == document["sla"]
    assert not differs(document, again)


def test_a_broken_promise_is_told_when_it_breaks_and_again_by_how_much() -> None:
    lease = make_lease(DUE, rent("a1"), LeaseState.ACTIVE)
    first = told(DUE, lease, now=NOW - 3 * HOUR, live=RUNS)
    assert first["sla"]["outcome"] == "Open"
    assert first["sla"]["budgetRemaining"] == "1h0m of slack"
    later = told(after(DUE, first), lease, now=NOW - HOUR, live=RUNS)
    assert later["sla"]["budgetRemaining"] == "-1h0m of slack"
    assert not differs(first, later), "slack alone is not worth a write"
    broken = told(after(DUE, first), lease, now=NOW + MINUTE, live=RUNS)
    assert (broken["sla"]["outcome"], broken["sla"]["attained"]) == ("Broken", "broken")
    assert differs(first, broken)
    end = transition.finished(lease, 0, NOW + 14 * MINUTE)
    over = told(after(DUE, broken), end, now=NOW + 14 * MINUTE)
    assert over["sla"]["attained"] == "broken, 14m0s late"


def test_a_job_without_a_promise_names_its_class() -> None:
    assert told(make_job())["sla"] == {"promised": "standard", "className": "standard"}


def runs(now: datetime, **changes: Any) -> tuple[Job, Lease, dict[str, Any]]:
    """A service that was told to run at `now`."""
    lease = make_lease(SERVICE, rent("a1"), LeaseState.ACTIVE, **changes)
    document = told(SERVICE, lease, now=now, live=RUNS, klass=STEADY)
    return after(SERVICE, document), lease, document


def test_a_service_counts_from_its_first_run() -> None:
    waiting = told(SERVICE, klass=STEADY)
    assert waiting["sla"] == {"promised": "steady: 99.9 % available", "className": "steady"}
    _, _, document = runs(NOW)
    sla = document["sla"]
    assert sla["attained"] == "100 % since 2026-09-01T12:00:00Z"
    assert sla["budgetRemaining"] == "43.2 min of 43.2 min in 30 days"
    assert differs(waiting, document)


def test_a_service_that_only_runs_is_never_written_again() -> None:
    job, lease, document = runs(NOW)
    later = told(job, lease, now=NOW + 99 * HOUR, live=RUNS, klass=STEADY)
    assert not differs(document, later)
    assert not is_outdated(document["sla"], later["sla"], HOUR, NOW + 99 * HOUR)


def test_a_lost_place_is_down_from_its_last_sign_of_life() -> None:
    job, lease, document = runs(NOW)
    heard = Report(lease.name, 1, 0.0, NOW + HOUR - 5 * MINUTE, has_started=True)
    lost = transition.closing(lease, ClosingReason.LOST, NOW + HOUR)
    moves = told(job, lost, now=NOW + HOUR + MINUTE, reports=(heard,), klass=STEADY)
    (gap,) = moves["sla"]["service"]["breaks"]
    assert gap == {"standing": "Down", "startTime": stamp(NOW + HOUR - 5 * MINUTE)}
    assert differs(document, moves)
    second = make_lease(SERVICE, rent("a2"), LeaseState.ACTIVE, attempt=2)
    started = Live(Observation(Phase.RUNNING, started_at=NOW + HOUR + 3 * MINUTE))
    back = told(after(job, moves), lost, second, now=NOW + 2 * HOUR, live=started, klass=STEADY)
    (gap,) = back["sla"]["service"]["breaks"]
    assert gap["seconds"] == 8 * 60
    assert back["sla"]["availability"] == "0.93333"
    assert back["sla"]["budgetRemaining"] == "35.2 min of 43.2 min in 30 days"


def test_a_planned_move_is_no_break() -> None:
    job, lease, _ = runs(NOW)
    second = make_lease(SERVICE, rent("a2"), LeaseState.OPENING, attempt=2)
    moving = told(job, lease, second, now=NOW + HOUR, live=RUNS, klass=STEADY)
    assert moving["sla"]["service"]["breaks"] == []


def test_a_workload_that_starts_again_in_its_place_is_down_as_long_as_it_is_seen_to_be() -> None:
    job, lease, _ = runs(NOW)
    starts = Live(Observation(Phase.STARTING))
    down = told(job, lease, now=NOW + HOUR, live=starts, klass=STEADY)
    since_first = Live(Observation(Phase.RUNNING, started_at=NOW - HOUR))
    up = told(after(job, down), lease, now=NOW + HOUR + MINUTE, live=since_first, klass=STEADY)
    (gap,) = up["sla"]["service"]["breaks"]
    assert (gap["startTime"], gap["seconds"]) == (stamp(NOW + HOUR), 60)


def test_an_operator_that_starts_again_makes_no_break() -> None:
    job, lease, document = runs(NOW)
    blind = told(job, lease, now=NOW + HOUR, klass=STEADY)
    assert blind["phase"] == "Running"
    assert not differs(document, blind)
    other = make_lease(SERVICE, rent("a2"), LeaseState.ACTIVE, attempt=2)
    lost = transition.closing(lease, ClosingReason.LOST, NOW + HOUR)
    assert told(job, lost, other, now=NOW + HOUR, klass=STEADY)["phase"] == "Moving"


def test_time_in_which_it_was_suspended_is_nobodys() -> None:
    job, lease, _ = runs(NOW)
    held = replace(job, suspend=True)
    closing = transition.closing(lease, ClosingReason.SUSPENDED, NOW + HOUR)
    paused = told(held, closing, now=NOW + HOUR, klass=STEADY)
    assert paused["sla"]["service"]["breaks"][0]["standing"] == "Suspended"
    resumed = told(
        replace(after(job, paused), suspend=False), closing, now=NOW + 5 * HOUR, klass=STEADY
    )
    standings = [b["standing"] for b in resumed["sla"]["service"]["breaks"]]
    assert standings == ["Suspended", "Down"], "from the word of its user on it is wanted again"
    assert resumed["sla"]["service"]["suspendedSeconds"] == 4 * 3600


def test_figures_that_creep_are_written_now_and_then() -> None:
    job, lease, _ = runs(NOW)
    starts = Live(Observation(Phase.STARTING))
    down = told(job, lease, now=NOW + HOUR, live=starts, klass=STEADY)
    soon = told(after(job, down), lease, now=NOW + HOUR + MINUTE, live=starts, klass=STEADY)
    assert not differs(down, soon)
    assert not is_outdated(down["sla"], soon["sla"], 15 * MINUTE, NOW + HOUR + MINUTE)
    late = told(after(job, down), lease, now=NOW + 2 * HOUR, live=starts, klass=STEADY)
    assert is_outdated(down["sla"], late["sla"], 15 * MINUTE, NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=7), "7s"),
        (timedelta(minutes=14, seconds=3), "14m3s"),
        (timedelta(hours=-2, minutes=-13), "2h13m"),
        (timedelta(days=3, hours=1, minutes=9), "3d1h"),
    ],
    ids=["seconds", "minutes", "early", "days"],
)
def test_spans_read_well(span: timedelta, said: str) -> None:
    assert told_span(span) == said
