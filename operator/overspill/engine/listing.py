"""Lets many share one listing, so that a restart asks an account once, not once for each lease.

Proofs of the protocol rest on *when* a listing began (R5, R6, R7): whoever asks gets one that
begins after the question, never one that is already under way. Used by `gate`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedListing(Generic[T]):
    """At most one listing under way and one waiting to begin. Belongs to one event loop."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The next listing; its error is everybody's who waits for it."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_heard)
        # A caller that gives up must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[T] | None) -> T:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._read()


def _heard(task: asyncio.Task[T]) -> None:
    """An error that nobody waited for any more is no news."""
    if not task.cancelled():
        task.exception()
