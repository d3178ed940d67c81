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
WHAT_TO_DO = {
    AuthRejected: "; put credentials that work into its Secret",
    InsufficientFunds: "; top the account up",
}


@dataclass(slots=True)
class Circuit:
    """Counts failures of one account; half-open after a pause, closed by a success."""

    name: str
    failures: int = 0
    open_until: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    reason: str = ""
    message: str = ""
    obstacle: str = ""
    """Why no adapter can be built now (a Secret, a setting); no answer of a market clears it."""
    doubt: str = ""
    """Why the sweep ends nothing here: the records look wrong. Nothing is rented then either."""

    def __post_init__(self) -> None:
        CIRCUIT_OPEN.labels(self.name).set(0)

    def succeeded(self, now: float, *, has_paid: bool = False) -> None:
        """A call was answered: usable again. That a read is answered puts no money in an account:
        after InsufficientFunds the pause is waited out, and grows until something is paid again.
        """
        lacks_money = self.reason == InsufficientFunds.__name__ and not has_paid
        if lacks_money and now < self.open_until:
            return
        self.failures, self.open_until = 0, 0.0
        self.pause_s = self.pause_s if lacks_money else FIRST_PAUSE_S
        self.reason = self.message = ""
        CIRCUIT_OPEN.labels(self.name).set(0)

    def failed(self, error: ProviderError, now: float) -> None:
        """A call failed; refusals that no repeat can heal open the circuit at once."""
        told = f"{str(error)[:256]}{WHAT_TO_DO.get(type(error), '')}"
        self.reason, self.message = type(error).__name__, told
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
        if self.obstacle:
            return ProviderHealth(False, "NotConfigured", self.obstacle)
        if self.doubt:
            return ProviderHealth(False, "SweepStopped", self.doubt)
        usable = not self.reason or (self.failures < FAILURES_TO_OPEN and self.open_until == 0)
        return ProviderHealth(usable, "" if usable else self.reason, self.message)

    def _open(self, now: float) -> None:
        if now < self.open_until and self.failures >= FAILURES_TO_OPEN:
            return  # calls that were on their way together count as one failure
        self.open_until = now + self.pause_s
        self.pause_s = min(MAX_PAUSE_S, self.pause_s * 2)
        self.failures = max(self.failures, FAILURES_TO_OPEN)
        CIRCUIT_OPEN.labels(self.name).set(1)
