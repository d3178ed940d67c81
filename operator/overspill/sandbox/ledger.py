"""The append-only record of everything that was asked, given and charged: the oracle of all tests.

Markets write it before they answer, so that it also knows what an answer that got lost had done.
The functions below judge a list of entries, from memory, from the file or over HTTP.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO, TypedDict, Unpack

from overspill.sandbox.clock import iso


class Event(StrEnum):
    """What can stand in the ledger."""

    CREATE_RECEIVED = "create_received"
    CREATE_REFUSED = "create_refused"
    CREATED = "created"
    LEASE_RECEIVED = "lease_received"
    LEASE_REFUSED = "lease_refused"
    LEASED = "leased"
    CHARGED = "charged"
    CLOSE_RECEIVED = "close_received"
    LEASE_CLOSED = "lease_closed"
    CLOSED = "closed"
    STARTED = "started"
    EXITED = "exited"
    HOST_DOWN = "host_down"
    HOST_UP = "host_up"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `key` is the name the tenant gave, `id` the market's, `usd` only for charges."""

    seq: int
    event: str
    market: str
    key: str
    id: str
    at: str
    wall: float
    provider: str = ""
    usd_per_hour: str = ""
    usd: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


class Columns(TypedDict, total=False):
    """The columns an entry may fill beside event, market and key."""

    id: str
    provider: str
    usd_per_hour: Decimal
    usd: Decimal
    detail: Mapping[str, Any]


class Ledger:
    """Keeps entries in memory and, when given a path, appends each one as a JSON line."""

    def __init__(self, now: Callable[[], float], path: Path | None = None) -> None:
        self._now = now
        self._entries: list[Entry] = []
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def write(self, event: Event, *, market: str, key: str, **columns: Unpack[Columns]) -> Entry:
        """Appends one entry; it is on disk before the caller goes on."""
        entry = Entry(
            seq=len(self._entries) + 1,
            event=event.value,
            market=market,
            key=key,
            id=columns.get("id", ""),
            at=iso(self._now()),
            wall=time.time(),
            provider=columns.get("provider", ""),
            usd_per_hour=_money(columns.get("usd_per_hour")),
            usd=_money(columns.get("usd")),
            detail=columns.get("detail", {}),
        )
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()
        return entry

    def entries(self) -> list[Entry]:
        """Everything so far, oldest first."""
        return list(self._entries)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


def parse(lines: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Entries from their JSON form."""
    return [Entry(**line) for line in lines]


def load(path: Path) -> list[Entry]:
    """Entries from a ledger file."""
    with path.open(encoding="utf-8") as file:
        return parse(json.loads(line) for line in file if line.strip())


def open_ids(entries: Iterable[Entry]) -> dict[str, str]:
    """What the market still holds for us, market id → key: created and not yet closed."""
    held: dict[str, str] = {}
    for entry in entries:
        if entry.event == Event.CREATED:
            held[entry.id] = entry.key
        elif entry.event == Event.CLOSED:
            held.pop(entry.id, None)
    return held


def orphans(entries: Iterable[Entry], known_keys: Collection[str]) -> dict[str, str]:
    """Held things whose key nobody knows, market id → key."""
    return {held: key for held, key in open_ids(entries).items() if key not in known_keys}


def doubles(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Keys that had two running leases at one moment, key → the market ids concerned."""
    return _overlaps(entries, Event.LEASED, Event.LEASE_CLOSED)


def double_creates(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Keys that had two escrows open at one moment, leased or not, key → the market ids."""
    return _overlaps(entries, Event.CREATED, Event.CLOSED)


def billed(entries: Iterable[Entry]) -> dict[str, Decimal]:
    """USD charged so far per key; what still runs is charged when it ends."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        if entry.event == Event.CHARGED:
            total[entry.key] += Decimal(entry.usd)
    return dict(total)


def creates_received(entries: Iterable[Entry]) -> dict[str, int]:
    """How many create requests arrived per key, answered or not."""
    count: dict[str, int] = defaultdict(int)
    for entry in entries:
        if entry.event == Event.CREATE_RECEIVED:
            count[entry.key] += 1
    return dict(count)


def _money(amount: Decimal | None) -> str:
    return "" if amount is None else format(amount, "f")


def _overlaps(entries: Iterable[Entry], opens: Event, closes: Event) -> dict[str, list[str]]:
    running: dict[str, set[str]] = defaultdict(set)
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.event == opens:
            running[entry.key].add(entry.id)
            if len(running[entry.key]) > 1:
                found[entry.key] |= running[entry.key]
        elif entry.event == closes:
            running[entry.key].discard(entry.id)
    return {key: sorted(ids) for key, ids in found.items()}
