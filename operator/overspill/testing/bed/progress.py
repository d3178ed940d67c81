"""Plain progress lines: what is being done, for how long, and whether it came from the cache."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str], None]

HEARTBEAT_SECONDS = 15.0


def silent(_line: str) -> None:
    """The default: a library does not print."""


def to_stderr(line: str) -> None:
    """For programs whose standard output is a result."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def step(progress: Progress, what: str) -> Iterator[None]:
    """Announce `what`, repeat it with the elapsed time while it runs, and say when it is done."""
    started = time.monotonic()
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            progress(f"testbed: {what} ... {time.monotonic() - started:.0f} s")

    ticker = threading.Thread(target=repeat, daemon=True)
    progress(f"testbed: {what}")
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
    progress(f"testbed: {what}: done in {time.monotonic() - started:.1f} s")
