"""Periods of a GPUBudget."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from overspill.core.periods import period_start, renewed
from overspill.core.sla import Budget, Reservation
from overspill.core.vocabulary import BudgetPeriod

NOW = datetime(2026, 11, 25, 16, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("period", "start"),
    [
        (BudgetPeriod.DAILY, datetime(2026, 11, 25, tzinfo=UTC)),
        (BudgetPeriod.WEEKLY, datetime(2026, 11, 23, tzinfo=UTC)),
        (BudgetPeriod.MONTHLY, datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_a_period_begins_at_its_first_midnight(period: BudgetPeriod, start: datetime) -> None:
    assert period_start(period, NOW) == start


def budget(started: datetime | None) -> Budget:
    held = (Reservation("gl-1", "uid", Decimal(7)),)
    return Budget(
        namespace="team",
        name="monthly",
        limit_usd=Decimal(100),
        spent_usd=Decimal(60),
        committed_usd=Decimal(7),
        reservations=held,
        period_started_at=started,
    )


def test_a_new_period_forgets_what_was_spent_but_not_what_is_reserved() -> None:
    after = renewed(budget(datetime(2026, 10, 1, tzinfo=UTC)), NOW)
    assert after.spent_usd == 0
    assert after.free_usd == Decimal(93)
    assert after.period_started_at == datetime(2026, 11, 1, tzinfo=UTC)


def test_within_the_period_nothing_changes() -> None:
    same = budget(datetime(2026, 11, 1, tzinfo=UTC))
    assert renewed(same, NOW) is same


def test_a_budget_without_a_recorded_start_keeps_what_it_says_was_spent() -> None:
    after = renewed(budget(None), NOW)
    assert after == replace(budget(None), period_started_at=datetime(2026, 11, 1, tzinfo=UTC))
