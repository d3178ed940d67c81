"""Waiting for the cluster to come to a state: the one place where the bed polls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 3.0
"""A busy machine (two suites on two cores) is several times slower, and a scheduler comes back up
to half a minute after its API server did. Waiting longer makes no claim weaker, only a failure
slower; what must be quick is measured by the benchmarks."""


class NotReachedError(TimeoutError):
    """The awaited state did not come in time."""


def until(condition: Callable[[], T], what: str, timeout: float = 60.0, every: float = 0.2) -> T:
    """Return the first true value of `condition`; raise `NotReachedError` naming `what`.

    `timeout` is what a quiet machine needs at most, in seconds; see `PATIENCE`.
    """
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise NotReachedError(f"not reached within {timeout:.0f} s: {what}")
        time.sleep(every)
    return value
