"""How the limits of a service are divided among its copies, so that all together never pass them.

What each copy may use is recorded in the status of copy 0, one object, by compare-and-swap: so no
dollar is given twice, whoever leads. `divide` only ever hands out what nobody holds and nobody can
still take: a part is lowered first, then the leases are listed, then it is given to another one
(docs/designs/0005 says why that is enough). Pure; called by `copies` and `engine/shares`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from overspill.core.cost import spent_usd
from overspill.core.decision import Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.reasons import Reason
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import LeaseState

TOTAL, HOURLY = "maxTotalUSD", "maxHourlyUSD"
LEAST_USD = Decimal("0.01")
"""A copy that could be given less than this is not made: the schema knows no limit of zero."""
USEFUL_H = Decimal("1.5")
"""About so many hours a lease of unknown work must be able to pay for: its start, a useful one, and
what is kept back."""
_CENT = Decimal("0.01")
_REFUSED = {Reason.PRICE_ABOVE_CAP.value: HOURLY, Reason.BUDGET_TOO_SMALL.value: TOTAL}
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Share:
    """What one copy may use, in USD. None: the service has no such limit."""

    copy: int
    uid: str
    """Of the copy's GPUJob; "" before it is made."""
    max_total_usd: Decimal | None = None
    max_hourly_usd: Decimal | None = None

    def part(self, name: str) -> Decimal | None:
        """Of `maxTotalUSD` or `maxHourlyUSD`."""
        return self.max_total_usd if name == TOTAL else self.max_hourly_usd


@dataclass(frozen=True, slots=True)
class Stand:
    """One copy while a limit is divided."""

    copy: int
    granted: Decimal
    """What is recorded for it now."""
    used: Decimal
    """What it has spent and its leases may still spend."""
    is_wanted: bool


def shares_of(job: Job) -> dict[int, Share]:
    """What copy 0's status says of its copies' parts, by number."""
    recorded = (job.status.get("copies") or {}).get("shares") or ()
    found = [
        Share(int(s["number"]), str(s.get("uid") or ""), _usd(s.get(TOTAL)), _usd(s.get(HOURLY)))
        for s in recorded
    ]
    return {share.copy: share for share in found}


def is_divided(job: Job) -> bool:
    """Whether anything was ever recorded: before, all is copy 0's."""
    return bool((job.status.get("copies") or {}).get("shares"))


def gone_of(job: Job) -> dict[str, Decimal]:
    """What is recorded of copies that somebody deleted, by uid."""
    recorded = (job.status.get("copies") or {}).get("gone") or ()
    return {str(one["uid"]): _usd(one.get(TOTAL)) or ZERO for one in recorded}


def gone_usd(job: Job) -> Decimal:
    """The same of those that the ledger has forgotten, all together."""
    return _usd((job.status.get("copies") or {}).get("goneUSD")) or ZERO


def share_of(owner: Job, job: Job) -> Share | None:
    """The part of a copy that exists; its uid decides, another GPUJob of the name has none."""
    return next((s for s in shares_of(owner).values() if s.uid == job.ref.uid), None)


def granted(owner: Job, copy: int, name: str) -> Decimal | None:
    """The recorded part of a limit. None: there is no such limit, or (a copy) nothing recorded.

    Where nothing is recorded yet, copy 0 has the whole.
    """
    limit = owner.max_total_usd if name == TOTAL else owner.max_hourly_usd
    share = shares_of(owner).get(copy)
    part = share.part(name) if share else None
    if limit is None or part is not None:
        return None if limit is None else part
    return limit if copy == 0 else None


def caps_of(job: Job) -> tuple[Decimal | None, Decimal | None]:
    """(maxHourlyUSD, maxTotalUSD) of this GPUJob alone: a copy 0 has its own part of them."""
    if job.owner_uid or not is_divided(job):
        return job.max_hourly_usd, job.max_total_usd
    return granted(job, 0, HOURLY), granted(job, 0, TOTAL)


def exceeded(owner: Job, job: Job, lease: Lease, leases: Sequence[Lease], now: datetime) -> str:
    """Why a recorded lease, of which nothing was sent, is more than its copy's part; "": it is not.

    `owner` is copy 0 as read after the lease was recorded. Of the copy's other attempts what has
    ended counts, at its final cost; what is still being closed was taken off when this was planned.
    """
    if not job.owner_uid and not is_divided(owner):
        return ""
    share = share_of(owner, job)
    closed = [le for le in leases if le.state is LeaseState.CLOSED]
    spent = spent_usd(job, closed, now) if closed else job.closed_cost_usd
    for name, limit, asked in (
        (TOTAL, owner.max_total_usd, lease.max_total_usd + spent),
        (HOURLY, owner.max_hourly_usd, lease.max_usd_per_hour),
    ):
        part = (share.part(name) if share else None) or ZERO
        if limit is not None and asked > part:
            return f"it would use {asked} USD of budget.{name}, of which {part} are the copy's now"
    return ""


