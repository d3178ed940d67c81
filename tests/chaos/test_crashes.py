"""Double crashes, and crashes beside calls that run late: a sample, the rest in `make chaos`."""

import pytest

from .crashes import crash_twice


@pytest.mark.parametrize("seed", range(30))
def test_two_crashes_leak_and_double_nothing(seed: int) -> None:
    assert crash_twice(seed) == ""
