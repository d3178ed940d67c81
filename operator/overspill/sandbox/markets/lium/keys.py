"""The `Idempotency-Key` of a rent: what the first request came to, told again for a day.

An outcome is the answer itself, a refusal too. A key under way, or one whose outcome the market
lost, is a 409 that says nothing of the first request. Used by `market.py`.
"""

from dataclasses import dataclass
from typing import Any

from overspill.sandbox.markets.lium.errors import ApiError

KEPT_S = 24 * 3600.0
LOCK_S = 300.0


@dataclass(slots=True)
class _Record:
    at: float
    status: int = 0
    body: dict[str, Any] | None = None
    is_lost: bool = False


class Keys:
    """The keys of one account."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def replay(self, key: str, now: float) -> tuple[int, dict[str, Any]] | None:
        """The stored outcome, None for a key that is new. Raises ApiError 409."""
        record = self._records.get(key)
        if record is None or now >= record.at + KEPT_S:
            return None
        if record.is_lost or (record.body is None and now >= record.at + LOCK_S):
            said = "The outcome of the first request with this key is not known."
            raise ApiError(409, "idempotency_outcome_unknown", said)
        if record.body is None:
            said = "The first request with this key is still being worked on."
            raise ApiError(409, "idempotency_in_progress", said)
        return record.status, record.body

    def begin(self, key: str, now: float) -> None:
        """A first request begins."""
        self._records[key] = _Record(now)

    def end(self, key: str, status: int, body: dict[str, Any], *, is_lost: bool = False) -> None:
        """It came to this; `is_lost`: the market forgets what."""
        record = self._records[key]
        record.status, record.body, record.is_lost = status, body, is_lost
