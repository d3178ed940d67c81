"""What a person reads of a job: phase, conditions, and when a write is worth it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core import transition
from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.jobstatus import Facts, Live, current_lease, differs, status_document
from overspill.core.lease import Lease
from overspill.core.observation import Observation, Report
from overspill.core.reasons import Reason
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase
from overspill.testing.placing import HOUR, NOW, make_checkpoint, make_job, make_lease, node, rent

JOB = replace(make_job(), backoff_limit=0)
RUNNING = Live(Observation(Phase.RUNNING))


def rented(state: LeaseState = LeaseState.ACTIVE, attempt: int = 1, **changes: Any) -> Lease:
    return make_lease(JOB, rent("a1"), state, attempt=attempt, **changes)


def decision(action: Action, reason: Reason, message: str = "because") -> Decision:
    return Decision(JOB.ref, action, reason, message, NOW)


def told(job: Job = JOB, *leases: Lease, **facts: Any) -> dict[str, Any]:
    return status_document(Facts(job, leases, facts.pop("decision", None), **facts), NOW)


def condition(document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return next((c for c in document["conditions"] if c["type"] == kind), {})


WAITS = decision(Action.WAIT, Reason.NO_CAPACITY_NOW)
REFUSED = decision(Action.REFUSE, Reason.NO_SUCH_GPU)
LOST = transition.closing(rented(), ClosingReason.LOST, NOW)
PHASES: Mapping[str, tuple[Job, tuple[Lease, ...], dict[str, Any], str]] = {
    "new": (JOB, (), {}, "Waiting"),
    "waiting": (JOB, (), {"decision": WAITS}, "Waiting"),
    "refused": (JOB, (), {"decision": REFUSED}, "Refused"),
    "a Secret is missing": (
        JOB, (), {"obstacle": (Reason.SECRET_MISSING, "create it")}, "Refused",
    ),
    "opening": (JOB, (rented(LeaseState.OPENING),), {}, "Placing"),
    "open, not started": (JOB, (rented(),), {"live": Live(Observation(Phase.STARTING))}, "Placing"),
    "running": (JOB, (rented(),), {"live": RUNNING}, "Running"),
    "lost, the next one opens": (JOB, (LOST, rented(LeaseState.OPENING, 2)), {}, "Moving"),
    "lost, nobody takes it": (JOB, (LOST,), {"decision": WAITS}, "Waiting"),
    "nobody can tell": (JOB, (rented(LeaseState.UNCERTAIN),), {}, "Placing"),
    "suspended": (replace(JOB, suspend=True), (), {}, "Suspended"),
    "suspended, still closing": (
        replace(JOB, suspend=True),
        (transition.closing(rented(), ClosingReason.SUSPENDED, NOW),), {}, "Suspended",
    ),
    "complete": (JOB, (transition.finished(rented(), 0, NOW),), {"live": RUNNING}, "Complete"),
    "failed": (JOB, (transition.finished(rented(), 1, NOW),), {}, "Failed"),
}  # fmt: skip


@pytest.mark.parametrize("case", PHASES, ids=str)
def test_one_word_for_a_person(case: str) -> None:
    job, leases, facts, expected = PHASES[case]
    assert told(job, *leases, **facts)["phase"] == expected


@pytest.mark.parametrize("case", PHASES, ids=str)
def test_every_state_writes_the_seven_standing_conditions_once(case: str) -> None:
    job, leases, facts, _ = PHASES[case]
    kinds = [c["type"] for c in told(job, *leases, **facts)["conditions"]]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) >= {
        "Placed", "Running", "Complete", "Failed", "Suspended", "Reconciling", "Stalled",
    }  # fmt: skip


@pytest.mark.parametrize("case", PHASES, ids=str)
def test_a_terminal_condition_stands_alone(case: str) -> None:
    job, leases, facts, phase = PHASES[case]
    document = told(job, *leases, **facts)
    true = {c["type"] for c in document["conditions"] if c["status"] == "True"}
    if phase in ("Complete", "Failed"):
        assert true == {phase}
    else:
        assert not true & {"Complete", "Failed"}


def test_uncertain_asks_for_a_person_by_name_of_the_command() -> None:
    stalled = condition(told(JOB, rented(LeaseState.UNCERTAIN)), "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "LeaseUncertain")
    assert "leases resolve" in stalled["message"]


def test_a_lost_node_is_told_until_it_is_proven_gone() -> None:
    home = make_lease(JOB, node("n1", 8), LeaseState.ACTIVE)
    lost = transition.closing(home, ClosingReason.LOST, NOW, "n1: no heartbeat for 41 s")
    found = condition(told(JOB, lost, rented(attempt=2)), "NodeLost")
    assert (found["reason"], found["message"]) == (
        "NodeHeartbeatStopped", "n1: no heartbeat for 41 s",
    )  # fmt: skip
    gone = transition.closed(lost, NOW)
    assert condition(told(JOB, gone, rented(attempt=2)), "NodeLost") == {}


@pytest.mark.parametrize("reason", [Reason.REPORTS_UNREACHABLE, Reason.MARKET_UNREACHABLE])
def test_what_is_seen_less_of_is_degraded_and_goes_on(reason: Reason) -> None:
    live = replace(RUNNING, degraded=reason, degraded_message="look there")
    document = told(JOB, rented(), live=live)
    assert document["phase"] == "Running"
    assert condition(document, "Degraded")["message"] == "look there"
    assert condition(told(JOB, rented(), live=RUNNING), "Degraded") == {}


def test_near_its_ceiling_the_job_says_so() -> None:
    document = told(JOB, rented(), live=replace(RUNNING, near_ceiling=True))
    assert condition(document, "BudgetExceeded")["reason"] == "NearCeiling"


def test_the_time_of_a_condition_moves_with_its_status_only() -> None:
    before = told(JOB, rented(LeaseState.OPENING))
    known = replace(JOB, conditions=tuple(before["conditions"]))
    later = NOW + HOUR
    same = status_document(Facts(known, (rented(LeaseState.OPENING),), None), later)
    opened = status_document(Facts(known, (rented(),), None, RUNNING), later)
    assert condition(same, "Placed") == condition(before, "Placed")
    assert condition(opened, "Placed")["lastTransitionTime"] == stamp(later)


def test_a_finished_job_keeps_its_end_when_the_ledger_is_gone() -> None:
    end = told(JOB, transition.finished(rented(), 0, NOW))
    finished = replace(JOB, conditions=tuple(end["conditions"]), status=end)
    again = status_document(Facts(finished, (), None), NOW + 9 * HOUR)
    assert again["phase"] == "Complete"
    assert condition(again, "Complete") == condition(end, "Complete")


def test_during_a_planned_move_the_one_that_runs_is_shown() -> None:
    old, new = rented(), rented(LeaseState.OPENING, 2)
    assert current_lease([new, old]) is old
    assert current_lease([new, transition.closing(old, ClosingReason.SUPERSEDED, NOW)]) is new
    assert current_lease([]) is None


def test_the_document_tells_the_place_the_attempts_and_the_checkpoint() -> None:
    job = replace(make_job(), checkpoint=make_checkpoint())
    report = Report("gl-train-1", 1, 0.0, NOW, True, checkpoint_uri="s3://b/1", checkpoint_step=7)
    live = replace(RUNNING, report=report)
    document = told(job, rented(), live=live)
    assert document["placement"]["place"] == "akash/a1"
    assert document["placement"]["gpus"] == "1xh100"
    assert document["progress"]["lastCheckpointStep"] == 7
    assert document["attempts"][0]["checkpointURI"] == "s3://b/1"


def test_money_alone_is_no_reason_to_write() -> None:
    facts = Facts(JOB, (rented(),), None, RUNNING, cost={"spentUSD": "1.00"})
    before = status_document(facts, NOW)
    dearer = status_document(replace(facts, cost={"spentUSD": "2.00"}), NOW + HOUR)
    assert before["cost"] != dearer["cost"]
    assert not differs(before, dearer)


CHANGES: Mapping[str, dict[str, Any]] = {
    "a condition": {"live": Live(Observation(Phase.STARTING))},
    "a lease": {"leases": (rented(), rented(LeaseState.OPENING, 2))},
    "another decision": {"decision": WAITS},
}


@pytest.mark.parametrize("case", CHANGES, ids=str)
def test_news_are_worth_a_write(case: str) -> None:
    before = Facts(JOB, (rented(),), None, RUNNING)
    after = replace(before, **CHANGES[case])
    assert differs(status_document(before, NOW), status_document(after, NOW))


def test_a_round_trip_is_told_and_worth_no_write_of_its_own() -> None:
    near = Report("gl-train-1", 1, 0.0, NOW, has_started=True, rtt_ms=12.4)
    facts = Facts(JOB, (rented(),), None, RUNNING, reports=(near,))
    first = status_document(facts, NOW)
    assert first["placement"]["rttMillis"] == 12
    later = status_document(replace(facts, reports=(replace(near, rtt_ms=9.0),)), NOW)
    assert not differs(first, later)
    assert "rttMillis" not in status_document(replace(facts, reports=()), NOW)["placement"]


def test_a_durable_checkpoint_is_worth_a_write() -> None:
    at = NOW + timedelta(minutes=1)
    report = Report("gl-train-1", 1, 0.0, at, True, checkpoint_uri="s3://b/1", checkpoint_step=7)
    before = status_document(Facts(JOB, (rented(),), None, RUNNING), NOW)
    after = status_document(Facts(JOB, (rented(),), None, replace(RUNNING, report=report)), NOW)
    assert differs(before, after)
