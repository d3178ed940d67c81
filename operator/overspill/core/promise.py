"""Attained against promised, of one job: its finish-by, or the availability of a service.

Composes `status.sla`; every figure follows from the job's spec, its recorded status and what was
seen now. docs/operations.md says what counts as kept, broken, released and down. Pure; called by
`core/jobstatus` and `core/attainment`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core import availability
from overspill.core.availability import WINDOW, Standing, Uptime
from overspill.core.job import Job
from overspill.core.outcome import Outcome
from overspill.core.pricing import remaining_work
from overspill.core.reasons import Condition, Reason
from overspill.core.sla import SlaClass
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import PromiseOutcome, Workload

OWN_DOING = (Reason.BACKOFF_LIMIT_EXCEEDED, Reason.ACTIVE_DEADLINE_EXCEEDED)
"""Ends that nobody could have kept a finish-by against: the command's, or the user's own cap."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a finish-by, and when that was certain."""

    outcome: PromiseOutcome
    at: datetime
    late: timedelta | None = None
    """How much later than the finish-by the work ended; negative: earlier. None: it never did."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How a service stands, and since when as far as records tell. None of it for other jobs."""

    standing: Standing
    since: datetime


def is_service(job: Job) -> bool:
    """Whether what is promised is time, not an end."""
    return job.workload is Workload.INFERENCE


def settlement(job: Job, now: datetime, end: Outcome | None = None) -> Settlement | None:
    """What became of the finish-by; None: there is none, or it is still open.

    `end` is an end that is not recorded yet: it counts as of now.
    """
    if job.finish_by is None or is_service(job):
        return None
    ended_at = job.ended_at or (now if end is not None else None)
    if ended_at is not None and _is_complete(job, end):
        kept = ended_at <= job.finish_by
        outcome = PromiseOutcome.KEPT if kept else PromiseOutcome.BROKEN
        return Settlement(outcome, min(ended_at, job.finish_by), ended_at - job.finish_by)
    if ended_at is not None and ended_at <= job.finish_by:
        own = _reason(job, end) in {str(reason) for reason in OWN_DOING}
        return Settlement(PromiseOutcome.RELEASED if own else PromiseOutcome.BROKEN, ended_at)
    if now <= job.finish_by:
        return None
    outcome = PromiseOutcome.RELEASED if _was_suspended(job) else PromiseOutcome.BROKEN
    return Settlement(outcome, job.finish_by)


def uptime_of(job: Job) -> Uptime | None:
    """The record of a service, as its status has it."""
    sla: Mapping[str, Any] = job.status.get("sla") or {}
    return availability.parsed(sla.get("service")) if is_service(job) else None


def followed(job: Job, stand: Stand | None, now: datetime) -> Uptime | None:
    """The record of a service with what was seen now."""
    known = uptime_of(job)
    if stand is None or not is_service(job):
        return known
    if known is None:
        return availability.begun(stand.standing, min(stand.since, now))
    # What ran before the break began says nothing about its end: the workload was restarted.
    was_before = stand.standing is Standing.UP and stand.since <= known.latest
    return known.then(stand.standing, now if was_before else stand.since, now)


def sla_document(
    job: Job, klass: SlaClass, settled: Settlement | None, uptime: Uptime | None, now: datetime
) -> dict[str, Any]:
    """`status.sla`."""
    found: dict[str, Any] = {"promised": _promised(job, klass), "className": klass.name}
    if is_service(job):
        return found | (_service(klass, uptime, now) if uptime else {})
    if job.finish_by is None:
        return found
    if settled is None:
        return found | {"outcome": PromiseOutcome.OPEN.value, **_slack(job, now)}
    found |= {"outcome": settled.outcome.value, "attained": _attained(settled)}
    if settled.late is not None:
        found["lateSeconds"] = settled.late // timedelta(seconds=1)
    return found


def gist(sla: Mapping[str, Any] | None) -> Any:
    """What is worth a write of its own: figures that creep are written with something else."""
    if not sla:
        return None
    service = sla.get("service") or {}
    breaks = [(b["standing"], b.get("endTime") is None) for b in service.get("breaks") or []]
    return (
        sla.get("promised"),
        sla.get("outcome"),
        sla.get("lateSeconds") is None,
        service.get("firstRunTime"),
        breaks,
    )


def is_outdated(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, period: timedelta, now: datetime
) -> bool:
    """Whether the figures of a service changed, and were last written long enough ago."""
    old, new = old or {}, new or {}
    if "service" not in new or (old.get("attained"), old.get("budgetRemaining")) == (
        new.get("attained"),
        new.get("budgetRemaining"),
    ):
        return False
    written = old.get("asOfTime")
    return written is None or now - datetime.fromisoformat(str(written)) >= period


def told_span(span: timedelta) -> str:
    """A duration for people: two units at most, rounded down."""
    seconds = abs(span) // timedelta(seconds=1)
    days, hours, minutes = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"


def percent(share: Decimal) -> str:
    """0.99953 as "99.953 %"; what was not kept is never rounded up."""
    return f"{(share * 100).normalize():f} %"


def minutes(span: timedelta) -> str:
    """Minutes with one decimal, towards less."""
    tenths = span // timedelta(seconds=6)
    return f"{Decimal(tenths) / 10:.1f} min"


def _promised(job: Job, klass: SlaClass) -> str:
    if job.finish_by is not None:
        return f"{klass.name}: finish-by"
    if is_service(job) and klass.availability_target is not None:
        return f"{klass.name}: {percent(klass.availability_target)} available"
    return klass.name


def _service(klass: SlaClass, uptime: Uptime, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {
        "attained": f"{percent(uptime.share(now))} since {stamp(uptime.since)}",
        "availability": f"{uptime.share(now):f}",
        "asOfTime": stamp(now),
        "service": availability.document(uptime),
    }
    target = klass.availability_target
    if target is not None:
        left = uptime.budget_left(target, now)
        found["budgetRemaining"] = (
            f"{minutes(left)} of {minutes(availability.allowed(target))} in {WINDOW.days} days"
        )
    return found


def _slack(job: Job, now: datetime) -> dict[str, str]:
    """As of the last write: the time until the finish-by that the work does not need."""
    left = remaining_work(job, restarts=False)
    if left is None or job.finish_by is None:
        return {}
    slack = job.finish_by - now - left
    sign = "-" if slack < timedelta(0) else ""
    return {"budgetRemaining": f"{sign}{told_span(slack)} of slack"}


def _attained(settled: Settlement) -> str:
    if settled.outcome is PromiseOutcome.RELEASED:
        return "released: suspended by its user, or ended by its own command or limit"
    if settled.late is None:
        return "broken"
    word = "late" if settled.outcome is PromiseOutcome.BROKEN else "early"
    return f"{settled.outcome.value.lower()}, {told_span(settled.late)} {word}"


def _is_complete(job: Job, end: Outcome | None) -> bool:
    if job.is_finished:
        return job.is_true(Condition.COMPLETE)
    return end is not None and end.condition is Condition.COMPLETE


def _reason(job: Job, end: Outcome | None) -> str:
    if job.is_finished:
        return str((job.condition(Condition.FAILED) or {}).get("reason", ""))
    return str(end.reason) if end is not None else ""


def _was_suspended(job: Job) -> bool:
    """Whether its user held it back while the finish-by passed."""
    told = job.condition(Condition.SUSPENDED)
    if not job.suspend or job.finish_by is None or told is None or told["status"] != "True":
        return False
    return datetime.fromisoformat(str(told["lastTransitionTime"])) <= job.finish_by
