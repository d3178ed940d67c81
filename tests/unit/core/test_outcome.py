"""The end of a job, derived from its ledger: one terminal condition, and never for a lost place."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from overspill.core import transition
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.outcome import failures, outcome
from overspill.core.reasons import Condition, Reason
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.testing.placing import HOUR, NOW, make_job, make_lease, rent

JOB = replace(make_job(), backoff_limit=1)


def ended(code: int, attempt: int = 1) -> Lease:
    return transition.finished(active(attempt), code, NOW)


def closed(reason: ClosingReason, attempt: int = 1, message: str = "") -> Lease:
    return transition.closing(active(attempt), reason, NOW, message)


def active(attempt: int = 1) -> Lease:
    return make_lease(JOB, rent("a1"), LeaseState.ACTIVE, attempt=attempt)


CASES: Mapping[str, tuple[tuple[Lease, ...], tuple[Condition, Reason] | None]] = {
    "nothing happened yet": ((), None),
    "it runs": ((active(),), None),
    "it ended well": ((ended(0),), (Condition.COMPLETE, Reason.COMMAND_SUCCEEDED)),
    "it failed once and may try again": ((ended(1),), None),
    "it failed too often": (
        (ended(1), ended(2, 2)), (Condition.FAILED, Reason.BACKOFF_LIMIT_EXCEEDED),
    ),
    "it failed too often, but a late word says it succeeded": (
        (ended(1), ended(1, 2), ended(0, 3)), (Condition.COMPLETE, Reason.COMMAND_SUCCEEDED),
    ),
    "it succeeded on the second try": (
        (ended(1), ended(0, 2)), (Condition.COMPLETE, Reason.COMMAND_SUCCEEDED),
    ),
    "lost five times": (tuple(closed(ClosingReason.LOST, n) for n in range(1, 6)), None),
    "refused five times": (tuple(closed(ClosingReason.REJECTED, n) for n in range(1, 6)), None),
    "withdrawn": ((closed(ClosingReason.WITHDRAWN),), None),
    "moved": ((closed(ClosingReason.SUPERSEDED), active(2)), None),
    "suspended": ((closed(ClosingReason.SUSPENDED),), None),
    "out of money": (
        (closed(ClosingReason.BUDGET_EXCEEDED),), (Condition.FAILED, Reason.CEILING_REACHED),
    ),
    "out of time": (
        (closed(ClosingReason.DEADLINE_EXCEEDED, message="activeDeadlineSeconds ran out"),),
        (Condition.FAILED, Reason.ACTIVE_DEADLINE_EXCEEDED),
    ),
    "out of money right after it ended well": (
        (ended(0), closed(ClosingReason.BUDGET_EXCEEDED, 2)),
        (Condition.COMPLETE, Reason.COMMAND_SUCCEEDED),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_ledger_tells_the_end(case: str) -> None:
    leases, expected = CASES[case]
    found = outcome(JOB, leases)
    assert (None if found is None else (found.condition, found.reason)) == expected
    assert found is None or len(found.message) > 10


def test_a_closed_ledger_tells_the_same_end() -> None:
    gone = transition.closed(ended(0), NOW + HOUR)
    assert outcome(JOB, [gone]) == outcome(JOB, [ended(0)])


def test_exit_codes_that_ask_for_another_try_are_no_failures() -> None:
    patient = replace(JOB, retry_exit_codes=(75,))
    leases = [ended(75, n) for n in range(1, 9)]
    assert failures(patient, leases) == 0
    assert outcome(patient, leases) is None


def test_failures_that_the_ledger_forgot_still_count() -> None:
    remembered: Job = replace(JOB, failures=1)
    assert failures(remembered, []) == 1
    assert failures(replace(JOB, failures=2), [ended(1, 3)]) == 2


def test_the_message_says_how_often_where_and_how_it_failed() -> None:
    found = outcome(JOB, [ended(1), ended(42, 2)])
    assert found is not None
    assert found.message == (
        "the command failed 2 times (backoffLimit 1); attempt 2 ended with exit code 42"
    )