def total_used(job: Job, leases: Sequence[Lease], recorded: Decimal, now: datetime) -> Decimal:
    """Spent, and what may still be: of wanted leases their caps, as for any job.

    What is being closed may bill until it is gone: it counts with its cap too, as far as the
    copy's own part goes (of which its next attempt takes what is not spent yet).
    """
    left = {le.name: max(ZERO, le.max_total_usd - le.cost_usd(now)) for le in leases}
    wanted = sum((left[le.name] for le in leases if le.state in WANTED_STATES), ZERO)
    closing = sum((left[le.name] for le in leases if le.state is LeaseState.CLOSING), ZERO)
    loose = spent_usd(job, leases, now) + wanted
    return max(loose, min(loose + closing, recorded))


def hourly_used(leases: Sequence[Lease], recorded: Decimal) -> Decimal:
    """The highest rate of what is open; likewise for what is being closed."""
    wanted = [le.max_usd_per_hour for le in leases if le.state in WANTED_STATES]
    closing = [le.max_usd_per_hour for le in leases if le.state is LeaseState.CLOSING]
    loose = max(wanted, default=ZERO)
    return max(loose, min(sum(wanted, ZERO) + sum(closing, ZERO), recorded))


@dataclass(frozen=True, slots=True)
class Record:
    """What stands in copy 0's status of its service's money."""

    shares: Mapping[int, Share]
    gone: Mapping[str, Decimal] = field(default_factory=dict)
    """What copies that somebody deleted count with, by uid, while the ledger knows them."""
    gone_usd: Decimal = ZERO
    """What those before them count with, all together."""


@dataclass(frozen=True, slots=True)
class Books:
    """The leases of a service."""

    by_uid: Mapping[str, Sequence[Lease]]
    """Of GPUJobs that exist."""
    strays: Sequence[Lease] = ()
    """Of copies that somebody deleted."""
    least: Mapping[str, Decimal] = field(default_factory=dict)
    """By limit: with less than this a copy is known to get no place."""


def next_record(
    members: Mapping[int, Job], wanted: frozenset[int], books: Books, now: datetime
) -> Record:
    """The record that should follow; `members` are the copies that exist, by number.

    A copy that was deleted counts with its whole part, until its ledger tells what it has cost.
    """
    owner = members[0]
    before = shares_of(owner)
    lost = [
        s for k, s in before.items() if s.uid and (k not in members or _uid(members, k) != s.uid)
    ]
    gone, gone_before = _gone(owner, lost, books, now)
    if not wanted:
        kept = {k: s for k, s in before.items() if s not in lost}
        return Record(kept, gone, gone_before)
    all_gone = gone_before + sum(gone.values(), ZERO)
    parts: dict[str, dict[int, Decimal]] = {TOTAL: {}, HOURLY: {}}
    if owner.max_total_usd is not None:
        stands = _stands(members, wanted, TOTAL, books, now)
        parts[TOTAL] = divide(owner.max_total_usd - all_gone, stands, books.least.get(TOTAL, ZERO))
    if owner.max_hourly_usd is not None:
        open_ = [le for le in books.strays if le.state is not LeaseState.CLOSED]
        stray = sum((le.max_usd_per_hour for le in open_), ZERO)
        stands = _stands(members, wanted, HOURLY, books, now)
        parts[HOURLY] = divide(owner.max_hourly_usd - stray, stands, books.least.get(HOURLY, ZERO))
    numbers = sorted(parts[TOTAL].keys() | parts[HOURLY].keys())
    shares = [
        Share(k, _uid(members, k), parts[TOTAL].get(k), parts[HOURLY].get(k)) for k in numbers
    ]
    return Record({share.copy: share for share in shares}, gone, gone_before)


def _gone(
    owner: Job, lost: Sequence[Share], books: Books, now: datetime
) -> tuple[dict[str, Decimal], Decimal]:
    """What deleted copies count with: by uid, and of those that the ledger has forgotten."""
    found, before = {}, gone_usd(owner)
    for uid, part in gone_of(owner).items():
        leases = [le for le in books.strays if le.job.uid == uid]
        if leases:
            found[uid] = _counted(part, leases, now)
        else:
            before += part
    return found | {s.uid: s.max_total_usd or ZERO for s in lost}, before


def _counted(part: Decimal, leases: Sequence[Lease], now: datetime) -> Decimal:
    """What it has cost, where every attempt is there and closed; the ledger forgets the first ones
    first. Asked only of a copy whose part was taken back in an earlier record: no lease follows."""
    attempts = sorted(le.attempt for le in leases)
    is_whole = attempts == list(range(1, len(attempts) + 1))
    if not is_whole or any(le.state is not LeaseState.CLOSED for le in leases):
        return part
    return min(part, sum((le.cost_usd(now) for le in leases), ZERO))


