"""Lives are learnt from runs, the prior filling what was not seen."""

import math

import pytest

from overspill.core.policy_lifetime import Hazards, Run, bucket, learn

FLAT = Hazards((0.5, 0.5, 0.5, 0.5))


def test_a_flat_hazard_lives_one_over_the_rate_at_any_age() -> None:
    assert FLAT.life(0.0, 1000.0) == pytest.approx(2.0)
    assert FLAT.life(7.0, 1000.0) == pytest.approx(2.0)


def test_nothing_is_counted_past_the_horizon() -> None:
    assert FLAT.life(0.0, 1.0) == pytest.approx((1 - math.exp(-0.5)) / 0.5)
    assert Hazards((0.0, 0.0, 0.0, 0.0)).life(0.0, 12.0) == pytest.approx(12.0)


def test_what_has_lasted_lasts_longer_when_the_hazard_falls() -> None:
    falling = Hazards((2.0, 1.0, 0.5, 0.1))
    lives = [falling.life(age, 48.0) for age in (0.0, 0.5, 2.0, 5.0)]
    assert lives == sorted(lives)
    assert lives[0] < lives[-1] / 2


def test_survival_multiplies_over_spans() -> None:
    falling = Hazards((2.0, 1.0, 0.5, 0.1))
    whole = falling.survival(0.1, 5.0)
    assert whole == pytest.approx(falling.survival(0.1, 2.0) * falling.survival(2.1, 3.0))


@pytest.mark.parametrize(("age", "expected"), [(0.0, 0), (0.25, 1), (1.0, 2), (3.99, 2), (4.0, 3)])
def test_bucket_of_an_age(age: float, expected: int) -> None:
    assert bucket(age) == expected


def test_nothing_seen_leaves_the_prior() -> None:
    assert learn([], FLAT, 2.0).rates == pytest.approx(FLAT.rates)


def test_much_seen_overrules_the_prior() -> None:
    seen = [Run(0.2, ended=True)] * 400
    learnt = learn(seen, FLAT, 2.0)
    assert learnt.rates[0] == pytest.approx(5.0, rel=0.1)
    assert learnt.rates[3] == pytest.approx(0.5)


def test_a_run_that_goes_on_is_exposure_without_an_end() -> None:
    cut = learn([Run(10.0, ended=False)], FLAT, 2.0)
    ended = learn([Run(10.0, ended=True)], FLAT, 2.0)
    assert cut.rates[3] < FLAT.rates[3] < 0.6
    assert ended.rates[3] > cut.rates[3]
    assert ended.rates[:3] == cut.rates[:3]


def test_a_run_watched_from_an_age_says_nothing_about_younger_ones() -> None:
    late = learn([Run(3.0, ended=True, since=5.0)], FLAT, 2.0)
    assert late.rates[:3] == pytest.approx(FLAT.rates[:3])
    assert late.rates[3] != FLAT.rates[3]


def test_what_was_long_ago_counts_less() -> None:
    now = learn([Run(0.2, ended=True)] * 20, FLAT, 2.0)
    then = learn([Run(0.2, ended=True, weight=0.1)] * 20, FLAT, 2.0)
    assert FLAT.rates[0] < then.rates[0] < now.rates[0]
