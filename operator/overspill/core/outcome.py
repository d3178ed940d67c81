"""Whether a job has ended, and how: derived from its leases, the ledger.

Read by `core/jobstatus` and the engine. A lost place is never the failure of a job.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.reasons import Condition, Reason
from overspill.core.transition import exit_code_of
from overspill.core.vocabulary import ClosingReason


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one terminal condition of a job, with its reason."""

    condition: Condition
    reason: Reason
    message: str


def outcome(job: Job, leases: Sequence[Lease]) -> Outcome | None:
    """The end of the job, None while it goes on. `leases` are all leases of this job's uid."""
    codes = [(lease, code) for lease in leases if (code := exit_code_of(lease)) is not None]
    for lease, code in codes:
        if code == 0:
            return Outcome(
                Condition.COMPLETE,
                Reason.COMMAND_SUCCEEDED,
                f"attempt {lease.attempt} ended with exit code 0 at {lease.offer.place}",
            )
    return (_failed(job, codes) if codes else None) or _ceiling(job, leases)


def failures(job: Job, leases: Sequence[Lease]) -> int:
    """Attempts whose command failed by itself and that count against backoffLimit."""
    seen = {
        lease.attempt
        for lease in leases
        if (code := exit_code_of(lease)) not in (None, 0) and code not in job.retry_exit_codes
    }
    return max(len(seen), job.failures)


def _failed(job: Job, codes: Sequence[tuple[Lease, int]]) -> Outcome | None:
    count = failures(job, [lease for lease, _ in codes])
    if count <= job.backoff_limit:
        return None
    lease, code = max(codes, key=lambda item: item[0].attempt)
    return Outcome(
        Condition.FAILED,
        Reason.BACKOFF_LIMIT_EXCEEDED,
        f"the command failed {count} times (backoffLimit {job.backoff_limit}); "
        f"attempt {lease.attempt} ended with exit code {code}",
    )


def _ceiling(job: Job, leases: Sequence[Lease]) -> Outcome | None:
    for lease in leases:
        if lease.closing is None:
            continue
        if lease.closing.reason is ClosingReason.BUDGET_EXCEEDED:
            return Outcome(
                Condition.FAILED,
                Reason.CEILING_REACHED,
                f"closed before budget.maxTotalUSD could be passed: {lease.closing.message}; "
                "raise the budget in a new GPUJob to go on from the last checkpoint",
            )
        if lease.closing.reason is ClosingReason.DEADLINE_EXCEEDED:
            return Outcome(Condition.FAILED, Reason.ACTIVE_DEADLINE_EXCEEDED, lease.closing.message)
    return None