def _uid(members: Mapping[int, Job], number: int) -> str:
    return members[number].ref.uid if number in members else ""


def _stands(
    members: Mapping[int, Job], wanted: frozenset[int], name: str, books: Books, now: datetime
) -> list[Stand]:
    found = []
    owner, before = members[0], shares_of(members[0])
    for number in sorted(members.keys() | wanted):
        job, share = members.get(number), before.get(number)
        is_known = number == 0 or share is None or share.uid in ("", _uid(members, number))
        part = (granted(owner, number, name) if is_known else None) or ZERO
        leases = books.by_uid.get(job.ref.uid, ()) if job else ()
        if job is None:
            used = ZERO
        elif name == TOTAL:
            used = total_used(job, leases, part, now)
        else:
            used = hourly_used(leases, part)
        is_wanted = number in wanted and (job is None or not job.is_finished)
        found.append(Stand(number, part, used, is_wanted))
    return found


def least_needed(decisions: Iterable[Decision]) -> dict[str, Decimal]:
    """With how little a copy gets no place, as far as those who were refused for money can tell."""
    found: dict[str, Decimal] = {}
    for decision in decisions:
        name = _REFUSED.get(str(decision.reason))
        groups = [r for r in decision.rejected if r.reason == decision.reason]
        prices = [r.cheapest_usd_per_hour for r in groups if r.cheapest_usd_per_hour is not None]
        if name is not None and prices:
            need = min(prices) * (1 if name == HOURLY else USEFUL_H)
            found[name] = min(need, found.get(name, need))
    return found


def divide(limit: Decimal, stands: Sequence[Stand], least: Decimal = ZERO) -> dict[int, Decimal]:
    """The next record: equal parts for the wanted, of the others what they have used.

    Where a part would be less than `least`, it goes to fewer copies, the lowest: one that runs
    is more than several that cannot.

    Never more in all than `limit`, unless that much is held already: what is lowered here is free
    for others in the next record only, after the leases were listed again.
    """
    aims = _fair(limit, stands, least)
    held = {s.copy: max(s.granted, s.used) for s in stands}
    free = limit - sum(held.values(), ZERO)
    found: dict[int, Decimal] = {}
    for stand in sorted(stands, key=lambda s: s.copy):
        aim, has = aims[stand.copy], held[stand.copy]
        if aim <= stand.granted:
            found[stand.copy] = aim
        elif free < 0:  # what is planned beyond the limit must not be blessed by a record of it
            found[stand.copy] = stand.granted
        else:
            rise = max(ZERO, min(aim - has, free))
            free -= rise
            found[stand.copy] = min(aim, has + rise)
    return found


def _fair(limit: Decimal, stands: Sequence[Stand], least: Decimal) -> dict[int, Decimal]:
    """Equal parts; who has used more than that keeps it, and the others share the rest."""
    wanted = sorted((s for s in stands if s.is_wanted), key=lambda s: (not s.used, s.copy))
    while len(wanted) > 1 and limit / len(wanted) < least:
        wanted.pop()
    found = {s.copy: s.used for s in stands if s not in wanted}
    rest = limit - sum(found.values(), ZERO)
    left = sorted(wanted, key=lambda s: (-s.used, s.copy))
    while left and left[0].used * len(left) > rest:
        first = left.pop(0)
        found[first.copy] = first.used
        rest -= first.used
    each = (max(ZERO, rest) / len(left)).quantize(_CENT, ROUND_DOWN) if left else ZERO
    return found | {s.copy: max(each, s.used) for s in left}


def recorded(job: Job) -> Record:
    """What copy 0's status says now."""
    return Record(shares_of(job), gone_of(job), gone_usd(job))


def record_document(record: Record) -> dict[str, Any]:
    """The record as `status.copies` spells it."""
    gone = [{"uid": uid, TOTAL: f"{part:f}"} for uid, part in sorted(record.gone.items())]
    before = {"goneUSD": f"{record.gone_usd:f}"} if record.gone_usd else {}
    told = {"shares": _shares(record.shares), **before}
    return told | ({"gone": gone} if gone else {})


def _shares(shares: Mapping[int, Share]) -> list[dict[str, Any]]:
    found = []
    for _, share in sorted(shares.items()):
        money = {TOTAL: share.max_total_usd, HOURLY: share.max_hourly_usd}
        told = {name: f"{usd:f}" for name, usd in money.items() if usd is not None}
        found.append({"number": share.copy, **({"uid": share.uid} if share.uid else {}), **told})
    return found


def _usd(written: Any) -> Decimal | None:
    return None if written is None else Decimal(str(written))
