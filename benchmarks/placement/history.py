"""What a place's past says, as runs of up and down: only what lies before a tick is told.

The runs of a series are found once and kept; every question names the tick it is asked at.
Called by the policies that learn.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from overspill.core.policy_lifetime import Run


class Past:
    """The past of one series of up and down."""

    def __init__(self, series: tuple[bool, ...], tick_s: int) -> None:
        self._series, self._hours = series, tick_s / 3600
        self._starts = [i for i in range(len(series)) if i == 0 or series[i] != series[i - 1]]
        self._sums = [0]
        for is_up in series:
            self._sums.append(self._sums[-1] + is_up)

    def age(self, tick: int) -> float:
        """Hours the state of this tick has lasted, this tick's start included."""
        return (tick - self._starts[bisect_right(self._starts, tick) - 1]) * self._hours

    def share(self, tick: int, window_h: float) -> float:
        """How much of the last hours it was up; a half where nothing was seen."""
        low = max(0, tick - round(window_h / self._hours))
        return (self._sums[tick] - self._sums[low]) / (tick - low) if tick > low else 0.5

    def runs(self, tick: int, window_h: float, *, up: bool) -> list[Run]:
        """The runs seen in the last hours, cut where the window and the present cut them."""
        low = max(0, tick - round(window_h / self._hours))
        index = bisect_right(self._starts, low) - 1
        found = []
        while index < len(self._starts) and self._starts[index] < tick:
            start = self._starts[index]
            end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self._series)
            if self._series[start] == up:
                seen_from, seen_to = max(start, low), min(end, tick)
                hours = (seen_to - seen_from) * self._hours
                found.append(Run(hours, end <= tick, (seen_from - start) * self._hours))
            index += 1
        return found


@lru_cache(maxsize=512)
def past(series: tuple[bool, ...], tick_s: int) -> Past:
    """The past of a series, found once."""
    return Past(series, tick_s)
