"""Writes core values as the API's JSON: decimal strings, RFC 3339 times in UTC, whole seconds."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any


def money(amount: Decimal | None) -> str | None:
    """A plain decimal string, never in scientific notation, without idle zeros."""
    if amount is None:
        return None
    written = format(amount, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def ratio(share: Decimal | None) -> str | None:
    """A share from 0 to 1, with the twelve decimals that the API keeps."""
    return None if share is None else money(round(min(max(share, Decimal(0)), Decimal(1)), 12))


def instant(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC; fractions only where there are any."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def seconds(span: timedelta | None) -> int | None:
    """Whole seconds."""
    return None if span is None else int(span.total_seconds())


def pair(version: tuple[int, int] | None) -> str | None:
    """`major.minor`."""
    return None if version is None else f"{version[0]}.{version[1]}"


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value: absent is how the API says nothing."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
