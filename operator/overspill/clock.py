"""The real clock behind `ports.Clock`; tests and the fault campaign inject their own."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time for the record, the monotonic clock for waiting."""

    def now(self) -> datetime:
        """UTC, aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)
