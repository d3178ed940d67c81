"""What the status of copy 0 tells of its whole service. Pure; called by `core/jobstatus`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from overspill.core.copies import SERVICE_LABEL, Spares
from overspill.core.job import Job
from overspill.core.reasons import Reason
from overspill.core.statusparts import usd

NAMED = 5


@dataclass(frozen=True, slots=True)
class Other:
    """One copy beside copy 0."""

    name: str
    is_active: bool
    """A place is held for it."""
    is_running: bool
    spent_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Seen:
    """The copies of a service beside copy 0, and what keeps some of them from being there."""

    wanted: int
    """Copies in all, spares included."""
    others: Sequence[Other] = ()
    problem: tuple[Reason, str] | None = None
    spares: Spares | None = None
    """What placement chose, where the class leaves it to the operator."""


def running(job_runs: bool, seen: Seen) -> int:
    """How many copies run, copy 0 among them."""
    return int(job_runs) + sum(other.is_running for other in seen.others)


def copies_document(job: Job, seen: Seen, job_runs: bool, spent: Decimal) -> dict[str, Any]:
    """`status.copies`. What is recorded of the money stays as it is: `engine/copies` writes it."""
    known: Mapping[str, Any] = job.status.get("copies") or {}
    total = sum((other.spent_usd for other in seen.others), spent)
    return {
        **{name: known[name] for name in ("shares", "gone", "goneUSD") if name in known},
        "ready": running(job_runs, seen),
        "wanted": seen.wanted,
        **({"spares": seen.spares.count, "message": seen.spares.told} if seen.spares else {}),
        "spentUSD": usd(total),
    }


def selector(job: Job) -> str:
    """The pods at home of all copies of a service."""
    return f"{SERVICE_LABEL}={job.ref.name}"


def shortcoming(job: Job, seen: Seen, job_runs: bool, was_up: bool) -> tuple[Reason, str] | None:
    """Why there are fewer copies than wanted; while the first are on their way, only a problem."""
    if seen.problem is not None:
        return seen.problem
    ready = running(job_runs, seen)
    if ready >= job.replicas or not (was_up or ready) or job.is_held:
        return None
    missing = [other.name for other in seen.others if not other.is_running]
    missing = missing if job_runs else [job.ref.name, *missing]
    named = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
    told = f"{ready} of {job.replicas} copies run; on their way: {named}" if named else ""
    return Reason.COPIES_MISSING, told or f"{ready} of {job.replicas} copies run"
