"""Money and time as people read them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.cli.render import usd
from overspill.cli.times import age, clock, span
from overspill.testing.cli_samples import NOW


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("3.1"), "3.10"),
        ("0", "0.00"),
        ("1234567.891", "1,234,567.89"),
        ("0.0342", "0.0342"),
        ("-0.5", "-0.50"),
        (None, ""),
        ("rubbish", ""),
        (True, ""),
    ],
)
def test_dollars(value: object, text: str) -> None:
    assert usd(value) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=119), "119m"),
        (timedelta(hours=2), "2h"),
        (timedelta(hours=3, minutes=20), "3h20m"),
        (timedelta(hours=47, minutes=30), "47h"),
        (timedelta(days=5, hours=3), "5d"),
    ],
)
def test_spans(length: timedelta, text: str) -> None:
    assert span(length) == text


@pytest.mark.parametrize("written", [None, "", "yesterday", 17])
def test_unreadable_times_are_blank(written: object) -> None:
    assert age(written, NOW) == clock(written) == ""


def test_times_are_shown_in_utc() -> None:
    assert clock("2026-11-25T12:00:00+02:00") == "2026-11-25 10:00Z"
    assert age("2026-11-25T11:59:30Z", NOW) == "30s"
