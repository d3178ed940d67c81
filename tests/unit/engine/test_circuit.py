"""The circuit of one account: when it opens, for how long, and what closes it."""

from datetime import timedelta

import pytest

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    NoCapacity,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.engine.circuit import FAILURES_TO_OPEN, FIRST_PAUSE_S, MAX_PAUSE_S, Circuit


def failing(times: int, error: ProviderError | None = None, now: float = 0.0) -> Circuit:
    circuit = Circuit("market")
    for _ in range(times):
        circuit.failed(error or Unavailable("no answer"), now)
    return circuit


def test_a_fresh_account_is_usable() -> None:
    circuit = Circuit("market")
    assert circuit.health().is_usable
    assert circuit.allows(0)


def test_a_few_failures_are_borne() -> None:
    circuit = failing(FAILURES_TO_OPEN - 1)
    assert circuit.health().is_usable
    assert circuit.allows(0)


def test_repeated_silence_opens_it_for_a_pause() -> None:
    circuit = failing(FAILURES_TO_OPEN)
    assert not circuit.health().is_usable
    assert circuit.health().reason == "Unavailable"
    assert not circuit.allows(FIRST_PAUSE_S - 0.1)
    assert circuit.allows(FIRST_PAUSE_S)


def test_calls_that_fail_together_lengthen_the_pause_once() -> None:
    circuit = failing(FAILURES_TO_OPEN + 20)
    assert circuit.open_until == FIRST_PAUSE_S


def test_each_failed_probe_doubles_the_pause_up_to_a_limit() -> None:
    circuit, now, pauses = failing(FAILURES_TO_OPEN), FIRST_PAUSE_S, []
    for _ in range(8):
        circuit.failed(Unavailable("no answer"), now)
        pauses.append(circuit.open_until - now)
        now = circuit.open_until
    assert pauses[:3] == [20.0, 40.0, 80.0]
    assert pauses[-1] == MAX_PAUSE_S


def test_half_open_is_not_yet_usable_for_placement() -> None:
    circuit = failing(FAILURES_TO_OPEN)
    assert circuit.allows(FIRST_PAUSE_S)
    assert not circuit.health().is_usable


def test_an_answer_closes_it_and_forgets_the_pauses() -> None:
    circuit = failing(FAILURES_TO_OPEN)
    circuit.failed(Unavailable("no answer"), 10)
    circuit.succeeded(40)
    assert circuit.health().is_usable
    assert circuit.pause_s == FIRST_PAUSE_S


@pytest.mark.parametrize("error", [AuthRejected("wrong key"), InsufficientFunds("no money")])
def test_what_no_repeat_heals_opens_it_at_once(error: ProviderError) -> None:
    circuit = failing(1, error)
    assert not circuit.health().is_usable
    assert circuit.health().reason == type(error).__name__
    assert not circuit.allows(0)


def test_the_message_says_who_must_do_what() -> None:
    refused = failing(1, AuthRejected("akash: the market answered 401")).health().message
    assert refused == "akash: the market answered 401; put credentials that work into its Secret"
    assert "top the account up" in failing(1, InsufficientFunds("no money")).health().message


def test_no_capacity_is_an_answer_and_not_a_failure() -> None:
    assert failing(10, NoCapacity("sold out")).allows(0)


def test_a_rate_limit_is_obeyed_for_as_long_as_it_says() -> None:
    circuit = failing(1, RateLimited("slower", retry_after=timedelta(seconds=77)), now=100)
    assert not circuit.allows(176)
    assert circuit.allows(177)
    circuit.succeeded(177)
    assert circuit.health().is_usable


def test_that_reads_are_answered_puts_no_money_in_the_account() -> None:
    circuit = failing(1, InsufficientFunds("no money"))
    circuit.succeeded(FIRST_PAUSE_S - 1)
    assert circuit.health().reason == "InsufficientFunds"
    circuit.succeeded(FIRST_PAUSE_S)
    assert circuit.health().is_usable
    circuit.failed(InsufficientFunds("no money"), 20)
    assert circuit.open_until == 20 + 2 * FIRST_PAUSE_S


def test_a_paid_lease_proves_that_there_is_money() -> None:
    circuit = failing(1, InsufficientFunds("no money"))
    circuit.succeeded(1, has_paid=True)
    assert circuit.health().is_usable
    assert circuit.pause_s == FIRST_PAUSE_S


def test_no_answer_of_a_market_clears_an_obstacle_of_ours() -> None:
    circuit = Circuit("market", obstacle="the Secret x/y does not exist; create it")
    circuit.succeeded(1, has_paid=True)
    assert circuit.health() == type(circuit.health())(
        False, "NotConfigured", "the Secret x/y does not exist; create it"
    )
