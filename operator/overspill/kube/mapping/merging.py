"""Turns an old and a new document into a merge-patch (RFC 7386) that says only the difference.

What vanished is nulled explicitly, lists are whole, equal documents give nothing to send.
"""

from collections.abc import Mapping
from typing import Any


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge-patch from `old` to `new`; empty when they say the same."""
    patch: dict[str, Any] = {name: None for name in old if new.get(name) is None}
    for name, wanted in new.items():
        found = old.get(name)
        if isinstance(wanted, Mapping) and isinstance(found, Mapping):
            if inner := difference(found, wanted):
                patch[name] = inner
        elif wanted is not None and found != wanted:
            patch[name] = _without_nulls(wanted)
    return {name: value for name, value in patch.items() if value is not None or _holds(old, name)}


def _holds(old: Mapping[str, Any], name: str) -> bool:
    return old.get(name) is not None


def _without_nulls(value: Any) -> Any:
    """A null inside a new object would be read as a deletion; there is nothing to delete."""
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value
