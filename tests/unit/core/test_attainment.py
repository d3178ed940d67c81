"""Attained against promised of a class: everything once, by day, however often it is counted."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from overspill.core.attainment import (
    Attainment,
    Share,
    Tally,
    begun,
    document,
    parsed,
    share_of_job,
)
from overspill.core.availability import WINDOW, Standing, Uptime
from overspill.core.promise import Settlement
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import PromiseOutcome, Workload
from overspill.testing.placing import HOUR, MINUTE, NOW, make_job

DAY = timedelta(days=1)
STEADY = SlaClass("steady", availability_target=Decimal("0.99"))
KEPT, BROKEN, RELEASED = PromiseOutcome.KEPT, PromiseOutcome.BROKEN, PromiseOutcome.RELEASED


def promise(made: timedelta, at: timedelta | None = None, outcome: PromiseOutcome = KEPT) -> Share:
    settled = None if at is None else Settlement(outcome, NOW + at)
    return Share(NOW + made, settled)


def service(*down: tuple[timedelta, timedelta], since: datetime = NOW) -> Share:
    """A service that first ran then, and was down in these spans."""
    known = Uptime(since)
    for low, high in down:
        known = known.then(Standing.DOWN, NOW + low, NOW + low)
        known = known.then(Standing.UP, NOW + high, NOW + high)
    return Share(uptime=known)


SHARES = [
    promise(HOUR, 3 * HOUR),
    promise(2 * HOUR, 30 * HOUR, BROKEN),
    promise(2 * HOUR, 31 * HOUR, RELEASED),
    promise(40 * HOUR),
    service((2 * HOUR, 4 * HOUR), (11 * HOUR + 50 * MINUTE, 12 * HOUR + 10 * MINUTE)),
    service(since=NOW + 24 * HOUR),
]
END = NOW + 48 * HOUR
WHOLE = Tally(4, 1, 1, 72 * HOUR, 2 * HOUR + 20 * MINUTE)


def test_everything_is_counted_once() -> None:
    known = Attainment(NOW, NOW).counted(SHARES, END)
    assert known.total == WHOLE
    assert known.counted(SHARES, END) is known
    assert known.counted(SHARES, END - DAY) is known, "never backwards"


@pytest.mark.parametrize("seed", range(5))
def test_however_often_and_whoever_counts(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  (seeded on purpose)
    known = Attainment(NOW, NOW)
    while known.until < END:
        until = min(END, known.until + timedelta(seconds=dice.randrange(1, 20_000)))
        known = known.counted(SHARES, until)
        if dice.random() < 0.5:  # another leader goes on from what was written
            again = parsed(document(known, STEADY))
            assert again == known
            known = again
    assert known.total == WHOLE


def test_days_are_cut_at_midnight_utc() -> None:
    known = Attainment(NOW, NOW).counted(SHARES, END)
    first, second, third = (known.days[(NOW + n * DAY).date()] for n in range(3))
    assert first == Tally(3, 1, 0, 12 * HOUR, 2 * HOUR + 10 * MINUTE)
    assert second == Tally(0, 0, 1, 36 * HOUR, 10 * MINUTE)
    assert third == Tally(1, 0, 0, 24 * HOUR, timedelta(0))


def test_what_is_older_than_the_window_is_forgotten() -> None:
    known = Attainment(NOW, NOW).counted(SHARES[:4], END)
    assert known.counted(SHARES[:4], NOW + WINDOW - HOUR).total.made == 4
    late = known.counted(SHARES[:4], NOW + WINDOW + DAY)
    assert late.total == Tally(1, 0, 1)
    assert late.counted([], NOW + 3 * WINDOW).days == {}


def test_a_service_that_ended_is_wanted_no_longer() -> None:
    share = replace(service((HOUR, 2 * HOUR)), ended_at=NOW + 5 * HOUR)
    assert share.between(NOW, END) == Tally(wanted=5 * HOUR, down=HOUR)
    assert share.between(NOW + 6 * HOUR, END) == Tally()


def test_the_first_count_begins_with_the_oldest_job() -> None:
    assert begun(SHARES, END).counted(SHARES, END).total == WHOLE
    assert begun([], END).until >= END - MINUTE
    ancient = promise(-9 * WINDOW)
    assert begun([ancient], END).until == END - WINDOW


def test_what_a_person_reads_of_it() -> None:
    shown = document(Attainment(NOW, NOW).counted(SHARES, END), STEADY)
    days = shown.pop("days")
    assert shown == {
        "windowDays": 30,
        "sinceTime": "2026-09-01T12:00:00Z",
        "countedUntilTime": "2026-09-03T12:00:00Z",
        "promisesMade": 4,
        "promisesKept": 1,
        "promisesBroken": 1,
        "finishByKept": "50 %",
        "availability": "0.96759",
        "wantedSeconds": 259200,
        "downSeconds": 8400,
        "budgetRemaining": "-96.8 min",
    }
    assert [day["date"] for day in days] == ["2026-09-01", "2026-09-02", "2026-09-03"]
    assert days[2] == {"date": "2026-09-03", "made": 1, "wantedSeconds": 86400, "downSeconds": 0}


def test_only_what_was_promised_is_counted() -> None:
    assert share_of_job(make_job(), NOW) is None
    assert share_of_job(replace(make_job(), workload=Workload.INFERENCE), NOW) is None
    made = share_of_job(replace(make_job(), finish_by=NOW - HOUR), NOW)
    assert made is not None
    assert made.settled is not None
    assert made.settled.outcome is BROKEN


def test_a_clock_that_ran_ahead_does_not_stop_the_count() -> None:
    ahead = Attainment(NOW, NOW).counted(SHARES, NOW + 200 * DAY)
    back = ahead.rewound(NOW + HOUR)
    assert back.until == NOW + HOUR
    assert all(day <= NOW.date() for day in back.days)
    assert back.counted(SHARES, END).until == END
    honest = Attainment(NOW, NOW).counted(SHARES, END)
    assert honest.rewound(END) is honest
