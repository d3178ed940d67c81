"""How long a status may wait: only on the way to a start at home, and never past its limit."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.telling import FIRST_WORD, STARTING, may_wait
from overspill.core.vocabulary import LeaseState
from overspill.testing.placing import NOW, make_job, make_lease, node, rent

SECOND = timedelta(seconds=1)
JOB = make_job()
TOLD = replace(JOB, status={"phase": "Placing"})
HOME = make_lease(JOB, node("n1", 8), LeaseState.PLANNED, created_at=NOW)
RENTED = make_lease(JOB, rent("a1"), LeaseState.OPENING)


def document(phase: str, *true: str, **rest: Any) -> dict[str, Any]:
    """As much of a status document as the rule reads."""
    told = [{"type": kind, "status": "True"} for kind in true]
    return {"phase": phase, "conditions": [*told, {"type": "Running", "status": "False"}], **rest}


CASES: dict[str, tuple[Job, Lease | None, dict[str, Any], timedelta, timedelta]] = {
    "a new job shows nothing for a moment": (
        JOB, None, document("Waiting"), SECOND, FIRST_WORD - SECOND,
    ),
    "but not for longer": (JOB, None, document("Waiting"), FIRST_WORD, timedelta(0)),
    "that it waits, and why, is told at once": (
        JOB, None, document("Waiting", "Reconciling", decision={"action": "Wait"}), SECOND,
        timedelta(0),
    ),
    "a refusal is told at once": (
        JOB, None, document("Refused", "Stalled"), SECOND, timedelta(0),
    ),
    "a new job on its way home shows nothing for a moment": (
        JOB, HOME, document("Placing", "Reconciling"), SECOND, FIRST_WORD - SECOND,
    ),
    "told to be on its way, it may start without another word": (
        TOLD, HOME, document("Placing", "Placed", "Reconciling"), SECOND, STARTING - SECOND,
    ),
    "a slow start is told": (
        TOLD, HOME, document("Placing", "Placed"), STARTING, timedelta(0),
    ),
    "a trouble on the way is told at once": (
        TOLD, HOME, document("Placing", "Placed", "Degraded"), SECOND, timedelta(0),
    ),
    "a rented place is told at once": (
        JOB, RENTED, document("Placing", "Reconciling"), SECOND, timedelta(0),
    ),
    "so is a move": (TOLD, HOME, document("Moving", "Reconciling"), SECOND, timedelta(0)),
    "so is an end": (TOLD, HOME, document("Complete", "Complete"), SECOND, timedelta(0)),
    "so is a start": (TOLD, HOME, document("Running", "Placed", "Running"), SECOND, timedelta(0)),
    "a server whose clock is ahead delays nothing": (
        JOB, None, document("Waiting"), -2 * SECOND, timedelta(0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_how_long_a_status_may_wait(case: str) -> None:
    job, lease, told, later, expected = CASES[case]
    assert may_wait(job, lease, told, NOW + later) == expected
