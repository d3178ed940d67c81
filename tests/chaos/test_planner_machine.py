"""L1, a small profile of any order of events over the pure planner; `make chaos` runs 100,000."""

import pytest

from .planner_bugs import BUGS, PlannerBug, found
from .planner_machine import lived


@pytest.mark.parametrize("seed", range(6))
def test_no_order_of_events_makes_the_planner_break_a_promise(seed: int) -> None:
    steps, wrong = lived(seed, examples=12)
    assert wrong == "", f"replay: .venv/bin/python -m benchmarks.chaos planner {seed}"
    assert steps > 100


@pytest.mark.parametrize("bug", BUGS[:4], ids=lambda bug: bug.name)
def test_a_mistake_in_the_planner_is_found(bug: PlannerBug) -> None:
    assert found(bug) is not None
