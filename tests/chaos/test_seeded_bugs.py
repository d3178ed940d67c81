"""The campaign is checked itself: each seeded bug must be found by some history."""

import pytest

from .history import run_plan
from .plans import provoking
from .seeded_bugs import BUGS, SeededBug, caught


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_seeded_bug_is_caught(bug: SeededBug) -> None:
    assert caught(bug) is not None


@pytest.mark.parametrize("seed", range(12))
def test_the_same_histories_find_nothing_in_the_engine_as_it_is(seed: int) -> None:
    assert run_plan(provoking(seed)) == []
