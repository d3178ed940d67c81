"""The worlds that speed is measured on are worlds in which something is decided."""

from collections import Counter

from benchmarks.placement import speed

from overspill.core.decision import Action
from overspill.core.placement import plan
from overspill.core.reasons import Reason


def test_rented_jobs_find_places_and_some_wait_for_a_better_one() -> None:
    seen = speed.market(40, 12, days=2)
    found = plan(seen, speed.NOW)
    assert len({job.work for job in seen.jobs}) == 40, "equal jobs would share their rankings"
    actions = Counter(d.action for d in found)
    assert actions[Action.PLACE] > 5
    asked = plan(speed.market(40, 12), speed.NOW)
    assert [d.offer for d in found] != [d.offer for d in asked], "the past changes something"


def test_a_home_that_is_too_small_keeps_jobs_waiting() -> None:
    found = plan(speed.home(120, 12), speed.NOW)
    assert {d.reason for d in found} >= {Reason.HOME_FITS, Reason.WAITING_FOR_HOME}


def test_the_table_tells_one_line_for_every_world() -> None:
    timed = speed.Timed("3 jobs", jobs=3, first_ms=9.0, wall_ms=7.0, cpu_ms=6.0)
    assert timed.per_decision_us == 2000
    assert speed.table([timed]).splitlines()[1].split() == ["3", "jobs", "9", "7", "6", "2000"]
