"""Turns an old and a new document into a merge-patch (RFC 7386) that says only the difference.

What vanished is nulled explicitly, lists are whole. Documents that say the same give nothing to
send; absent, null and empty say the same, because the API server fills in empty defaults.
"""

from collections.abc import Mapping
from typing import Any

EMPTY: tuple[Any, ...] = (None, "", [], {})


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge-patch from `old` to `new`; empty when they say the same."""
    patch: dict[str, Any] = {}
    for name in [*new, *(n for n in old if n not in new)]:
        found, wanted = old.get(name), new.get(name)
        if says_same(found, wanted):
            continue
        if isinstance(found, Mapping) and isinstance(wanted, Mapping):
            patch[name] = difference(found, wanted)
        else:
            patch[name] = _without_nulls(wanted)
    return patch


def says_same(found: Any, wanted: Any) -> bool:
    """Whether two pieces of JSON mean the same to a reader."""
    if type(found) is type(wanted) is str:
        return bool(found == wanted)  # most leaves are words
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(says_same(found.get(n), wanted.get(n)) for n in found.keys() | wanted.keys())
    if isinstance(found, list) and isinstance(wanted, list):
        pairs = zip(found, wanted, strict=False)
        return len(found) == len(wanted) and all(says_same(f, w) for f, w in pairs)
    if found in EMPTY or wanted in EMPTY:
        return found in EMPTY and wanted in EMPTY
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _without_nulls(value: Any) -> Any:
    """A null inside a new object would be read as a deletion; there is nothing to delete."""
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value
