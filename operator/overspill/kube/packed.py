"""JSON documents kept as compressed text and opened when somebody reads them. Used by the store.

A template or a status as dictionaries takes ten times the memory of its text, and there are
thousands that nobody looks at for hours: they were four fifths of what the operator held.
"""

import json
import zlib
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import lru_cache
from typing import Any

LEVEL = 1
"""The fastest; more effort saves another tenth for three times the time."""
KNOWN = 1024
"""Packed lately: equal documents (one template in many jobs and their leases) are one object."""
OPEN = 128
"""Documents opened lately stay open, for whoever reads field after field."""


class Packed(Mapping[str, Any]):
    """A JSON object, never changed. Made by `packed`; as a mapping it is like any other."""

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __getitem__(self, key: str) -> Any:
        return _opened(self._text)[key]

    def get(self, key: str, default: Any = None) -> Any:
        """As of every mapping."""
        return _opened(self._text).get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(_opened(self._text))

    def __len__(self) -> int:
        return len(_opened(self._text))

    def __bool__(self) -> bool:
        return True  # `packed` leaves empty documents as they are

    def keys(self) -> KeysView[str]:
        """As of every mapping."""
        return _opened(self._text).keys()

    def values(self) -> ValuesView[Any]:
        """As of every mapping."""
        return _opened(self._text).values()

    def items(self) -> ItemsView[str, Any]:
        """As of every mapping."""
        return _opened(self._text).items()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed):
            return self._text == other._text or _opened(self._text) == _opened(other._text)
        return bool(_opened(self._text) == other)

    __hash__ = None  # type: ignore[assignment]  # equal texts only may differ in their order

    def __repr__(self) -> str:
        return repr(_opened(self._text))


def packed(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same document in little room. What is inside must not be changed by readers."""
    if not document or isinstance(document, Packed):
        return document
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return _known(zlib.compress(text, LEVEL))


@lru_cache(KNOWN)
def _known(text: bytes) -> Packed:
    return Packed(text)


@lru_cache(OPEN)
def _opened(text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zlib.decompress(text))
    return found
