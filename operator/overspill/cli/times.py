"""Instants of the API as people read them. Used by every verb that prints."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """Wall time; the verbs take it once and pass it on."""
    return datetime.now(UTC)


def instant(written: object) -> datetime | None:
    """An RFC 3339 time of the API, or None when absent or unreadable."""
    if not isinstance(written, str):
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def age(written: object, at: datetime) -> str:
    """How long ago, as kubectl writes it: 45s, 12m, 3h20m, 5d."""
    moment = instant(written)
    return "" if moment is None else span(at - moment)


def span(length: timedelta) -> str:
    """A duration in its two largest sensible units."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 120:
        return f"{minutes}m"
    if hours < 48:
        rest = minutes - hours * 60
        return f"{hours}h{rest}m" if rest and hours < 10 else f"{hours}h"
    return f"{days}d"


def clock(written: object) -> str:
    """An instant in UTC to the minute."""
    moment = instant(written)
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
