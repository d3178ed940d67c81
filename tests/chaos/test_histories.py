"""L2 and L6: seeded histories of the real engine. A failure prints the line that replays it."""

import pytest

from .history import run_plan, run_seed
from .plans import emptied

SEEDS = 120


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_history_leaks_doubles_or_kills(seed: int) -> None:
    found = run_seed(seed)
    assert found == [], f"replay: .venv/bin/python -m benchmarks.chaos replay {seed}"


@pytest.mark.parametrize("seed", range(12))
def test_lists_that_say_200_and_hold_nothing_end_nothing_that_is_wanted(seed: int) -> None:
    assert run_plan(emptied(seed)) == []
