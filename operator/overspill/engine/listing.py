"""Lets many leases share one listing of their account, so that a restart asks once, not once each.

Proofs of the protocol rest on *when* a listing began (R5, R6): whoever asks gets one that begins
after the question, never one that is already under way. Used by `gate.GatedProvider`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from overspill.core.observation import HeldLease

Held = Sequence[HeldLease]


class SharedListing:
    """At most one listing under way and one waiting to begin. Belongs to one event loop."""

    def __init__(self, read: Callable[[], Awaitable[Held]]) -> None:
        self._read = read
        self._running: asyncio.Task[Held] | None = None
        self._next: asyncio.Task[Held] | None = None

    async def __call__(self) -> Held:
        """The next listing; its error is everybody's who waits for it."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_heard)
        # A caller that gives up must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[Held] | None) -> Held:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._read()


def _heard(task: asyncio.Task[Held]) -> None:
    """An error that nobody waited for any more is no news."""
    if not task.cancelled():
        task.exception()
