"""Lets a person's program listen to the exchanges with a market: what was asked, what came back.

`kubectl overspill doctor` prints them. Only what carries no secret is told: no header but the
server's date, no body, no query.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; `status` 0: there was none."""

    method: str
    path: str
    status: int
    took_s: float
    server_time: datetime | None = None
    """What the market's clock said, to the second."""


_LISTENER: ContextVar[list[Exchange] | None] = ContextVar("listener", default=None)


@contextmanager
def listening() -> Iterator[list[Exchange]]:
    """Collects every exchange of this task and its children."""
    heard: list[Exchange] = []
    token = _LISTENER.set(heard)
    try:
        yield heard
    finally:
        _LISTENER.reset(token)


def hear(method: str, path: str, status: int, took_s: float, date: str = "") -> None:
    """Told by `_http` of every exchange; forgotten at once when nobody listens."""
    heard = _LISTENER.get()
    if heard is not None:
        heard.append(Exchange(method, path, status, took_s, _time(date)))


def _time(date: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(date)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
