"""Decides how long a status may wait to be written, so that a short life is told in few writes.

Pure; called by `engine/tell`. At home a job is on its way for a second or two: told one by one,
the steps of that way would cost more writes than all the rest of its life (lease protocol 4).
Endings, refusals, losses and everything about rented places are told at once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.reasons import Condition
from overspill.core.vocabulary import JobPhase

FIRST_WORD = timedelta(seconds=3)
"""So long a new job may show nothing, while its first decision or its first pod is under way."""

STARTING = timedelta(seconds=30)
"""So long a home job that was told to be on its way may start without another word."""

ON_THE_WAY = (Condition.PLACED.value, Condition.RECONCILING.value)


def may_wait(
    job: Job, lease: Lease | None, document: Mapping[str, Any], now: datetime
) -> timedelta:
    """How long this new status document may wait for the next one; zero: write it now."""
    if any(c["status"] == "True" and c["type"] not in ON_THE_WAY for c in document["conditions"]):
        return timedelta(0)
    phase = document["phase"]
    if phase == JobPhase.WAITING and lease is None and "decision" not in document:
        return timedelta(0) if job.status else _left(job.created_at, FIRST_WORD, now)
    if phase == JobPhase.PLACING and lease is not None and lease.is_home:
        if not job.status:
            return _left(job.created_at, FIRST_WORD, now)
        return _left(lease.active_since or lease.created_at, STARTING, now)
    return timedelta(0)


def _left(since: datetime, limit: timedelta, now: datetime) -> timedelta:
    """What is left of a limit; nothing when the two clocks disagree about what came first."""
    age = now - since
    return max(timedelta(0), limit - age) if age >= timedelta(0) else timedelta(0)
