"""The all-in price: what an offer really costs for the work a job still has to do.

Line by line: the rate, the billed start, the work expected to be done again after losses, the
bytes that must move, and the market's minimum. Losses are taken as exponential with the offer's
MTBF (docs/placement.md gives the formula). Called by `placement_ranking` and `placement_moves`.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_UP, Decimal
from functools import lru_cache
from typing import NamedTuple

from overspill.core.decision import CostLine
from overspill.core.filters import Market, Needs
from overspill.core.job import Job
from overspill.core.offer import Offer

ASSUMED_WORK = timedelta(hours=4)
"""Stands in for `deadline.workSeconds` where a user gave none, to spread one-off costs."""

UNTOLD = timedelta(days=7)
"""Stands in for a mean time between losses that nobody told, once something was lost."""

MICRO = Decimal("0.000001")
_LEAST_WORK_H = Decimal("0.01")
_FARTHEST = Decimal(20)
"""exp() is cut here: past it the place is hopeless anyway."""


class Terms(NamedTuple):
    """What the price depends on beside the offer. Hours as decimals.

    A tuple, because plans make and look up one for every job.
    """

    work_h: Decimal
    is_known: bool
    """False: `work_h` is `ASSUMED_WORK`, and totals are not told to the user."""
    interval_h: Decimal | None
    """Of checkpoints; None: a loss costs everything."""
    restore_h: Decimal
    moved_gib: Decimal
    num_nodes: int = 1


@dataclass(frozen=True, slots=True)
class Quote:
    """An offer cut to a job's size, priced. `price` is USD per hour for the whole lease."""

    price: Decimal
    lines: tuple[CostLine, ...]
    total: Decimal
    useful: Decimal
    """USD per hour of work that counts: what offers are compared by."""
    start_h: Decimal
    rework_h: Decimal

    @property
    def rework_usd(self) -> Decimal:
        """What losses are expected to cost."""
        return self.line("rework")

    def line(self, name: str) -> Decimal:
        """One line of the bill, 0 when it is not on it."""
        for line in self.lines:
            if line.name == name:
                return line.usd
        return Decimal(0)


def terms_of(job: Job, *, restarts: bool) -> Terms:
    """The terms of a job that is to be placed anew (`restarts`) or moved while it runs."""
    left = remaining_work(job, restarts=restarts)
    resumes = bool(job.durable_checkpoint_uri)
    contract = job.checkpoint
    return Terms(
        work_h=hours(ASSUMED_WORK if left is None else left),
        is_known=left is not None,
        interval_h=hours(contract.interval) if contract else None,
        restore_h=hours(contract.restore) if contract and resumes else Decimal(0),
        moved_gib=job.data_gib + (contract.size_gib if contract and resumes else 0),
        num_nodes=job.num_nodes,
    )


def remaining_work(job: Job, *, restarts: bool) -> timedelta | None:
    """What is still to be computed, by the user's estimate; None where there is none.

    After a restart the work since the last checkpoint is done again: one interval at most,
    everything without a checkpoint.
    """
    if job.work is None:
        return None
    if not job.progress_percent:
        return job.work
    left = job.work * (100 - min(100, job.progress_percent)) / 100
    if not restarts:
        return left
    return min(job.work, left + job.checkpoint.interval) if job.checkpoint else job.work


def cut_price(offer: Offer, needs: Needs) -> Decimal:
    """USD per hour for what the job takes of the offer; whole offers are paid whole."""
    if not offer.is_divisible:
        return offer.price_usd_per_hour
    price = offer.price_usd_per_hour * needs.gpus_total / max(1, offer.gpu_count)
    if offer.beside_rates is not None:
        price += offer.beside_rates.usd_per_hour(needs.beside) * needs.num_nodes
    return price.quantize(MICRO, ROUND_UP)


def quote(offer: Offer, market: Market, needs: Needs, terms: Terms) -> Quote:
    """The all-in price of the offer, cut to size, for the work of the terms."""
    price, start_h = cut_price(offer, needs), hours(start_time(offer, market))
    return quote_at(price, start_h, offer, market, terms)


