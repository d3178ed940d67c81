"""Reads untrusted JSON field by field; every complaint names the field. Used by the mappers.

Plain dictionaries instead of models: these run once per object version on the hot path, and the
API server has already checked the shape against the CRD.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

from overspill.core.errors import OverspillError

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal("0.001"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(1024),
    "Mi": Decimal(1024) ** 2,
    "Gi": Decimal(1024) ** 3,
    "Ti": Decimal(1024) ** 4,
    "Pi": Decimal(1024) ** 5,
    "Ei": Decimal(1024) ** 6,
}
_GIB = Decimal(1024) ** 3
_ZERO = Decimal(0)
_WORD = 24
"""Texts up to this length are kept once for all objects: words, names of places and leases."""
_FEW = 4096
"""Amounts and instants that were read lately, likewise: most objects share them with others."""


class Unreadable(OverspillError):  # noqa: N818  (a verdict on the object, not on us)
    """An object holds something we cannot understand; the message names the field."""


class Fields:
    """A cursor on one JSON object. Absent and null read alike."""

    def __init__(self, content: Mapping[str, Any], path: str) -> None:
        self._content = content
        self._path = path

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._content.get(name) is not None

    def whole_document(self) -> Mapping[str, Any]:
        """The object itself."""
        return self._content

    def inside(self, name: str) -> "Fields":
        """The object in a field; an empty one when absent."""
        return Fields(self.mapping(name), f"{self._path}.{name}")

    def each(self, name: str) -> Iterable["Fields"]:
        """The objects of a list."""
        for index, found in enumerate(self.values(name)):
            path = f"{self._path}.{name}[{index}]"
            yield Fields(_expect(found, Mapping, path, "an object"), path)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """The object in a field as it is."""
        found: Mapping[str, Any] = self._of(name, Mapping, "an object", {})
        return found

    def values(self, name: str) -> list[Any]:
        """The list in a field as it is."""
        found: list[Any] = self._of(name, list, "a list", [])
        return found

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        found: str = self._of(name, str, "a string", default)
        return intern(found) if len(found) <= _WORD and type(found) is str else found

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(
            _expect(found, str, f"{self._path}.{name}[{index}]", "a string")
            for index, found in enumerate(self.values(name))
        )

    def required(self, name: str) -> str:
        """A string that must be there."""
        found = self.text(name)
        if not found:
            raise self._wrong(name, "is missing")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        found: bool = self._of(name, bool, "a boolean", default)
        return found

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        found = self.whole(name)
        return default if found is None else found

    def whole(self, name: str) -> int | None:
        """A whole number or nothing."""
        found = self._content.get(name)
        if isinstance(found, bool):
            raise self._wrong(name, "is not a whole number")
        whole: int | None = self._of(name, int, "a whole number", None)
        return whole

    def decimal(self, name: str) -> Decimal | None:
        """An exact number, written as a decimal string or a whole number."""
        return self._converted(name, _decimal, "a decimal number")

    def money(self, name: str) -> Decimal:
        """An exact number, 0 when absent."""
        return self.decimal(name) or _ZERO

    def seconds(self, name: str) -> timedelta | None:
        """A duration in whole seconds."""
        found = self.whole(name)
        return None if found is None else _seconds(found)

    def span(self, name: str, default: timedelta) -> timedelta:
        """A duration in whole seconds with a default; zero is a duration."""
        found = self.seconds(name)
        return default if found is None else found

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        return self._converted(name, lambda codes: tuple(map(_whole, codes)), "whole numbers") or ()

    def time(self, name: str) -> datetime | None:
        """An instant, RFC 3339."""
        return self._converted(name, _instant, "an RFC 3339 time")

    def required_time(self, name: str) -> datetime:
        """An instant that must be there."""
        found = self.time(name)
        if found is None:
            raise self._wrong(name, "is missing")
        return found

    def gib(self, name: str) -> Decimal | None:
        """A Kubernetes quantity of bytes, in GiB."""
        found = self._converted(name, quantity, "a quantity")
        return None if found is None else found / _GIB

    def quantities(self, name: str) -> dict[str, Decimal]:
        """A map of Kubernetes quantities."""
        amounts = self.inside(name)
        return {key: amounts.quantity(key) for key in amounts.whole_document()}

    def quantity(self, name: str) -> Decimal:
        """A Kubernetes quantity, 0 when absent."""
        return self._converted(name, quantity, "a quantity") or Decimal(0)

    def version_pair(self, name: str) -> tuple[int, int] | None:
        """A `major.minor` pair."""
        return self._converted(name, _pair, "a version like 8.0")

    def word(self, name: str, words: type[E], default: E) -> E:
        """One word of a closed list."""
        return self.maybe_word(name, words) or default

    def required_word(self, name: str, words: type[E]) -> E:
        """One word of a closed list that must be there."""
        found = self.maybe_word(name, words)
        if found is None:
            raise self._wrong(name, "is missing")
        return found

    def maybe_word(self, name: str, words: type[E]) -> E | None:
        """One word of a closed list or nothing."""
        return self._converted(name, words, f"one of {', '.join(words)}")

    def words(self, name: str, words: type[E]) -> tuple[E, ...]:
        """Several words of a closed list."""
        return (
            self._converted(
                name, lambda _: tuple(words(w) for w in self.texts(name)), f"of {', '.join(words)}"
            )
            or ()
        )

    def _of(self, name: str, kind: Any, expected: str, default: Any) -> Any:
        found = self._content.get(name)
        if found is None:
            return default
        return _expect(found, kind, f"{self._path}.{name}", expected)

    def _converted(self, name: str, convert: Callable[[Any], T], expected: str) -> T | None:
        found = self._content.get(name)
        if found is None:
            return None
        try:
            return convert(found)
        except (ValueError, TypeError, InvalidOperation) as error:
            raise self._wrong(name, f"is not {expected}") from error

    def _wrong(self, name: str, complaint: str) -> Unreadable:
        return Unreadable(f"{self._path}.{name} {complaint}".lstrip("."))


def shared(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same condition, as one object for all jobs that were told so in the same second."""
    try:
        return _one(tuple(condition.items()))
    except (AttributeError, TypeError):
        return condition  # not a map of plain words: nobody shares it


