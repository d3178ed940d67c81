"""A child at home that never found a node is withdrawn before anything is opened beside it."""

import pytest

from overspill.core.decision import Action
from overspill.core.reasons import Reason
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.testing.placing import HOUR, NOW, decide, make_checkpoint, make_job, make_lease, rent
from overspill.testing.placing import node as home

JOB = make_job(work=10 * HOUR, checkpoint=make_checkpoint())
UNBOUND = make_lease(
    JOB, home("n1", 8), LeaseState.CLOSING, ended=ClosingReason.WITHDRAWN, active_since=None
)


def test_nothing_is_opened_while_the_child_is_not_proven_gone() -> None:
    found = decide(JOB, home("n2", 8), rent(), leases=(UNBOUND,))
    assert (found.action, found.reason) == (Action.WAIT, Reason.CHILD_PENDING_TOO_LONG)
    assert "attempt 1 at home/n1 is withdrawn first" in found.message


@pytest.mark.parametrize(
    "ended",
    [
        make_lease(JOB, home("n1", 8), LeaseState.CLOSED, ended=ClosingReason.WITHDRAWN),
        make_lease(JOB, home("n1", 8), LeaseState.CLOSING, ended=ClosingReason.LOST),
        make_lease(
            JOB, rent("a9"), LeaseState.CLOSING, ended=ClosingReason.REJECTED, active_since=None
        ),
    ],
    ids=["it is gone", "it was bound, and is fenced", "it was rented, and is fenced"],
)
def test_everything_else_that_ends_holds_nobody_back(ended) -> None:
    assert decide(JOB, home("n2", 8), leases=(ended,)).action is Action.PLACE


def test_a_job_outside_does_not_come_home_beside_it_either() -> None:
    outside = make_lease(JOB, rent("a1", "4"), LeaseState.ACTIVE, attempt=1)
    unbound = make_lease(
        JOB, home("n1", 8), LeaseState.CLOSING, ended=ClosingReason.WITHDRAWN, active_since=None,
        attempt=2,
    )  # fmt: skip
    found = decide(JOB, home("n2", 8), leases=(outside, unbound), now=NOW + HOUR)
    assert (found.action, found.reason) == (Action.STAY, Reason.CHILD_PENDING_TOO_LONG)
