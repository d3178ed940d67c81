"""A snapshot as plain JSON values and back, so that a decision can be made again elsewhere.

Everything that placement looks at is kept exactly (`plan` of a decoded snapshot is `plan` of the
original); what it never looks at is left out: templates, labels, requests of workloads, names of
credentials, settings of accounts. Values that equal their default are not written. Called by
`engine/record` and by `explain --replay`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from overspill.core.lease import Lease
from overspill.core.policy_past import Track, track_of
from overspill.core.snapshot import Snapshot
from overspill.core.workload import LeaseRequest

VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What `plan` was given when it decided about a job."""

    job_uid: str
    now: datetime
    snapshot: Snapshot


def document(record: Record) -> dict[str, Any]:
    """The record as JSON values."""
    lean = replace(record, snapshot=_lean(record.snapshot))
    return {"version": VERSION, **_encoded(lean)}


def parsed(found: Mapping[str, Any]) -> Record:
    """The record of a document. Raises ValueError when it is none, or of another version."""
    if found.get("version") != VERSION:
        raise ValueError(f"this is no decision record of version {VERSION}")
    try:
        record = _decoded(Record, found)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"the decision record cannot be read: {error}") from error
    assert isinstance(record, Record)  # noqa: S101  (the type was asked for; narrows it)
    return record


def _lean(snapshot: Snapshot) -> Snapshot:
    return replace(
        snapshot,
        classes={
            name: replace(c, resource_version="", generation=1, status={})
            for name, c in snapshot.classes.items()
        },
        jobs=tuple(
            replace(job, template={}, labels={}, annotations={}, status=_lean_status(job.status))
            for job in snapshot.jobs
        ),
        leases=tuple(_lean_lease(lease) for lease in snapshot.leases),
        accounts={
            name: replace(a, credentials_secret=None, endpoint="", config={}, status={})
            for name, a in snapshot.accounts.items()
        },
    )


def _lean_status(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a service how its money is divided: its copies have no other limits."""
    return {"copies": status["copies"]} if "copies" in status else {}


def _lean_lease(lease: Lease) -> Lease:
    request = LeaseRequest(lease.request.gpu_count, lease.request.num_nodes)
    return replace(lease, request=request, handle=None, permit=None)


def _encoded(value: Any) -> Any:
    if isinstance(value, Track):
        return {"place": _encoded(value.place), "changes": _encoded(value.changes)}
    if is_dataclass(value):
        given = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: _encoded(v) for f, v in given if not _is_default(f, v)}
    if isinstance(value, Mapping):
        return [[_encoded(k), _encoded(v)] for k, v in value.items()]
    if isinstance(value, frozenset | tuple | list):
        listed = [_encoded(v) for v in value]
        return sorted(listed) if isinstance(value, frozenset) else listed
    return _word(value)


def _word(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    return str(value) if isinstance(value, Decimal) else value


def _is_default(field: Any, value: Any) -> bool:
    if field.default_factory is not MISSING:
        return bool(value == field.default_factory())
    return field.default is not MISSING and bool(value == field.default)


def _decoded(kind: Any, value: Any) -> Any:
    """The value of that type."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return None if value is None else _first_that_fits(get_args(kind), value)
    if origin is not None:
        return _collection(origin, get_args(kind), value)
    if kind is Track:
        hints = _hints(Track)
        changes = _decoded(hints["changes"], value["changes"])
        return track_of(_decoded(hints["place"], value["place"]), changes)
    if isinstance(kind, type) and is_dataclass(kind):
        hints, made = _hints(kind), cast("type[Any]", kind)
        return made(**{k: _decoded(hints[k], v) for k, v in value.items() if k in hints})
    return _plain(kind, value)


def _first_that_fits(kinds: tuple[Any, ...], value: Any) -> Any:
    """Of a union the first member whose word it is: a known provider type before any string."""
    *others, last = (kind for kind in kinds if kind is not type(None))
    for kind in others:
        try:
            return _decoded(kind, value)
        except ValueError:
            continue
    return _decoded(last, value)


def _collection(origin: Any, args: tuple[Any, ...], value: Any) -> Any:
    if issubclass(origin, Mapping):
        return {_decoded(args[0], k): _decoded(args[1], v) for k, v in value}
    if origin is frozenset:
        return frozenset(_decoded(args[0], v) for v in value)
    if args[-1] is Ellipsis:
        return tuple(_decoded(args[0], v) for v in value)
    return tuple(_decoded(arg, v) for arg, v in zip(args, value, strict=True))


def _plain(kind: Any, value: Any) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is timedelta:
        return timedelta(microseconds=value)
    if not isinstance(kind, type):
        return value
    if issubclass(kind, tuple):
        return kind(
            *(_decoded(hint, v) for hint, v in zip(_hints(kind).values(), value, strict=True))
        )
    return kind(value) if issubclass(kind, Decimal | Enum) else value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
