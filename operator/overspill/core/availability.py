"""How much of the time a service was up, from recorded facts alone.

A service is wanted from the moment it first ran until it ends, less the time its user suspended it;
it is down while it is wanted and its workload does not run. What is kept is a list of breaks, each
written with the status that told of it, so nothing is counted in memory and a restart of the
operator is no break. Pure; called by `core/promise` and `core/attainment`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Any

from overspill.core.statusparts import stamp

WINDOW = timedelta(days=30)
"""What a target allows is reckoned over this time, always up to now."""

MOST_BREAKS = 32
"""Kept one by one; the two oldest become one when there are more."""

ZERO = timedelta(0)
_SECOND = timedelta(seconds=1)


class Standing(StrEnum):
    """How a service stands."""

    UP = "Up"
    DOWN = "Down"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class Break:
    """A time in which the service did not run. `until` None: it lasts."""

    standing: Standing
    since: datetime
    until: datetime | None = None
    lasted: timedelta | None = None
    """Less than from `since` to `until` where several were made one; None: all of it."""

    def within(self, low: datetime, high: datetime) -> timedelta:
        """How much of it lies between these moments."""
        end = high if self.until is None else self.until
        covered = max(ZERO, min(end, high) - max(self.since, low))
        if self.lasted is None or self.until is None or self.until <= self.since:
            return covered
        return covered * (self.lasted / (self.until - self.since))

    def joined(self, later: "Break") -> "Break":
        """This and a later one as one."""
        lasted = self._length() + later._length()
        return replace(self, until=later.until, lasted=lasted)

    def _length(self) -> timedelta:
        whole = (self.until or self.since) - self.since
        return whole if self.lasted is None else self.lasted


@dataclass(frozen=True, slots=True)
class Uptime:
    """A service since it first ran; `breaks` oldest first."""

    since: datetime
    breaks: tuple[Break, ...] = ()
    down_before: timedelta = ZERO
    """Of breaks that are not listed any more."""
    suspended_before: timedelta = ZERO

    @property
    def standing(self) -> Standing:
        """How it stands as far as it was told."""
        last = self.breaks[-1] if self.breaks else None
        return last.standing if last is not None and last.until is None else Standing.UP

    def down(self, low: datetime, high: datetime) -> timedelta:
        """How long it was down, of what is listed."""
        return self._sum(Standing.DOWN, low, high)

    def wanted(self, low: datetime, high: datetime) -> timedelta:
        """How long it was wanted, of what is listed."""
        whole = max(ZERO, high - max(low, self.since))
        return max(ZERO, whole - self._sum(Standing.SUSPENDED, max(low, self.since), high))

    def share(self, now: datetime) -> Decimal:
        """Up of wanted since it first ran, from 0 to 1."""
        down = self.down_before + self.down(self.since, now)
        wanted = self.wanted(self.since, now) - self.suspended_before
        return share_of(down, wanted)

    def budget_left(self, target: Decimal, now: datetime) -> timedelta:
        """What the target allows in `WINDOW`, less what was used of it; negative: overdrawn."""
        return allowed(target) - self.down(now - WINDOW, now)

    def then(self, standing: Standing, since: datetime, now: datetime) -> "Uptime":
        """With what was seen now; `since` is when that began, as far as records tell."""
        if standing is self.standing:
            return self
        breaks = list(self.breaks)
        at = max(min(since, now), self.latest).replace(microsecond=0)
        if breaks and breaks[-1].until is None:
            last = breaks.pop()
            breaks += [replace(last, until=at)] if at > last.since else []
        if standing is not Standing.UP:
            breaks.append(Break(standing, at))
        return replace(self, breaks=tuple(breaks))._bounded(now)

    @property
    def latest(self) -> datetime:
        """When it last began or ceased to run."""
        last = self.breaks[-1] if self.breaks else None
        return self.since if last is None else (last.until or last.since)

    def _sum(self, standing: Standing, low: datetime, high: datetime) -> timedelta:
        mine = (b.within(low, high) for b in self.breaks if b.standing is standing)
        return sum(mine, ZERO)

    def _bounded(self, now: datetime) -> "Uptime":
        breaks, down, suspended = list(self.breaks), self.down_before, self.suspended_before
        while breaks and breaks[0].until is not None and breaks[0].until < now - WINDOW:
            gone = breaks.pop(0)
            if gone.standing is Standing.DOWN:
                down += gone._length()
            else:
                suspended += gone._length()
        while len(breaks) > MOST_BREAKS:
            breaks = _fewer(breaks)
        return replace(self, breaks=tuple(breaks), down_before=down, suspended_before=suspended)


def share_of(down: timedelta, wanted: timedelta) -> Decimal:
    """Up of wanted, from 0 to 1, rounded down: what was not kept is never told as kept."""
    lost = Decimal(0)
    if wanted > ZERO:
        lost = Decimal(down // _SECOND) / Decimal(max(1, wanted // _SECOND))
    return max(Decimal(0), 1 - lost).quantize(Decimal("0.00001"), ROUND_FLOOR)


def allowed(target: Decimal, over: timedelta = WINDOW) -> timedelta:
    """The down-time that a target allows over a time."""
    return over * float(1 - target)


def begun(standing: Standing, since: datetime) -> Uptime | None:
    """The record of a service that is seen for the first time; None: it never ran yet."""
    return Uptime(since.replace(microsecond=0)) if standing is Standing.UP else None


def document(known: Uptime) -> dict[str, Any]:
    """The record as `status.sla.service` spells it."""
    ended = [b for b in known.breaks if b.until is not None]
    return {
        "firstRunTime": stamp(known.since),
        "downSeconds": _total(ended, Standing.DOWN, known.down_before),
        "suspendedSeconds": _total(ended, Standing.SUSPENDED, known.suspended_before),
        "breaks": [_break_document(b) for b in known.breaks],
    }


def parsed(found: Mapping[str, Any] | None) -> Uptime | None:
    """The record of a status; None where there is none."""
    if not found or not found.get("firstRunTime"):
        return None
    breaks = tuple(_parsed_break(b) for b in found.get("breaks") or [])
    ended = [b for b in breaks if b.until is not None]
    down = timedelta(seconds=int(found.get("downSeconds") or 0))
    suspended = timedelta(seconds=int(found.get("suspendedSeconds") or 0))
    return Uptime(
        datetime.fromisoformat(str(found["firstRunTime"])),
        breaks,
        max(ZERO, down - _length_of(ended, Standing.DOWN)),
        max(ZERO, suspended - _length_of(ended, Standing.SUSPENDED)),
    )


def _fewer(breaks: list[Break]) -> list[Break]:
    """With the two oldest of one kind made one; the one that lasts is never touched."""
    for standing in (breaks[0].standing, Standing.DOWN, Standing.SUSPENDED):
        places = [i for i, b in enumerate(breaks) if b.standing is standing and b.until]
        if len(places) > 1:
            first, second = places[0], places[1]
            joined = breaks[first].joined(breaks[second])
            return [*breaks[:first], joined, *breaks[first + 1 : second], *breaks[second + 1 :]]
    return breaks[1:]


def _total(ended: list[Break], standing: Standing, before: timedelta) -> int:
    return (before + _length_of(ended, standing)) // _SECOND


def _length_of(ended: list[Break], standing: Standing) -> timedelta:
    return sum((b._length() for b in ended if b.standing is standing), ZERO)


def _break_document(one: Break) -> dict[str, Any]:
    found: dict[str, Any] = {"standing": one.standing.value, "startTime": stamp(one.since)}
    if one.until is not None:
        found |= {"endTime": stamp(one.until), "seconds": one._length() // _SECOND}
    return found


def _parsed_break(found: Mapping[str, Any]) -> Break:
    until = found.get("endTime")
    since = datetime.fromisoformat(str(found["startTime"]))
    end = None if until is None else datetime.fromisoformat(str(until))
    told = found.get("seconds")
    lasted = None if told is None else timedelta(seconds=int(told))
    if end is not None and lasted == end - since:
        lasted = None
    return Break(Standing(found["standing"]), since, end, lasted)
