"""What was just made at a market: waited for until it can be read, ended when it is not as offered.

Shared by all markets, for a lease that is taken for gone too early is a lease that leaks.
"""

from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta

from cachetools import LRUCache

from overspill.core.errors import NoCapacity, RateLimited, Unavailable
from overspill.core.lease import Handle
from overspill.ports import Clock, OpenStep

MOST = 4096


class Unseen:
    """Things of one account that cannot be read yet, and since when, on the monotonic clock."""

    def __init__(self, account: str, noun: str, clock: Clock, grace: timedelta) -> None:
        """`noun` is the market's word for the thing; `grace`, how long it may stay unreadable."""
        self._account, self._noun = account, noun
        self._clock, self._grace_s = clock, grace.total_seconds()
        self._since: LRUCache[str, float] = LRUCache(maxsize=MOST)

    def waits(self, handle: Handle) -> OpenStep:
        """A step that waits. Raises NoCapacity for what stayed unreadable longer than `grace`."""
        now = self._clock.monotonic()
        since = self._since.setdefault(handle.external_id, now)
        if now - since > self._grace_s:
            words = f"{self._account}: {self._noun} {handle.external_id} was made and is gone"
            raise NoCapacity(words, provider=self._account)
        return OpenStep(handle, False, message=f"waits for the {self._noun} to be readable")

    def forget(self, external_id: str) -> None:
        """It was read, or is done with."""
        self._since.pop(external_id, None)


async def give_up(ending: Awaitable[object]) -> None:
    """Ends what is not as it was offered; should that fail, the lease's closing does it again."""
    with suppress(Unavailable, RateLimited):
        await ending
