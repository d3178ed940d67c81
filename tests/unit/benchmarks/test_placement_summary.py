"""The one table at the end, and what is told on the way there."""

import pytest
from benchmarks.placement.progress import Course
from benchmarks.placement.stats import Interval
from benchmarks.placement.summary import WIDTH, Entry, sentence, table, verdict


def test_the_table_keeps_to_a_hundred_columns() -> None:
    others = {f"policy-{number}": "ahead of" for number in range(14)}
    widest = "cost/optimum 95.461 [95.461 105.461]"
    told = table([Entry("s1-2022", widest, "103.157", "0", "12.3", "136.965", [sentence(others)])])
    assert max(map(len, told.splitlines())) <= WIDTH
    assert "policy-13" in told


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-2.0, -1.0, "ahead of"), (-1.0, 1.0, "level with"), (1.0, 2.0, "behind")],
    ids=["ahead", "level", "behind"],
)
def test_a_verdict_needs_an_interval_without_zero(low: float, high: float, word: str) -> None:
    assert verdict(Interval((low + high) / 2, low, high)) == word


def test_who_is_ahead_level_and_behind_stands_in_one_sentence() -> None:
    verdicts = {"a": "behind", "b": "ahead of", "c": "ahead of", "d": "level with"}
    assert sentence(verdicts) == "ahead of b, c; level with d; behind a"


def test_time_left_follows_the_pace_and_counts_what_cases_usually_take() -> None:
    now = [0.0]
    course = Course(clock=lambda: now[0])
    course.expect("long", 2, usual_s=30)
    course.expect("short", 60, usual_s=1)
    now[0] = 60.0
    course.step("long")
    assert course.left_s == pytest.approx(180)
    assert course.told("long") == "long: 1/2; about 3 min left of all"


def test_what_is_known_from_before_takes_no_time() -> None:
    course = Course(clock=lambda: 0.0)
    course.expect("long", 2, usual_s=30)
    course.expect("long", 0, usual_s=30)
    assert course.left_s == 0
