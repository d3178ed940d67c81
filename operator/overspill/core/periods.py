"""Periods of a GPUBudget: when one began, and what a budget is worth once a new one has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from overspill.core.sla import Budget
from overspill.core.vocabulary import BudgetPeriod


def period_start(period: BudgetPeriod, now: datetime) -> datetime:
    """The first moment of the period that `now` lies in; UTC, weeks from Monday."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period is BudgetPeriod.WEEKLY:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is BudgetPeriod.MONTHLY else day


def renewed(budget: Budget, now: datetime) -> Budget:
    """The budget as it counts at `now`: spending of an earlier period does not.

    What open leases may still cost stays reserved across the change.
    """
    start = period_start(budget.period, now)
    if budget.period_started_at is not None and budget.period_started_at >= start:
        return budget
    spent = Decimal(0) if budget.period_started_at is not None else budget.spent_usd
    return replace(budget, period_started_at=start, spent_usd=spent)
