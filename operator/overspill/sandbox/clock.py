"""The sandbox's own time: real time, compressed by a factor and jumped forward on request.

Every market, host and escrow reads this clock; nothing else in the sandbox asks the machine.
"""

import asyncio
import time
from datetime import UTC, datetime


class SandboxClock:
    """Epoch seconds that run `scale` times as fast as real ones."""

    def __init__(self, scale: float = 1.0) -> None:
        if scale <= 0:
            raise ValueError("The time scale must be greater than zero.")
        self.scale = scale
        self._origin = time.time()
        self._started = time.monotonic()
        self._jumped = 0.0
        self._jump = asyncio.Event()

    def now(self) -> float:
        """Sandbox time in epoch seconds; never goes back."""
        return self._origin + (time.monotonic() - self._started) * self.scale + self._jumped

    def advance(self, seconds: float) -> float:
        """Jumps forward and wakes every sleeper; returns the new time."""
        if seconds < 0:
            raise ValueError("Sandbox time only goes forward.")
        self._jumped += seconds
        self._jump.set()
        self._jump = asyncio.Event()
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Waits for `seconds` of sandbox time; a jump counts."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, until: float) -> None:
        """Waits for a moment of sandbox time."""
        while (left := until - self.now()) > 0:
            jump = self._jump
            try:
                await asyncio.wait_for(jump.wait(), left / self.scale)
            except TimeoutError:
                continue


def iso(at: float) -> str:
    """The time as the Console API and the ledger write it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
