"""The figures of an outcome add up."""

from __future__ import annotations

import pytest

from overspill.simulate.history import Series
from overspill.simulate.replay import replay
from overspill.simulate.scenario import scenario
from overspill.simulate.summary import course, summary
from overspill.simulate.words import percent, span, usd

from .conftest import Maker, cloud, job


def test_cost_reference_and_saving(past: Maker) -> None:
    outcome = replay(past([job(), job("b", gpus=2)], 1, cloud()), scenario("overspill"))
    found = summary(outcome, None)
    assert found.reference_usd == pytest.approx(4.0 * 3)
    assert found.usd == pytest.approx(0.1 * 3 * 3630 / 3600)
    assert found.saved_usd == pytest.approx(12.0 - found.usd)
    assert summary(outcome, 2.0).reference_usd == pytest.approx(6.0)
    assert found.useful_gpu_h == pytest.approx(3.0)


def test_without_a_reference_nothing_is_claimed(past: Maker) -> None:
    found = summary(replay(past([job()]), scenario("overspill")), None)
    assert (found.reference_usd, found.saved_usd) == (None, None)


def test_classes_tell_promised_and_attained(past: Maker) -> None:
    jobs = [
        job("kept", deadline_s=9000.0, sla="guaranteed"),
        job("late", deadline_s=600.0, sla="guaranteed"),
        job("free"),
    ]
    found = summary(replay(past(jobs, 1, cloud()), scenario("overspill")), None)
    lines = {c.name: c for c in found.classes}
    assert (lines["guaranteed"].promised, lines["guaranteed"].kept) == (2, 1)
    assert lines["guaranteed"].attained == 0.5
    assert lines["standard"].attained is None
    assert (found.promised, found.missed) == (2, 1)


def test_places_and_losses(past: Maker) -> None:
    blinks = cloud(gpus=Series((0.0, 1680.0, 5280.0), (8, 0, 8)))
    found = summary(replay(past([job()], 0, blinks), scenario("overspill")), None)
    (place,) = found.places
    assert (place.name, place.stays, place.losses) == ("cloud", 2, 1)
    assert place.usd == pytest.approx(found.usd)
    assert found.rented_share == 1.0
    assert found.rework_share == pytest.approx(300 / (3600 + 300 + 360))


def test_the_course_holds_all_gpu_hours_and_dollars(past: Maker) -> None:
    jobs = [job(f"j{i}", 600.0 * i, gpus=4) for i in range(6)]
    outcome = replay(past(jobs, 1, cloud()), scenario("overspill"))
    found, over = summary(outcome, None), course(outcome, 50)
    hours = sum(over.own) * over.width_s / 3600 + sum(over.rented) * over.width_s / 3600
    assert hours == pytest.approx(sum(p.gpu_h for p in found.places))
    assert over.spent[-1] == pytest.approx(found.usd - found.double_usd)
    assert list(over.spent) == sorted(over.spent)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (usd(1234.5), "$1,234"),
        (usd(-3.456), "-$3.46"),
        (usd(None), "unknown"),
        (percent(0.00001), "<0.1 %"),
        (percent(0.99999), ">99.9 %"),
        (percent(0.123), "12.3 %"),
        (span(59), "59 s"),
        (span(3660), "1 h 1 min"),
        (span(90000), "1 d 1 h"),
    ],
)
def test_figures_read_well(told: str, text: str) -> None:
    assert told == text
