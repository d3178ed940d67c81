"""A clock that stands still until a test moves it; whoever sleeps waits for the test.

For code with several tasks at once (informer, elector). `clock.ManualClock` is for code that runs
alone: there, sleeping itself moves the time.
"""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTLE_ROUNDS = 50


class FakeClock:
    """`ports.Clock`. `advance` wakes sleepers in the order of their times and lets them run."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._skew = timedelta(0)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """Wall time: the start, what was advanced, and the skew."""
        return self._start + timedelta(seconds=self._elapsed) + self._skew

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Waits until the test has advanced that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Moves time on, stopping at every sleeper that is due."""
        await self.settle()
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not future.done():
                future.set_result(None)
            await self.settle()
        self._elapsed = end
        await self.settle()

    async def settle(self) -> None:
        """Lets everything run that can run without time passing."""
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)

    def jump_wall(self, span: timedelta) -> None:
        """Moves the wall clock only, as an operator's hand or NTP would."""
        self._skew += span
