"""What is going to happen, in order: bids that arrive, hosts that die, escrows that are swept.

Markets and the host script put callbacks here; the server runs the due ones before each request
and on a short tick, so that a jump of the clock replays everything in between in its order.
"""

import heapq
import itertools
from collections.abc import Callable


class Timeline:
    """A queue of callbacks by sandbox time; each is told the time it was meant for."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self.present: float | None = None
        """The time of the action that runs just now; None between actions."""

    def at(self, when: float, action: Callable[[float], None]) -> None:
        """Plans `action(when)`."""
        heapq.heappush(self._queue, (when, next(self._order), action))

    def run(self, now: float) -> None:
        """Runs everything due by `now`, including what the due actions add."""
        while self._queue and self._queue[0][0] <= now:
            when, _, action = heapq.heappop(self._queue)
            self.present = when
            try:
                action(when)
            finally:
                self.present = None
