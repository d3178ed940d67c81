"""An engine over nothing: a cluster that only remembers, a clock that a test moves."""

import pytest

from .world import World


@pytest.fixture
def world() -> World:
    return World()