@lru_cache(_FEW // 4)
def _one(content: tuple[tuple[str, Any], ...]) -> Mapping[str, Any]:
    return dict(content)


def quantity(raw: Any) -> Decimal:
    """The exact value of a Kubernetes quantity such as "500m", "80Gi" or 2."""
    written = str(raw)
    digits = written.rstrip("KMGTPEikmnu")
    suffix = written[len(digits) :]
    if suffix not in _SUFFIXES:
        raise ValueError("unknown suffix")
    return _decimal(digits) * _SUFFIXES[suffix]


def _expect(found: Any, kind: Any, path: str, expected: str) -> Any:
    if not isinstance(found, kind):
        raise Unreadable(f"{path.lstrip('.')} is not {expected}")
    return found


@lru_cache(_FEW)
def _seconds(whole: int) -> timedelta:
    return timedelta(seconds=whole)


@lru_cache(_FEW, typed=True)
def _decimal(raw: Any) -> Decimal:
    if isinstance(raw, bool):
        raise TypeError("a boolean is not a number")
    number = Decimal(str(raw))
    if not number.is_finite():
        raise ValueError("not finite")
    return number


def _whole(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise TypeError("not a whole number")
    return raw


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""What the API server lets pass beyond these means long ago, and never. Near the ends of the
calendar an hour's difference overflows, and a year below 1000 is printed in three digits."""


@lru_cache(_FEW)
def _instant(raw: Any) -> datetime:
    moment = datetime.fromisoformat(raw)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    if moment < _EARLIEST or moment > _LATEST:
        return _EARLIEST if moment < _EARLIEST else _LATEST
    return moment.astimezone(UTC)


def _pair(raw: Any) -> tuple[int, int]:
    major, _, minor = str(raw).partition(".")
    return int(major), int(minor or 0)
