"""The past of places as bytes and back, so that a restart does not forget what was learnt.

Small (a look is kept only where something changed, packed), versioned, and read with distrust:
whatever is damaged, of another version or too old is refused with a sentence, and the past starts
anew. Lives are not in here: closed leases are the record of those. Called by `engine/remember`.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from overspill.core.policy_past import KEPT, MOST_PLACES, SPARE, Past, Place, Seen, Track, track_of

VERSION = 1

MOST_BYTES = 384 * 1024
"""Of the packed past. An object of the API server holds 1 MiB, as base64 a third more than this."""

LEVEL = 5
"""Of packing: the last percents of size cost seconds of a busy operator."""

MOST_UNPACKED = 32 * 1024 * 1024
"""More than a full week of all places; whoever sends more means no good."""

LONGEST_GAP = timedelta(days=1)
"""A past that nobody added to for longer says too little about now."""


class UnreadableError(ValueError):
    """The kept past cannot be used; the message says why."""


def packed(past: Past) -> bytes:
    """The past as at most `MOST_BYTES` bytes: when it is larger, its oldest days are left out."""
    for kept in _windows(past):
        found = zlib.compress(json.dumps(_document(kept), separators=(",", ":")).encode(), LEVEL)
        if len(found) <= MOST_BYTES:
            return found
    return zlib.compress(json.dumps(_document(Past(past.step))).encode())


def unpacked(content: bytes, step: timedelta, now: datetime) -> Past:
    """The past that was kept. Raises UnreadableError with the reason it cannot go on from there."""
    found = _read(content)
    if found.get("version") != VERSION:
        raise UnreadableError(f"it is of version {found.get('version')!r}, not {VERSION}")
    try:
        past = _past(found)
    except (KeyError, TypeError, ValueError, ArithmeticError, InvalidOperation) as error:
        raise UnreadableError(f"it is damaged: {error!r}") from error
    if past.step != step:
        raise UnreadableError(f"its looks are {past.step} apart, ours {step}")
    if past.until > past.at(now):
        raise UnreadableError(f"its last look is in the future, at {past.moment(past.until)}")
    if now - past.moment(past.until) > LONGEST_GAP:
        raise UnreadableError(f"its last look is too old, at {past.moment(past.until)}")
    return past


def _windows(past: Past) -> Iterator[Past]:
    """The whole past, then ever less of it."""
    yield past
    for days in (5, 3, 2, 1):
        yield _since(past, past.until - timedelta(days=days) // past.step)


def _since(past: Past, oldest: int) -> Past:
    """Without the changes before that step; the last one before it still says how it began."""
    tracks = {}
    for place, track in past.tracks.items():
        first = max(0, track.count(oldest) - 1)
        tracks[place] = track_of(place, track.changes[first:])
    since = oldest if past.since is None else max(past.since, oldest)
    return replace(past, since=since, tracks=tracks)


def _document(past: Past) -> dict[str, Any]:
    return {
        "version": VERSION,
        "step": past.step // timedelta(seconds=1),
        "since": past.since,
        "until": past.until,
        "places": [[*place, _changes(track)] for place, track in sorted(past.tracks.items())],
    }


def _changes(track: Track) -> list[list[Any]]:
    """Steps are written as what has passed since the change before."""
    before, found = 0, []
    for seen in track.changes:
        found.append([seen.step - before, [list(pair) for pair in seen.room], str(seen.usd)])
        before = seen.step
    return found


def _read(content: bytes) -> dict[str, Any]:
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(content, MOST_UNPACKED)
        if inflate.unconsumed_tail or not inflate.eof:
            raise UnreadableError("it is torn, or larger than any past could be")
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise UnreadableError(f"it is damaged: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableError("it is damaged: no object")
    return found


def _past(found: dict[str, Any]) -> Past:
    past = Past(
        step=timedelta(seconds=_whole(found["step"])),
        since=None if found["since"] is None else _whole(found["since"]),
        until=_whole(found["until"]),
    )
    if past.step <= timedelta(0) or (past.since or 0) > past.until:
        raise ValueError("its steps make no sense")
    if len(found["places"]) > MOST_PLACES:
        raise ValueError(f"more than {MOST_PLACES} places")
    tracks = [_track(past, entry) for entry in found["places"]]
    return replace(past, tracks={track.place: track for track in tracks})


def _track(past: Past, entry: Sequence[Any]) -> Track:
    provider, region, model, kind, size, is_home, changes = entry
    names = (provider, region, model, kind)
    if not all(isinstance(name, str) for name in names) or not isinstance(is_home, bool):
        raise ValueError("a place has no name")
    place = Place(provider, region, model, kind, _whole(size), is_home)
    seen, step = [], 0
    for passed, room, usd in changes:
        step += _whole(passed)
        seen.append(Seen(step, tuple((_whole(a), _whole(b)) for a, b in room), _price(usd)))
    steps = [one.step for one in seen]
    if not seen or steps != sorted(set(steps)) or steps[-1] > past.until:
        raise ValueError(f"the looks at {place.label} are out of order")
    if len(seen) > (KEPT + SPARE) // past.step + 1:
        raise ValueError(f"{place.label} was looked at too often")
    return track_of(place, seen)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _price(value: Any) -> Decimal:
    found = Decimal(value)
    if not found.is_finite() or found < 0:
        raise ValueError(f"{value!r} is no price")
    return found