def quote_at(price: Decimal, start_h: Decimal, offer: Offer, market: Market, terms: Terms) -> Quote:
    """The same where the price cut to size and the start of the place are known."""
    start_h += terms.restore_h
    rework_h = _rework_h(terms, mtbf_of(offer, market), start_h)
    run_h = start_h + terms.work_h + rework_h
    idle_h = max(Decimal(0), hours(offer.min_billable) - run_h)
    sums = (
        ("rate", price * terms.work_h),
        ("coldStart", price * start_h),
        ("rework", price * rework_h),
        ("egress", egress_usd_per_gib(offer, market) * terms.moved_gib),
        ("minimum", price * idle_h),
    )
    lines = [CostLine(name, _micro(usd)) for name, usd in sums if usd or name == "rate"]
    kept = tuple([line for line in lines if line.usd or line.name == "rate"])
    total = sum([line.usd for line in kept], Decimal(0))
    useful = _micro(total / max(terms.work_h, _LEAST_WORK_H))
    return Quote(price, kept, total, useful, start_h, rework_h)


def start_time(offer: Offer, market: Market) -> timedelta:
    """From lease to running workload: the offer's own figure, else the account's prior."""
    return offer.cold_start or (market.account.cold_start if market.account else timedelta(0))


def mtbf_of(offer: Offer, market: Market) -> timedelta | None:
    """Mean time between losses of one node there; None: nothing is known and nothing was lost."""
    told = offer.mtbf or (market.account.mtbf if market.account else None)
    return corrected_mtbf(told, market.node_hours, market.losses)


@lru_cache(maxsize=1024)
def corrected_mtbf(told: timedelta | None, node_hours: Decimal, losses: int) -> timedelta | None:
    """What was told of losses (by the offer, else by the account), corrected by our own leases.

    A told figure counts as one loss after that time. Without any, nothing is expected until
    something is lost; half a loss in a week then stands for it.
    """
    if told is None and not losses:
        return None
    weight = Decimal(1) if told else Decimal("0.5")
    seen = node_hours + weight * hours(told or UNTOLD)
    return timedelta(seconds=int(seen / (losses + weight) * 3600))


def egress_usd_per_gib(offer: Offer, market: Market) -> Decimal:
    """Price of moving data: the offer's own figure, else the account's prior."""
    account = market.account.egress_usd_per_gib if market.account else Decimal(0)
    return offer.egress_usd_per_gib or account


@lru_cache(maxsize=8192)
def hours(span: timedelta) -> Decimal:
    """A duration as exact decimal hours."""
    return Decimal(span // timedelta(microseconds=1)) / Decimal(3_600_000_000)


def span(hours_: Decimal) -> timedelta:
    """Decimal hours as a duration, rounded down to whole seconds."""
    return timedelta(seconds=int(hours_ * 3600))


def _rework_h(terms: Terms, mtbf: timedelta | None, start_h: Decimal) -> Decimal:
    """Expected hours of paid time beyond the work itself: e^(λd)·(e^(λτ)-1)/(λτ) - 1 of it."""
    if not mtbf or mtbf < timedelta(0) or terms.work_h <= 0:
        return Decimal(0)
    tau = min(terms.interval_h or terms.work_h, terms.work_h)
    return max(Decimal(0), terms.work_h * _again(mtbf, terms.num_nodes, tau, start_h))


@lru_cache(maxsize=4096)
def _again(mtbf: timedelta, num_nodes: int, tau: Decimal, start_h: Decimal) -> Decimal:
    """Hours of an hour's work that are paid again. Exponentials of decimals take long."""
    hazard = num_nodes / hours(mtbf)
    x = min(_FARTHEST, hazard * tau)
    return min(_FARTHEST, hazard * start_h).exp() * (x.exp() - 1) / x - 1


def _micro(value: Decimal) -> Decimal:
    return value.quantize(MICRO)
