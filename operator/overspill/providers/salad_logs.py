"""Lines of a group's output out of SaladCloud's log store, which answers queries by time.

A query has at most 100 entries, newest or oldest first, and the boundary between two pages is a
moment that both may hold; what was told of that moment is left out. Called by `salad.py`.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from overspill.core.errors import LeaseNotFound
from overspill.ports import Clock
from overspill.providers.salad_api import LOG_PAGE, Api
from overspill.providers.salad_wire import Group, LogEntry

LOOK_S = 3.0
MOST_PAGES = 100
_KEPT = timedelta(days=90)
"""So long the market keeps logs; an older query is refused."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line and when it was printed."""

    at: datetime
    text: bytes


async def last_lines(api: Api, group: Group, now: datetime, tail: int) -> list[Line]:
    """The newest `tail` lines, oldest first."""
    since, until = _begin(group, now), now
    found: list[Line] = []
    for _ in range(MOST_PAGES):
        page = list(map(_line, await api.log(group.name, since, until, newest_first=True)))
        fresh = _new(page, found)
        found += fresh
        if len(found) >= tail or len(page) < LOG_PAGE or not fresh:
            break
        until = page[-1].at
    return found[:tail][::-1]


async def followed(
    api: Api, group: Group, told: Sequence[Line], clock: Clock
) -> AsyncIterator[bytes]:
    """What is printed after the lines already told; ends when the group is gone."""
    seen = list(told)
    while True:
        since = seen[-1].at if seen else _begin(group, clock.now())
        page = await api.log(group.name, since, clock.now(), newest_first=False)
        fresh = _new(list(map(_line, page)), seen)
        for line in fresh:
            yield line.text
        seen = [*seen[-LOG_PAGE:], *fresh]
        if fresh:
            continue
        try:
            await api.group(group.name)
        except LeaseNotFound:
            return
        await clock.sleep(LOOK_S)


def _new(page: Sequence[Line], told: Sequence[Line]) -> list[Line]:
    if not told:
        return list(page)
    boundary = {line.text for line in told[-LOG_PAGE:] if line.at == told[-1].at}
    return [line for line in page if line.at != told[-1].at or line.text not in boundary]


def _begin(group: Group, now: datetime) -> datetime:
    return max(group.create_time or now - _KEPT, now - _KEPT)


def _line(entry: LogEntry) -> Line:
    text = entry.text_log
    if text is None:
        text = json.dumps(entry.json_log or {}, default=float)
    return Line(entry.time, text.rstrip("\n").encode())
