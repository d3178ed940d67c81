"""A work-queue of keys: each key is processed by one worker at a time, latest wins.

As client-go's: dirty and processing sets, per-key exponential backoff, `add_after`.
Belongs to one event loop; other threads pass keys through `call_soon_threadsafe`.
"""

import asyncio
from collections import deque

from overspill.telemetry import QUEUE_DEPTH

Key = tuple[str, str]
"""(what to do, for which uid)."""

URGENT = "lease"
"""Leases go first: they hold money and work. What is only told may wait, and says more later."""

TURNS = 4
"""One turn in so many is for the rest, so that nobody waits for ever."""

FIRST_BACKOFF_S = 0.25
MAX_BACKOFF_S = 60.0


class WorkQueue:
    """Keys that need work. A key added while it is processed is processed once more."""

    def __init__(self) -> None:
        self._urgent: deque[Key] = deque()
        self._rest: deque[Key] = deque()
        self._turn = 0
        self._dirty: set[Key] = set()
        self._processing: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, tuple[float, asyncio.TimerHandle]] = {}
        self._ready = asyncio.Semaphore(0)

    def add(self, key: Key) -> None:
        """Marks a key as needing work now."""
        self._cancel_timer(key)
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: Key, delay_s: float) -> None:
        """Marks a key for later; an earlier time already set stands."""
        if delay_s <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        if key in self._dirty or (key in self._timers and self._timers[key][0] <= due):
            return
        self._cancel_timer(key)
        self._timers[key] = (due, loop.call_later(delay_s, self._fire, key))

    def add_failed(self, key: Key, first_s: float = FIRST_BACKOFF_S) -> None:
        """Requeues after a failure, waiting twice as long each time."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        self.add_after(key, min(MAX_BACKOFF_S, first_s * 2 ** min(count, 16)))

    def forget(self, key: Key) -> None:
        """The key succeeded: its backoff starts anew."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key; call `done` with it afterwards."""
        await self._ready.acquire()  # one worker wakes for one key, the others sleep on
        key = self._next()
        QUEUE_DEPTH.set(self._depth)
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: Key) -> None:
        """Ends the processing of a key; it is queued again if it became dirty meanwhile."""
        self._processing.discard(key)
        if key in self._dirty:
            self._push(key)

    @property
    def is_idle(self) -> bool:
        """Nothing ready and nothing being processed (timers may be pending)."""
        return not self._depth and not self._processing

    @property
    def _depth(self) -> int:
        return len(self._urgent) + len(self._rest)

    def _next(self) -> Key:
        self._turn = (self._turn + 1) % TURNS
        is_theirs = self._rest and (self._turn == 0 or not self._urgent)
        return (self._rest if is_theirs else self._urgent).popleft()

    def _push(self, key: Key) -> None:
        (self._urgent if key[0] == URGENT else self._rest).append(key)
        QUEUE_DEPTH.set(self._depth)
        self._ready.release()

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer[1].cancel()
