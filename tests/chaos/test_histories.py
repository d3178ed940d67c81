"""L2 and L6: seeded histories of the real engine. A failure prints the line that replays it."""

import pytest

from .history import run_seed

SEEDS = 120


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_history_leaks_doubles_or_kills(seed: int) -> None:
    found = run_seed(seed)
    assert found == [], f"replay: .venv/bin/python -m benchmarks.chaos replay {seed}"
