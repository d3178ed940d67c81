"""What a job has cost, will cost and would have cost: derived from its leases, never counted up.

Called by the engine for `status.cost`, and by placement to know what is left under the cap.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.pricing import hours, remaining_work
from overspill.core.statusparts import usd
from overspill.core.vocabulary import LeaseState

WANTED = (LeaseState.PLANNED, LeaseState.OPENING, LeaseState.ACTIVE, LeaseState.UNCERTAIN)
"""States in which a lease is still meant to run."""


@dataclass(frozen=True, slots=True)
class JobCost:
    """The lines of `status.cost`, exact. None: there is nothing to compare or to estimate with."""

    spent_usd: Decimal
    committed_usd: Decimal
    """What leases that are paid may still cost at most, beyond what they have cost."""
    projected_usd: Decimal | None
    """Spent at the end, by the user's own estimate of the work."""
    reference_usd: Decimal | None
    """The same GPU-hours at the reference rate."""
    saved_usd: Decimal | None

    def document(self) -> dict[str, str]:
        """The lines as `status.cost` spells them, unknown ones left out."""
        lines = {
            "spentUSD": self.spent_usd,
            "committedUSD": self.committed_usd,
            "projectedUSD": self.projected_usd,
            "referenceUSD": self.reference_usd,
            "savedUSD": self.saved_usd,
        }
        return {name: usd(value) for name, value in lines.items() if value is not None}


def job_cost(
    job: Job, leases: Sequence[Lease], reference: Mapping[str, Decimal], now: datetime
) -> JobCost:
    """The cost of a job at `now`. `leases` are all leases of its uid that still exist."""
    spent = spent_usd(job, leases, now)
    compared = reference_usd(job, leases, reference, now)
    return JobCost(
        spent_usd=spent,
        committed_usd=sum(
            (committed_usd(le, now) for le in leases if _is_capped(job, le)), Decimal(0)
        ),
        projected_usd=_projected(job, leases, spent),
        reference_usd=compared,
        saved_usd=None if compared is None else compared - spent,
    )


def _is_capped(job: Job, lease: Lease) -> bool:
    """A node of a pool may be had without a cap; what it could cost in a year tells nobody much."""
    return job.max_total_usd is not None or not lease.is_home


def spent_usd(job: Job, leases: Iterable[Lease], now: datetime) -> Decimal:
    """Everything the job has cost, closed attempts included.

    `status.closedCostUSD` may lag behind a lease that closed just now, and the ledger forgets old
    leases: each alone is too little, so the larger account counts.
    """
    attempts = {a.number: a.cost_usd for a in job.attempts}
    return _larger_account(job.closed_cost_usd, attempts, leases, lambda le: le.cost_usd(now))


def committed_usd(lease: Lease, now: datetime) -> Decimal:
    """What a lease may still cost; nothing is committed to anybody on our own nodes."""
    if lease.is_own or lease.state is LeaseState.CLOSED:
        return Decimal(0)
    return max(Decimal(0), lease.max_total_usd - lease.cost_usd(now))


def reference_usd(
    job: Job, leases: Iterable[Lease], reference: Mapping[str, Decimal], now: datetime
) -> Decimal | None:
    """The GPU-hours of all attempts at the reference rate; None where no rate is known."""
    leases = tuple(leases)
    rates = {le.name: _rate(le, reference) for le in leases}
    if any(rate is None for rate in rates.values()):
        return None
    return _larger_account(
        job.reference_closed_usd, {}, leases, lambda le: (rates[le.name] or 0) * gpu_hours(le, now)
    )


def gpu_hours(lease: Lease, now: datetime) -> Decimal:
    """GPU-hours a lease was charged for so far."""
    if lease.active_since is None:
        return Decimal(0)
    end = max(lease.active_since, lease.closed_at or now)
    gpus = lease.request.gpu_count * lease.request.num_nodes
    return hours(end - lease.active_since) * gpus


def _larger_account(
    closed: Decimal,
    attempts: Mapping[int, Decimal],
    leases: Iterable[Lease],
    amount: Callable[[Lease], Decimal],
) -> Decimal:
    by_attempt = dict(attempts)
    running = Decimal(0)
    for lease in leases:
        by_attempt[lease.attempt] = amount(lease)
        running += Decimal(0) if lease.state is LeaseState.CLOSED else amount(lease)
    return max(closed + running, sum(by_attempt.values(), Decimal(0)))


def _rate(lease: Lease, reference: Mapping[str, Decimal]) -> Decimal | None:
    return reference.get(lease.offer.gpu_model, reference.get("*"))


def _projected(job: Job, leases: Sequence[Lease], spent: Decimal) -> Decimal | None:
    left = remaining_work(job, restarts=False)
    running = [le for le in leases if le.state in WANTED]
    if left is None or not running:
        return None
    newest = max(running, key=lambda le: le.attempt)
    price = newest.price_usd_per_hour
    return spent + hours(left) * (newest.offer.price_usd_per_hour if price is None else price)
