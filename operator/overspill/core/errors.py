"""What can go wrong at a provider, named by what to do next.

    OverspillError
    ├── ProviderError               an answer of a market, or none
    │   ├── NoCapacity              definitive no: try the next offer
    │   ├── OfferRejected           definitive no for this offer only
    │   │   └── WorkloadRejected    definitive no for this workload at every offer
    │   ├── InsufficientFunds       definitive no: the account must be topped up
    │   ├── AuthRejected            definitive no: the credentials must be mended
    │   ├── LeaseNotFound           the market does not know this lease
    │   ├── RateLimited             not executed, wait `retry_after`
    │   ├── Unavailable             a read failed; nothing was spent
    │   └── OpenUncertain           a costing call whose outcome is unknown
    ├── Conflict                    our write was decided on an old version: drop it, requeue
    ├── Gone                        the object we write to does not exist any more
    └── ClusterUnavailable          the API server did not answer: nothing is known

Adapters map foreign errors in one place (`providers/_http.py`); the engine matches once.
Messages say what we were doing. No message carries a secret or a response body.
"""

from datetime import timedelta
from decimal import Decimal


class OverspillError(Exception):
    """Root of every error that Overspill raises on purpose."""


class ProviderError(OverspillError):
    """A market refused, failed or did not answer. `provider` names the GPUProvider."""

    def __init__(self, message: str, *, provider: str = "") -> None:
        super().__init__(message)
        self.provider = provider


class NoCapacity(ProviderError):  # noqa: N818  (named by what to do next)
    """Nothing of the kind is to be had now: try the next offer."""


class OfferRejected(ProviderError):  # noqa: N818
    """This offer or request was refused for good: take another one."""


class WorkloadRejected(OfferRejected):
    """The workload itself was refused: no other offer would take it. The user must correct it."""


class InsufficientFunds(ProviderError):  # noqa: N818
    """The account cannot pay; no offer of this provider will work until it is topped up."""


class AuthRejected(ProviderError):  # noqa: N818
    """The market refused the credentials."""


class LeaseNotFound(ProviderError):  # noqa: N818
    """The market does not know the lease (any more, or not yet: see the grace rule).

    `billed_usd`: the final bill, where a market still tells it of an ended lease.
    """

    def __init__(
        self, message: str, *, provider: str = "", billed_usd: Decimal | None = None
    ) -> None:
        super().__init__(message, provider=provider)
        self.billed_usd = billed_usd


class RateLimited(ProviderError):  # noqa: N818
    """Refused before execution; wait at least `retry_after`."""

    def __init__(self, message: str, *, provider: str = "", retry_after: timedelta) -> None:
        super().__init__(message, provider=provider)
        self.retry_after = retry_after


class Unavailable(ProviderError):  # noqa: N818
    """A read failed (network, 5xx, rubbish). Nothing is known, nothing was spent."""


class OpenUncertain(ProviderError):  # noqa: N818
    """A costing call may or may not have been executed: resolve by key, never repeat blindly."""


DEFINITIVE_NO = (NoCapacity, OfferRejected, InsufficientFunds, AuthRejected)
"""Documented refusals: the call was not executed and will not be."""


class Conflict(OverspillError):  # noqa: N818
    """The object changed since the decision was made."""


class Gone(OverspillError):  # noqa: N818
    """The object does not exist any more, or is another one of the same name."""


class ClusterUnavailable(OverspillError):  # noqa: N818
    """The API server did not answer in time: the outcome of a write is unknown."""
