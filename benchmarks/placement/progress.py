"""How far a long run is, and about how long it will still take, on stderr every few seconds.

Cases of different suites take very different times, so each counts as what it usually takes; the
pace is that of this run. Called by `__main__` and the suites.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

EVERY_S = 10.0


@dataclass
class _Part:
    """One suite: cases to do, how many are done, and the CPU seconds of one."""

    count: int
    usual_s: float
    done: int = 0

    @property
    def left_s(self) -> float:
        return (self.count - self.done) * self.usual_s


class Course:
    """The parts of one run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._parts = clock, dict[str, _Part]()
        self._began = self._said = clock()
        self._done_s = 0.0

    def expect(self, part: str, count: int, usual_s: float) -> None:
        """So many cases of CPU seconds each; said again once it is known what is there already."""
        self._parts[part] = _Part(count, usual_s)

    def step(self, part: str) -> None:
        """One more case is done."""
        one = self._parts[part]
        one.done += 1
        self._done_s += one.usual_s
        now = self._clock()
        if now - self._said >= EVERY_S:
            self._said = now
            print(self.told(part), file=sys.stderr, flush=True)

    def told(self, part: str) -> str:
        """Where it is, and the minutes left of all."""
        one = self._parts[part]
        left_min = self.left_s / 60
        return f"{part}: {one.done}/{one.count}; about {left_min:.0f} min left of all"

    @property
    def left_s(self) -> float:
        """Seconds until all is done, at the pace so far; at first that of idle cores."""
        usual = sum(part.left_s for part in self._parts.values())
        if not self._done_s:
            return usual / (os.cpu_count() or 1)
        return usual * (self._clock() - self._began) / self._done_s
