"""Circuit breaker of one provider account: stop asking a market that keeps failing.

State lives in memory and metrics; the engine shows it in GPUProvider status.
"""

from dataclasses import dataclass

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.core.snapshot import ProviderHealth
from overspill.telemetry import CIRCUIT_OPEN

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S = 10.0
MAX_PAUSE_S = 300.0


@dataclass(slots=True)
class Circuit:
    """Counts failures of one account; half-open after a pause, closed by a success."""

    name: str
    failures: int = 0
    open_until: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    reason: str = ""
    message: str = ""

    def succeeded(self) -> None:
        """A call was answered: usable again."""
        self.failures, self.open_until, self.pause_s = 0, 0.0, FIRST_PAUSE_S
        self.reason = self.message = ""
        CIRCUIT_OPEN.labels(self.name).set(0)

    def failed(self, error: ProviderError, now: float) -> None:
        """A call failed; refusals that no repeat can heal open the circuit at once."""
        self.reason, self.message = type(error).__name__, str(error)[:256]
        if isinstance(error, RateLimited):
            self.open_until = max(self.open_until, now + error.retry_after.total_seconds())
            return
        if isinstance(error, AuthRejected | InsufficientFunds):
            self._open(now)
        elif isinstance(error, Unavailable):
            self.failures += 1
            if self.failures >= FAILURES_TO_OPEN:
                self._open(now)

    def allows(self, now: float) -> bool:
        """Whether a question may be asked now (half-open counts)."""
        return now >= self.open_until

    def health(self) -> ProviderHealth:
        """For placement: usable only after a success since the last opening."""
        usable = not self.reason or (self.failures < FAILURES_TO_OPEN and self.open_until == 0)
        return ProviderHealth(usable, "" if usable else self.reason, self.message)

    def _open(self, now: float) -> None:
        self.open_until = now + self.pause_s
        self.pause_s = min(MAX_PAUSE_S, self.pause_s * 2)
        self.failures = max(self.failures, FAILURES_TO_OPEN)
        CIRCUIT_OPEN.labels(self.name).set(1)
