"""A figure over time, and again from its beginning where it repeats."""

from __future__ import annotations

import pytest

from overspill.simulate.history import Series, constant

STEPS = Series((0.0, 10.0, 30.0), (1.0, 2.0, 3.0), period_s=40.0)


@pytest.mark.parametrize(
    ("second", "value"),
    [(0, 1.0), (9.9, 1.0), (10, 2.0), (39, 3.0), (40, 1.0), (55, 2.0), (-5, 1.0)],
)
def test_the_figure_at_a_second(second: float, value: float) -> None:
    assert STEPS.at(second) == value


@pytest.mark.parametrize(("second", "change"), [(0, 10.0), (10, 30.0), (35, 40.0), (41, 50.0)])
def test_when_it_changes_next(second: float, change: float) -> None:
    assert STEPS.next_change(second) == change


def test_without_a_period_the_last_figure_stays() -> None:
    series = Series((0.0, 10.0), (1.0, 2.0))
    assert series.next_change(10.0) is None
    assert series.at(1e9) == 2.0


def test_a_constant_never_changes() -> None:
    assert constant(5.0).next_change(0.0) is None


def test_the_least_figure_between_two_seconds() -> None:
    series = Series((0.0, 10.0, 20.0), (3.0, 1.0, 2.0))
    assert series.least(0.0, 9.0) == 3.0
    assert series.least(0.0, 30.0) == 1.0
    assert series.least(20.0, 30.0) == 2.0
