"""The all-in price, line by line, against figures worked out by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.filters import Market, Needs
from overspill.core.offer import GpuRequirements
from overspill.core.pricing import Terms, hours, quote, remaining_work, span, terms_of
from overspill.core.vocabulary import CapacityType
from overspill.testing.placing import AKASH, HOUR, make_checkpoint, make_job, rent, usd

NEEDS = Needs(GpuRequirements(), 1, (CapacityType.ON_DEMAND,))
TERMS = Terms(usd(10), True, Decimal("0.5"), usd(0), usd(0))
MARKET = Market(AKASH)


def test_without_losses_and_data_only_rate_and_start_are_paid() -> None:
    found = quote(rent(price="2"), MARKET, NEEDS, TERMS)
    assert {line.name: line.usd for line in found.lines} == {
        "rate": usd(20),
        "coldStart": usd("0.1"),
    }
    assert (found.total, found.useful) == (usd("20.1"), usd("2.01"))


@pytest.mark.parametrize(
    ("interval", "rework"),
    [
        # 10 h at λ = 1/100, d = 0.05: e^(λd)(e^(λτ)-1)/(λτ) - 1
        pytest.param("0.5", "0.030055", id="half an hour between checkpoints"),
        pytest.param(None, "0.522352", id="no checkpoint: the whole run is at stake"),
    ],
)
def test_losses_cost_the_work_that_is_done_again(interval: str | None, rework: str) -> None:
    terms = TERMS._replace(interval_h=Decimal(interval) if interval else None)
    found = quote(rent(price="1", mtbf=100 * HOUR), MARKET, NEEDS, terms)
    assert abs(found.rework_h - Decimal(rework)) < Decimal("0.000005")


def test_a_gang_is_lost_as_often_as_any_of_its_nodes() -> None:
    one = quote(rent(mtbf=100 * HOUR), MARKET, NEEDS, TERMS)
    four = quote(rent(mtbf=400 * HOUR), MARKET, NEEDS, TERMS._replace(num_nodes=4))
    assert one.rework_h == four.rework_h


def test_a_hopeless_place_is_dear_and_not_an_error() -> None:
    found = quote(rent(mtbf=timedelta(seconds=1)), MARKET, NEEDS, TERMS)
    assert found.total > usd(10_000)


def test_the_account_tells_what_the_offer_does_not() -> None:
    account = replace(AKASH, cold_start=HOUR, mtbf=100 * HOUR, egress_usd_per_gib=usd("0.1"))
    terms = TERMS._replace(moved_gib=usd(30))
    found = quote(rent(price="1", cold_start=timedelta(0)), Market(account), NEEDS, terms)
    assert (found.line("coldStart"), found.line("egress")) == (usd(1), usd(3))
    assert found.line("rework") > 0


def test_a_minimum_is_paid_only_beyond_the_run() -> None:
    assert quote(rent(min_billable=5 * HOUR), MARKET, NEEDS, TERMS).line("minimum") == 0
    long = quote(rent(price="1", min_billable=20 * HOUR), MARKET, NEEDS, TERMS)
    assert long.line("minimum") == usd("9.95")


def test_a_restart_pays_for_the_restore_and_its_bytes() -> None:
    contract = make_checkpoint(restore=HOUR)
    fresh = make_job(work=10 * HOUR, checkpoint=contract, data_gib=usd(5))
    resumed = replace(fresh, durable_checkpoint_uri="s3://team/train/1")
    assert terms_of(fresh, restarts=True).moved_gib == 5
    again = terms_of(resumed, restarts=True)
    assert (again.moved_gib, again.restore_h) == (15, 1)


@pytest.mark.parametrize(
    ("percent", "has_contract", "restarts", "left"),
    [
        pytest.param(None, True, True, 10, id="nothing reported: all of it"),
        pytest.param(50, True, False, 5, id="half done and still running: the other half"),
        pytest.param(50, True, True, 5.5, id="a restart repeats one interval"),
        pytest.param(50, False, True, 10, id="a restart without checkpoint repeats everything"),
        pytest.param(1, True, True, 10, id="no more than all of it"),
        pytest.param(100, True, False, 0, id="done"),
    ],
)
def test_the_remaining_work(
    percent: int | None, has_contract: bool, restarts: bool, left: float
) -> None:
    contract = make_checkpoint() if has_contract else None
    job = make_job(work=10 * HOUR, progress_percent=percent, checkpoint=contract)
    assert remaining_work(job, restarts=restarts) == left * HOUR


def test_work_that_nobody_estimated_is_unknown() -> None:
    assert remaining_work(make_job(), restarts=False) is None
    assert not terms_of(make_job(), restarts=False).is_known


SOME = st.integers(1, 2000)


@settings(deadline=None)
@given(work=SOME, mtbf=SOME, longer=SOME, interval=SOME)
def test_a_place_that_lasts_longer_never_costs_more(
    work: int, mtbf: int, longer: int, interval: int
) -> None:
    terms = TERMS._replace(work_h=Decimal(work) / 10, interval_h=Decimal(interval) / 100)
    short = quote(rent(mtbf=mtbf * HOUR), MARKET, NEEDS, terms)
    long = quote(rent(mtbf=(mtbf + longer) * HOUR), MARKET, NEEDS, terms)
    assert long.total <= short.total
    assert long.total >= quote(rent(), MARKET, NEEDS, terms).total


def test_hours_are_exact_both_ways() -> None:
    assert hours(timedelta(minutes=90)) == Decimal("1.5")
    assert span(Decimal("1.5")) == timedelta(minutes=90)
