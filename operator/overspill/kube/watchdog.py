"""Ends the process when its leadership was not renewed in time, from a thread of its own.

The elector feeds it. A blocked event loop, a stopped process that wakes up, a hung API server:
none of them can keep acting past the deadline.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable

POLL_S = 0.25
EXIT_CODE = 70

log = logging.getLogger(__name__)


def end_process(why: str) -> None:
    """Says why and ends the process at once: no clean-up that could still act."""
    sys.stderr.write(f"overspill: ending the process: {why}\n")
    sys.stderr.flush()
    os._exit(EXIT_CODE)


class Watchdog:
    """A deadline that must be moved on before it passes. `monotonic` is read from its thread."""

    def __init__(
        self, monotonic: Callable[[], float], end: Callable[[str], None] = end_process
    ) -> None:
        self._monotonic = monotonic
        self._end = end
        self._until = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch; calling it again changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="election", daemon=True)
            self._thread.start()

    def allow_until(self, moment: float) -> None:
        """Moves the deadline."""
        self._until = moment

    def stop(self) -> None:
        """Ends the watch, not the process."""
        self._stopped.set()

    def end(self, why: str) -> None:
        """Ends the process now."""
        self._end(why)

    def check(self) -> bool:
        """Ends the process when the deadline has passed; False then."""
        if self._monotonic() < self._until:
            return True
        self._end("leadership was not renewed in time")
        return False

    def _watch(self) -> None:
        while not self._stopped.wait(POLL_S):
            if not self.check():
                return
