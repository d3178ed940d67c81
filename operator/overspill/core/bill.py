"""What a lease cost in the end where its market tells no final bill. Pure; used by `closing`.

Never less than the market took: what is not known is counted for as long as it may have run.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.lease import Lease


@dataclass(frozen=True, slots=True)
class Meter:
    """A running bill: what the market had taken of a lease at a moment, by its own word."""

    usd: Decimal
    at: datetime


def final_usd(lease: Lease, end: datetime, meter: Meter | None = None) -> Decimal:
    """USD until `end`: the meter's figure and the time since, else our books from the start.

    Where a market sells a least time, its meter may be ahead of the clock, so the greater counts.
    """
    books = _books_usd(lease, end)
    if meter is None:
        return books
    if lease.offer.min_billable:
        return max(meter.usd, books)
    return meter.usd + _charged_usd(lease, meter.at, end)


def _books_usd(lease: Lease, end: datetime) -> Decimal:
    """Our own reckoning; what was sold for a least time costs that much."""
    if lease.active_since is None:
        return Decimal(0)
    least = timedelta(0) if lease.is_home else lease.offer.min_billable
    return _charged_usd(lease, lease.active_since, max(end, lease.active_since + least))


def _charged_usd(lease: Lease, since: datetime, end: datetime) -> Decimal:
    price = lease.price_usd_per_hour
    known = lease.offer.price_usd_per_hour if price is None else price
    span = replace(
        lease, active_since=since, closed_at=end, price_usd_per_hour=known, billed_usd=None
    )
    return span.cost_usd(end)
