"""The most that open leases can cost if nobody ever comes back: never below what can be billed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.lease import Lease, Permit
from overspill.core.vocabulary import BillEnd, LeaseState
from overspill.core.worst_case import (
    NO_COST,
    WITHIN,
    Ending,
    account_worst_case,
    lease_worst_case,
    rounded_up,
)
from overspill.testing.placing import HOUR, NOW, make_job, make_lease, rent, usd

OFFER = rent("a1", "3", 2)
PERMIT = Permit(1, "me", 1, NOW, NOW)
SWITCH = Ending(BillEnd.DEADLINE, slack=timedelta(minutes=15), grain=HOUR)
PREPAID = Ending(BillEnd.PREPAID, grain=HOUR)
BALANCE = Ending(BillEnd.BALANCE)
NOTHING = Ending(BillEnd.NOTHING)


def lease(state: LeaseState = LeaseState.ACTIVE, **changes: Any) -> Lease:
    """Recorded an hour ago at 3 USD per hour, with 24 hours to go and 100 USD at most."""
    made = make_lease(make_job(gpus=2), OFFER, state)
    return replace(made, **{"permit": PERMIT, **changes})


@pytest.mark.parametrize(
    ("ending", "at_stake", "most", "within"),
    [
        pytest.param(SWITCH, None, "78", "78", id="a switch: begun hours up to deadline and slack"),
        pytest.param(PREPAID, None, "75", "75", id="prepaid: whole hours up to the deadline"),
        pytest.param(BALANCE, "50", "53", "53", id="the account runs empty first"),
        pytest.param(BALANCE, "5000", "5003", "2163", id="the account lasts for over a month"),
        pytest.param(BALANCE, "-4", "3", "3", id="the account is in debt: nothing more is lent"),
        pytest.param(BALANCE, None, None, "2163", id="nobody tells what is in the account"),
        pytest.param(NOTHING, "50", None, "2163", id="a balance that ends nothing bounds nothing"),
    ],
)
def test_what_ends_the_bill_bounds_it(
    ending: Ending, at_stake: str | None, most: str | None, within: str
) -> None:
    found = lease_worst_case(lease(), ending, None if at_stake is None else usd(at_stake), NOW)
    assert found.usd == (None if most is None else usd(most))
    assert found.within_usd == usd(within)


def test_a_prepaid_lease_has_paid_no_more_than_its_total() -> None:
    assert lease_worst_case(lease(max_total_usd=usd(20)), PREPAID, None, NOW).usd == 20


def test_a_switch_far_away_is_told_for_thirty_days_too() -> None:
    far = lease(hard_deadline=NOW + timedelta(days=300))
    found = lease_worst_case(far, Ending(BillEnd.DEADLINE), None, NOW)
    assert found.within_usd == usd(3) * (30 * 24 + 1)
    assert found.usd == usd(3) * (300 * 24 + 1)
    assert found.ends_at == far.hard_deadline


def test_a_switch_that_should_have_worked_is_not_believed_any_more() -> None:
    late = lease(hard_deadline=NOW - 2 * HOUR, created_at=NOW - 10 * HOUR)
    assert lease_worst_case(late, Ending(BillEnd.DEADLINE), None, NOW).usd == 30


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(lease(LeaseState.PLANNED, permit=None), id="planned, nothing was sent"),
        pytest.param(lease(LeaseState.CLOSED), id="closed"),
        pytest.param(lease(is_home=True), id="at home"),
        pytest.param(
            lease(LeaseState.CLOSING, permit=None, active_since=None), id="given up unsent"
        ),
    ],
)
def test_what_was_never_ordered_or_is_proven_gone_costs_nothing(harmless: Lease) -> None:
    assert lease_worst_case(harmless, NOTHING, None, NOW) == NO_COST
    assert account_worst_case([harmless], NOTHING, None, NOW) == NO_COST


@pytest.mark.parametrize("state", [LeaseState.OPENING, LeaseState.UNCERTAIN, LeaseState.CLOSING])
def test_what_may_exist_counts_at_its_cap_until_its_price_is_known(state: LeaseState) -> None:
    unknown = lease(state, price_usd_per_hour=None, active_since=None, max_usd_per_hour=usd(10))
    found = lease_worst_case(unknown, Ending(BillEnd.DEADLINE), None, NOW)
    assert found.usd == usd("10.1") * 25


def test_home_is_nobodys_bill() -> None:
    assert account_worst_case([lease()], Ending(BillEnd.HOME), None, NOW) == NO_COST


def test_the_leases_of_an_account_lose_its_money_once() -> None:
    both = [lease(), lease(created_at=NOW - 2 * HOUR)]
    assert account_worst_case(both, BALANCE, usd(50), NOW).usd == 3 + 6 + 50
    assert account_worst_case(both, BALANCE, usd(50), NOW).within_usd == 59
    assert account_worst_case(both, BALANCE, None, NOW).usd is None


def test_the_leases_of_an_account_end_with_the_last() -> None:
    later = lease(hard_deadline=NOW + 48 * HOUR)
    found = account_worst_case([lease(), later], PREPAID, None, NOW)
    assert found.usd == 75 + 100
    assert found.ends_at == NOW + 48 * HOUR
    assert account_worst_case([lease(), later], NOTHING, None, NOW).ends_at is None


@settings(deadline=None)
@given(
    rate=st.decimals("0.01", "50", places=2),
    stake=st.decimals("0", "500", places=2),
    spans=st.lists(st.integers(0, 40 * 24 * 3600), min_size=2, max_size=2),
    by=st.sampled_from([BillEnd.BALANCE, BillEnd.DEADLINE, BillEnd.NOTHING]),
)
def test_no_bill_passes_the_bound(
    rate: Decimal, stake: Decimal, spans: list[int], by: BillEnd
) -> None:
    """A market that bills by the second until its own end never bills more than was said."""
    older, until_deadline = (timedelta(seconds=s) for s in spans)
    held = lease(
        price_usd_per_hour=rate, created_at=NOW - older, hard_deadline=NOW + until_deadline
    )
    found = lease_worst_case(held, Ending(by), stake, NOW)
    ends = {
        BillEnd.DEADLINE: until_deadline,
        BillEnd.BALANCE: timedelta(hours=float(stake / rate)),
        BillEnd.NOTHING: WITHIN,
    }
    lasts = min(ends[by], WITHIN)
    billed = rate * Decimal((older + lasts).total_seconds()) / 3600
    assert billed <= found.within_usd + Decimal("0.01")
    assert found.usd is None or found.within_usd <= found.usd


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "0"), ("0.001", "0.01"), ("1.234", "1.24"), ("12.31", "12.4"), ("2163.2", "2170")],
)
def test_a_bound_is_rounded_upwards(amount: str, shown: str) -> None:
    assert rounded_up(usd(amount)) == usd(shown)
