"""What open leases can cost at most if the operator never comes back. Pure.

An adapter declares how a lease's bill ends without us (`Ending`); the rest follows from the
lease's own frozen figures. Every figure is the whole bill from the first second, what has been
paid already included, and errs upwards: a lease counts from its record, at its cap until its real
price is known. Called by `engine/show_money` for the status of a GPUProvider.

What is not in it: a second lease that a market may have made of one order and that no sweep has
found yet (classes B to D; docs/reliability.md), and money that the account draws from a card.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from overspill.core.lease import Lease
from overspill.core.pricing import hours
from overspill.core.vocabulary import BillEnd, LeaseState

WITHIN = timedelta(days=30)
"""For how long a bill without any end is told."""

RATE_TOLERANCE = Decimal("1.01")
"""Adapters and `core/recovery` bear this much above the hourly cap of a lease."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the bill of a lease ends when nobody closes it; declared by the adapter."""

    by: BillEnd
    slack: timedelta = timedelta(0)
    """For so long the market may bill beyond the hard deadline (waiting, starting)."""
    grain: timedelta = timedelta(0)
    """Begun ones are billed whole."""


NO_END = Ending(BillEnd.NOTHING)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most that can be billed, in all. `usd` None: nothing that we can see ends the bill."""

    usd: Decimal | None
    within_usd: Decimal
    """The most until `WITHIN` from now; never more than `usd`."""
    ends_at: datetime | None = None
    """When the market ends the bill by itself; None: only money does, or nothing."""


NO_COST = WorstCase(Decimal(0), Decimal(0))


def lease_worst_case(
    lease: Lease,
    ending: Ending,
    at_stake_usd: Decimal | None,
    now: datetime,
    within: timedelta = WITHIN,
) -> WorstCase:
    """The worst case of one lease. `at_stake_usd`: what the account can still lose, if known."""
    if not _can_cost(lease, ending):
        return NO_COST
    rate = _rate(lease)
    until_then = rate * _billed_hours(lease, now + within, ending.grain)
    if ending.by is BillEnd.PREPAID:
        paid = rate * _billed_hours(lease, lease.hard_deadline, ending.grain)
        usd = min(paid, lease.max_total_usd)
        return WorstCase(usd, usd, lease.hard_deadline + ending.slack)
    if ending.by is BillEnd.DEADLINE:
        end = max(lease.hard_deadline + ending.slack, now)
        usd = rate * _billed_hours(lease, end, ending.grain)
        return WorstCase(usd, min(usd, until_then), end)
    if ending.by is BillEnd.BALANCE and at_stake_usd is not None:
        usd = _so_far(lease, ending, now) + max(Decimal(0), at_stake_usd)
        return WorstCase(usd, min(usd, until_then))
    return WorstCase(None, until_then)


def account_worst_case(
    leases: Iterable[Lease],
    ending: Ending,
    at_stake_usd: Decimal | None,
    now: datetime,
    within: timedelta = WITHIN,
) -> WorstCase:
    """The worst case of all open leases of one account together; its money is lost only once."""
    held = [lease for lease in leases if _can_cost(lease, ending)]
    cases = [lease_worst_case(lease, ending, at_stake_usd, now, within) for lease in held]
    if not cases:
        return NO_COST
    total = _sum(case.usd for case in cases)
    within_usd = sum((case.within_usd for case in cases), Decimal(0))
    if ending.by is BillEnd.BALANCE and at_stake_usd is not None:
        so_far = sum((_so_far(lease, ending, now) for lease in held), Decimal(0))
        total = so_far + max(Decimal(0), at_stake_usd)
    ends = [case.ends_at for case in cases if case.ends_at is not None]
    last = max(ends) if len(ends) == len(cases) else None
    return WorstCase(total, within_usd if total is None else min(total, within_usd), last)


def rounded_up(usd: Decimal) -> Decimal:
    """Three digits, upwards, whole cents at least: a bound is written anew only when it grows."""
    if usd <= 0:
        return Decimal(0)
    step = max(-2, usd.adjusted() - 2)
    return usd.quantize(Decimal(1).scaleb(step), ROUND_CEILING)


def _can_cost(lease: Lease, ending: Ending) -> bool:
    """Nothing was ever sent without a permit, and home is nobody's bill."""
    if lease.is_home or ending.by is BillEnd.HOME or lease.state is LeaseState.CLOSED:
        return False
    return lease.permit is not None or lease.active_since is not None


def _rate(lease: Lease) -> Decimal:
    if lease.price_usd_per_hour is not None:
        return lease.price_usd_per_hour
    return lease.max_usd_per_hour * RATE_TOLERANCE


def _so_far(lease: Lease, ending: Ending, now: datetime) -> Decimal:
    return _rate(lease) * _billed_hours(lease, now, ending.grain)


def _billed_hours(lease: Lease, until: datetime, grain: timedelta) -> Decimal:
    """Counted from the record, which is older than anything that could be billed."""
    span = max(timedelta(0), until - lease.created_at)
    if grain:
        span = grain * -(-span // grain)
    return hours(span)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total
