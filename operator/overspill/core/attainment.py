"""Attained against promised, of a class: finish-bys made, kept, broken, and services' time.

Counted by day from what jobs record of themselves, each span of time once: the class's status says
until when everything is counted, and the next count goes on from there, whoever makes it. Pure;
called by `engine/attain`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.availability import WINDOW, ZERO, Uptime, allowed, share_of
from overspill.core.job import Job
from overspill.core.promise import Settlement, is_service, minutes, percent, settlement, uptime_of
from overspill.core.sla import SlaClass
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import PromiseOutcome

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was promised and what became of it in some span of time."""

    made: int = 0
    kept: int = 0
    broken: int = 0
    wanted: timedelta = ZERO
    """Time that services were wanted."""
    down: timedelta = ZERO

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.made + other.made,
            self.kept + other.kept,
            self.broken + other.broken,
            self.wanted + other.wanted,
            self.down + other.down,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What one job adds to its class, by its own records."""

    made_at: datetime | None = None
    """When a finish-by was promised."""
    settled: Settlement | None = None
    uptime: Uptime | None = None
    ended_at: datetime | None = None

    def between(self, low: datetime, high: datetime) -> Tally:
        """What it adds in (low, high]."""
        outcome = None
        if self.settled is not None and low < self.settled.at <= high:
            outcome = self.settled.outcome
        end = high if self.ended_at is None else max(low, min(high, self.ended_at))
        return Tally(
            int(self.made_at is not None and low < self.made_at <= high),
            int(outcome is PromiseOutcome.KEPT),
            int(outcome is PromiseOutcome.BROKEN),
            self.uptime.wanted(low, end) if self.uptime else ZERO,
            self.uptime.down(max(low, self.uptime.since), end) if self.uptime else ZERO,
        )


def share_of_job(job: Job, now: datetime) -> Share | None:
    """The share of a job; None: it was promised nothing that is counted."""
    if is_service(job):
        uptime = uptime_of(job)
        return Share(uptime=uptime, ended_at=job.ended_at) if uptime else None
    if job.finish_by is None:
        return None
    return Share(made_at=job.created_at, settled=settlement(job, now))


@dataclass(frozen=True, slots=True)
class Attainment:
    """What a class attained, by day (UTC). `until`: everything up to then is counted."""

    since: datetime
    until: datetime
    days: Mapping[date, Tally] = field(default_factory=dict)

    @property
    def total(self) -> Tally:
        """Of all days that are kept."""
        return sum(self.days.values(), Tally())

    def counted(self, shares: Iterable[Share], until: datetime) -> "Attainment":
        """With everything up to `until`; days older than the window are left out."""
        until = until.replace(microsecond=0)
        if until <= self.until:
            return self
        shares = tuple(shares)
        days = dict(self.days)
        for day, low, high in _spans(self.until, until):
            added = sum((share.between(low, high) for share in shares), Tally())
            if added != Tally():
                days[day] = days.get(day, Tally()) + added
        oldest = (until - WINDOW).date()
        return replace(self, until=until, days={d: t for d, t in days.items() if d >= oldest})

    def rewound(self, now: datetime) -> "Attainment":
        """Without what a clock that ran ahead counted of days to come; else it would stand still
        until they came.
        """
        if self.until <= now:
            return self
        days = {d: t for d, t in self.days.items() if d <= now.date()}
        return Attainment(min(self.since, now), now.replace(microsecond=0), days)


def begun(shares: Iterable[Share], until: datetime) -> Attainment:
    """The first count of a class: from its oldest job on, within the window."""
    known = [at for s in shares if (at := s.made_at or (s.uptime and s.uptime.since))]
    first = max(until - WINDOW, min([until, *known]) - _SECOND).replace(microsecond=0)
    return Attainment(first, first)


def document(known: Attainment, klass: SlaClass) -> dict[str, Any]:
    """`status.attained` of the class."""
    total = known.total
    found: dict[str, Any] = {
        "windowDays": WINDOW.days,
        "sinceTime": stamp(known.since),
        "countedUntilTime": stamp(known.until),
        "promisesMade": total.made,
        "promisesKept": total.kept,
        "promisesBroken": total.broken,
        "days": [_day_document(day, tally) for day, tally in sorted(known.days.items())],
    }
    if total.kept + total.broken:
        kept = Decimal(total.kept) / (total.kept + total.broken)
        found["finishByKept"] = percent(kept.quantize(Decimal("0.0001")))
    if total.wanted:
        share = share_of(total.down, total.wanted)
        found |= {"availability": f"{share:f}", **_seconds(total)}
        if klass.availability_target is not None:
            left = allowed(klass.availability_target, total.wanted) - total.down
            found["budgetRemaining"] = minutes(left)
    return found


def parsed(found: Mapping[str, Any] | None) -> Attainment | None:
    """The count of a class's status; None where there is none."""
    if not found or not found.get("countedUntilTime"):
        return None
    return Attainment(
        datetime.fromisoformat(str(found.get("sinceTime") or found["countedUntilTime"])),
        datetime.fromisoformat(str(found["countedUntilTime"])),
        {date.fromisoformat(d["date"]): _tally(d) for d in found.get("days") or []},
    )


def _spans(low: datetime, high: datetime) -> Iterator[tuple[date, datetime, datetime]]:
    """(low, high] cut at midnight, UTC; a moment at midnight belongs to the day before."""
    while low < high:
        day = low.astimezone(UTC).date()
        end = min(high, datetime.combine(day, time(), UTC) + _DAY)
        yield day, low, end
        low = end


def _day_document(day: date, tally: Tally) -> dict[str, Any]:
    found: dict[str, Any] = {"date": day.isoformat()}
    counts = {"made": tally.made, "kept": tally.kept, "broken": tally.broken}
    seconds = _seconds(tally) if tally.wanted else {}
    return found | {k: v for k, v in counts.items() if v} | seconds


def _seconds(tally: Tally) -> dict[str, int]:
    return {"wantedSeconds": tally.wanted // _SECOND, "downSeconds": tally.down // _SECOND}


def _tally(found: Mapping[str, Any]) -> Tally:
    return Tally(
        int(found.get("made") or 0),
        int(found.get("kept") or 0),
        int(found.get("broken") or 0),
        timedelta(seconds=int(found.get("wantedSeconds") or 0)),
        timedelta(seconds=int(found.get("downSeconds") or 0)),
    )
