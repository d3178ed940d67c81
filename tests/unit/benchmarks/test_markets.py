"""The programs that show the markets: every failure has its case, verdicts fail, tables fit."""

import importlib
from decimal import Decimal
from typing import Any

import pytest
from benchmarks import markets_abandoned, markets_faults, markets_tour
from benchmarks.markets_abandoned import Left
from benchmarks.markets_cases import LOG_READERS, Case, Outcome, cases_of
from benchmarks.markets_faults import Result
from benchmarks.markets_tour import Stop
from benchmarks.markets_world import Money

from overspill.sandbox import markets
from overspill.sandbox.faults import HTTP_ACTIONS, MARKET_ACTIONS
from overspill.testing.markets import ready

CLEAN = Money(Decimal(1), Decimal(1), created=1, active=1, problems=())


def lease(reason: str = "Finished") -> dict[str, Any]:
    return {"status": {"closing": {"reason": reason}}}


@pytest.mark.parametrize("market", markets.known())
def test_every_failure_of_a_market_is_played(market: str) -> None:
    module = importlib.import_module(f"overspill.sandbox.markets.{market}.market")
    played = {rule["action"] for case in cases_of(market) for rule in case.rules}
    assert set(module.FAULTS) - LOG_READERS <= played
    assert played <= set(HTTP_ACTIONS) | set(MARKET_ACTIONS) | set(module.FAULTS)


@pytest.mark.parametrize("market", markets.known())
def test_what_must_strike_once_does_not_strike_for_ever(market: str) -> None:
    rules = [rule for case in cases_of(market) for rule in case.rules]
    assert all("count" in rule or "for_s" in rule for rule in rules)


@pytest.mark.parametrize(
    ("outcome", "leases", "active", "is_so"),
    [
        (Outcome.SAME, [lease()], 1, True),
        (Outcome.SAME, [lease("Lost"), lease()], 2, False),
        (Outcome.MOVES, [lease("Lost"), lease()], 2, True),
        (Outcome.MOVES, [lease("Superseded"), lease()], 2, False),
        (Outcome.REPLACED, [lease("Rejected"), lease()], 1, True),
        (Outcome.REPLACED, [lease()], 1, False),
        (Outcome.EITHER, [lease()], 1, True),
    ],
)
def test_an_outcome_is_what_was_seen(
    outcome: Outcome, leases: list[dict[str, Any]], active: int, is_so: bool
) -> None:
    result = Result(Case("vast", "x", outcome))
    money = Money(Decimal(1), Decimal(1), created=1, active=active, problems=())
    markets_faults.judge(result, leases, money, struck=True)
    assert (result.problems == []) is is_so


def test_a_fault_that_never_struck_proves_nothing() -> None:
    result = Result(Case("vast", "x", Outcome.SAME))
    markets_faults.judge(result, [lease()], CLEAN, struck=False)
    assert result.problems == ["the fault never struck"]


def test_a_leak_is_a_problem_whatever_the_outcome() -> None:
    result = Result(Case("vast", "x", Outcome.EITHER))
    leak = Money(Decimal(1), Decimal(1), 1, 1, problems=("gl-1 is still held",))
    markets_faults.judge(result, [lease()], leak, struck=True)
    assert result.problems == ["gl-1 is still held"]


def test_more_than_was_declared_is_a_problem() -> None:
    left = Left("vast", declared_usd=Decimal(3))
    held = {"metadata": {"name": "gl-1"}}
    summary = {"by_key": {"gl-1": {"usd": "3.01"}}, "held": {}, "doubles": {}, "double_creates": {}}
    markets_abandoned.held_against(left, held, summary)
    assert left.problems == ["billed 3.01 USD, declared 3"]


def test_the_tables_fit_the_screen_and_name_what_is_not_so() -> None:
    stops = [Stop(name, quoted="0.34", paid="0.34", log="read") for name in ready()]
    stops[0].problems.append("no offers")
    cases = [Result(case, "Complete, 2 leases, 1 ran") for m in ready() for case in cases_of(m)]
    left = [Left(name, "Deadline", rate="0.34") for name in ready()]
    tables = (
        markets_tour.table(stops),
        markets_faults.table(cases),
        markets_abandoned.table(left),
    )
    assert all(len(line) <= 100 for text in tables for line in text.splitlines())
    assert f"{stops[0].market}: no offers" in tables[0]
