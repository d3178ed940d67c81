"""The value table: known closed forms, and what must never cost less."""

import math

import pytest

from overspill.core.policy_lifetime import Hazards
from overspill.core.policy_value import Market, State, Table

NEVER = Hazards((1e-9, 1e-9, 1e-9, 1e-9))
SHORT = Hazards((1.0, 1.0, 1.0, 1.0))


def _market(up: Hazards, down: Hazards = SHORT, price: float = 1.0) -> Market:
    return Market(up=up, down=down, price=price, reliable_price=3.0, cold=0.25)


def _table(market: Market) -> Table:
    return Table(market, slack=8.0, work=8.0, step=0.5)


def test_a_place_that_never_goes_costs_its_start_and_its_work() -> None:
    table = _table(_market(NEVER))
    costs = table.costs(State(4.0, 8.0, True, 1.0), on_reliable=False, on_unreliable=False)
    assert costs.unreliable == pytest.approx(0.25 + 8.0)
    held = table.costs(State(4.0, 8.0, True, 1.0), on_reliable=False, on_unreliable=True)
    assert held.unreliable == pytest.approx(8.0)


def test_without_slack_only_the_reliable_place_is_left() -> None:
    costs = _table(_market(SHORT)).costs(
        State(0.0, 8.0, True, 1.0), on_reliable=False, on_unreliable=False
    )
    assert costs.reliable == pytest.approx(3.0 * 8.25)
    assert costs.idle == math.inf
    assert costs.unreliable == math.inf


def test_a_place_that_never_comes_is_not_waited_for() -> None:
    table = _table(_market(SHORT, down=NEVER))
    costs = table.costs(State(6.0, 8.0, False, 5.0), on_reliable=False, on_unreliable=False)
    assert costs.reliable == pytest.approx(3.0 * 8.25)
    assert costs.idle == pytest.approx(costs.reliable)


def test_slack_is_worth_waiting_with_when_the_place_comes_back_soon() -> None:
    table = _table(_market(Hazards((0.05,) * 4), down=Hazards((4.0,) * 4)))
    costs = table.costs(State(6.0, 8.0, False, 0.1), on_reliable=False, on_unreliable=False)
    assert costs.idle < costs.reliable


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "down"])
def test_more_slack_never_costs_more_and_more_work_never_less(is_up: bool) -> None:
    table = _table(_market(Hazards((1.0, 0.5, 0.2, 0.1))))

    def least(slack: float, work: float) -> float:
        state = State(slack, work, is_up, 0.5)
        return min(table.costs(state, on_reliable=False, on_unreliable=False))

    by_slack = [least(s, 6.0) for s in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)]
    by_work = [least(2.0, w) for w in (0.5, 1.0, 2.0, 4.0, 8.0)]
    assert by_slack == sorted(by_slack, reverse=True)
    assert by_work == sorted(by_work)


def test_being_there_is_never_dearer_than_going_there() -> None:
    table = _table(_market(SHORT))
    state = State(3.0, 6.0, True, 0.5)
    away = table.costs(state, on_reliable=False, on_unreliable=False)
    there = table.costs(state, on_reliable=True, on_unreliable=True)
    assert there.reliable < away.reliable
    assert there.unreliable < away.unreliable
