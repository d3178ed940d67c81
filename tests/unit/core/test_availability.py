"""Up, down and suspended: what is counted, what is not, and a record that is written and read."""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core import availability
from overspill.core.availability import (
    MOST_BREAKS,
    WINDOW,
    ZERO,
    Break,
    Standing,
    Uptime,
    allowed,
    begun,
    document,
    parsed,
    share_of,
)
from overspill.testing.placing import HOUR, MINUTE, NOW

UP, DOWN, SUSPENDED = Standing
DAY = timedelta(days=1)
TARGET = Decimal("0.999")


def told(*turns: tuple[timedelta, Standing]) -> Uptime:
    """A service that first ran at `NOW`, and each turn it took, told at once."""
    known = Uptime(NOW)
    for after, standing in turns:
        known = known.then(standing, NOW + after, NOW + after)
    return known


def test_nothing_counts_before_it_first_ran() -> None:
    assert begun(DOWN, NOW) is None
    assert begun(SUSPENDED, NOW) is None
    assert begun(UP, NOW) == Uptime(NOW)


def test_down_while_wanted_counts_and_suspended_does_not() -> None:
    known = told((HOUR, DOWN), (2 * HOUR, UP), (5 * HOUR, SUSPENDED), (15 * HOUR, UP))
    later = NOW + 20 * HOUR
    assert known.down(NOW, later) == HOUR
    assert known.wanted(NOW, later) == 10 * HOUR
    assert known.share(later) == Decimal("0.9")


def test_a_break_that_lasts_counts_up_to_now() -> None:
    known = told((HOUR, DOWN))
    assert known.standing is DOWN
    assert known.down(NOW, NOW + 4 * HOUR) == 3 * HOUR
    assert known.share(NOW + 4 * HOUR) == Decimal("0.25")


def test_the_same_word_again_changes_nothing() -> None:
    known = told((HOUR, DOWN))
    assert known.then(DOWN, NOW, NOW + 2 * HOUR) is known


def test_from_down_to_suspended_one_ends_where_the_other_begins() -> None:
    known = told((HOUR, DOWN), (2 * HOUR, SUSPENDED), (3 * HOUR, DOWN), (4 * HOUR, UP))
    assert [(b.standing, b.since - NOW) for b in known.breaks] == [
        (DOWN, HOUR), (SUSPENDED, 2 * HOUR), (DOWN, 3 * HOUR),
    ]  # fmt: skip
    assert known.down(NOW, NOW + 9 * HOUR) == 2 * HOUR


@pytest.mark.parametrize(
    ("since", "begins"),
    [
        (HOUR, HOUR),
        (-HOUR, ZERO),
        (9 * HOUR, 2 * HOUR),
    ],
    ids=["as recorded", "never before it ran", "never in the future"],
)
def test_a_break_is_dated_by_records_within_reason(since: timedelta, begins: timedelta) -> None:
    known = Uptime(NOW).then(DOWN, NOW + since, NOW + 2 * HOUR)
    assert known.breaks[0].since == NOW + begins


def test_a_target_allows_minutes_of_the_last_thirty_days() -> None:
    assert allowed(TARGET) // MINUTE == 43
    known = told((HOUR, DOWN), (HOUR + 13 * MINUTE, UP))
    left = known.budget_left(TARGET, NOW + DAY)
    assert left == allowed(TARGET) - 13 * MINUTE
    assert known.budget_left(TARGET, NOW + WINDOW + 2 * HOUR) == allowed(TARGET)
    worse = told((HOUR, DOWN), (3 * HOUR, UP))
    assert worse.budget_left(TARGET, NOW + DAY) < ZERO


def test_what_was_not_kept_is_never_rounded_away() -> None:
    assert share_of(timedelta(seconds=1), WINDOW) == Decimal("0.99999")
    assert share_of(ZERO, WINDOW) == 1
    assert share_of(2 * HOUR, HOUR) == 0
    assert share_of(ZERO, ZERO) == 1


def test_old_breaks_are_folded_into_the_totals() -> None:
    known = told((HOUR, DOWN), (2 * HOUR, UP), (3 * HOUR, SUSPENDED), (5 * HOUR, UP))
    late = NOW + WINDOW + 10 * DAY
    known = known.then(DOWN, late, late).then(UP, late + HOUR, late + HOUR)
    assert [b.since for b in known.breaks] == [late]
    assert (known.down_before, known.suspended_before) == (HOUR, 2 * HOUR)
    end = late + 2 * HOUR
    whole = end - NOW - 2 * HOUR
    assert known.share(end) == share_of(2 * HOUR, whole)
    assert document(known)["downSeconds"] == 7200


def test_very_many_breaks_stay_few_and_nothing_is_lost() -> None:
    known = Uptime(NOW)
    for turn in range(3 * MOST_BREAKS):
        at = NOW + turn * HOUR
        standing = SUSPENDED if turn % 3 else DOWN
        known = known.then(standing, at, at).then(UP, at + MINUTE, at + MINUTE)
    assert len(known.breaks) <= MOST_BREAKS
    end = NOW + 200 * HOUR
    assert known.down(NOW, end) + known.down_before == MOST_BREAKS * MINUTE
    wanted = known.wanted(NOW, end) - known.suspended_before
    assert wanted == 200 * HOUR - 2 * MOST_BREAKS * MINUTE


def test_a_record_is_the_same_after_it_was_written() -> None:
    dice = random.Random(3)  # noqa: S311  (seeded on purpose)
    known, at = Uptime(NOW), NOW
    for _ in range(200):
        at += timedelta(seconds=dice.randrange(1, 40_000))
        known = known.then(dice.choice(list(Standing)), at, at)
        again = parsed(document(known))
        assert again is not None
        assert again.standing is known.standing
        for low in (NOW, at - DAY, at - WINDOW):
            gap = timedelta(seconds=MOST_BREAKS)
            assert abs(again.down(low, at) - known.down(low, at)) <= gap
            assert abs(again.wanted(low, at) - known.wanted(low, at)) <= gap


def test_no_record_is_read_as_none() -> None:
    assert parsed(None) is None
    assert parsed({}) is None
    assert availability.parsed({"downSeconds": 3}) is None


def test_a_part_of_joined_breaks_is_counted_in_proportion() -> None:
    first = Break(DOWN, NOW, NOW + MINUTE)
    both = first.joined(replace(first, since=NOW + 9 * MINUTE, until=NOW + 10 * MINUTE))
    assert both.within(NOW, NOW + HOUR) == 2 * MINUTE
    assert both.within(NOW, NOW + 5 * MINUTE) == MINUTE
