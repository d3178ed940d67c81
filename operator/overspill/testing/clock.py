"""A clock that moves only when told, for every test that must not wait."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """`ports.Clock` by hand. Sleeping moves it, so waiting code runs at once."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Wall time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since a moment that means nothing."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Returns at once, that much later."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
