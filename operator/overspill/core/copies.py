"""A service of several copies: which GPUJobs there should be, and how they are told apart.

The user's own GPUJob is copy 0 of its service, and the leases, failover and cost of every other
copy are those of a GPUJob of its own, which the operator makes: `<name>-<k>`, owned by copy 0.
Copies are never deleted, only suspended, the highest first: so what they cost stays known.
docs/designs/0005. Pure; called by `engine/copies`. The money is divided in `copies_money`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from overspill.core.copies_money import (
    HOURLY,
    LEAST_USD,
    TOTAL,
    granted,
    is_divided,
    share_of,
)
from overspill.core.job import Job
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import Workload

SERVICE_LABEL = "overspill.dev/service"
"""On a copy that we made, and on the pods of every service at home: the name of copy 0."""
COPY_LABEL = "overspill.dev/copy"
"""On a copy that we made: its number."""
SHAPE_ANNOTATION = "overspill.dev/of-generation"
"""On a copy that we made: the generation of copy 0 whose spec it has."""

FEWER_AFTER = timedelta(minutes=15)
"""Spares that would not be chosen any more are kept so long: to start one again costs more."""

LONGEST_NAME = 63
"""A GPUJob's name becomes a label."""
_MICRO = Decimal("0.000001")
OURS = ("", "overspill.dev/operator")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy as it should be. Money in USD; None: no such limit."""

    number: int
    name: str
    suspend: bool
    max_total_usd: Decimal | None = None
    max_hourly_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do. `problem`: what keeps copies from being there, and who must do what."""

    make: tuple[Copy, ...] = ()
    change: tuple[tuple[Job, Copy], ...] = ()
    problem: tuple[Reason, str] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """Copy 0 with the copies that we made for it, by number."""

    job: Job
    copies: Mapping[int, Job] = field(default_factory=dict)
    strangers: frozenset[int] = frozenset()
    """Numbers whose name is some other GPUJob's."""

    @property
    def members(self) -> dict[int, Job]:
        """All copies that exist, copy 0 too."""
        return {0: self.job, **self.copies}


def is_service(job: Job) -> bool:
    """Whether the job is copy 0 of a service that is left to us."""
    is_ours = job.managed_by in OURS and not job.deletion_requested
    return job.workload is Workload.INFERENCE and not job.owner_uid and is_ours


@dataclass(frozen=True, slots=True)
class Spares:
    """How many spare copies placement chose for a service, and why."""

    count: int
    told: str = ""
    fewer_since: datetime | None = None
    """Since when fewer would do."""


def chosen(before: Spares | None, count: int, told: str, now: datetime) -> Spares:
    """More at once; fewer only when that has been the word for a while."""
    if before is None or count > before.count:
        return Spares(count, told)
    if count == before.count:
        return replace(before, fewer_since=None)
    since = before.fewer_since or now
    if now - since >= FEWER_AFTER:
        return Spares(count, told)
    return replace(before, fewer_since=since)


def copies_wanted(job: Job, klass: SlaClass, spares: int | None = None) -> int:
    """How many copies there should be, spares and copy 0 among them.

    `spares`: what placement chose, where the class leaves it to the operator.
    """
    if job.workload is not Workload.INFERENCE or job.is_held or job.is_finished or job.owner_uid:
        return 0
    return job.replicas + (klass.spare_replicas or 0) + (spares or 0) * klass.chooses_spares


def copy_name(service: str, number: int) -> str:
    """The name of a copy's GPUJob."""
    return f"{service}-{number}" if number else service


def service_of(job: Job, others: Iterable[Job]) -> Service:
    """The service of a copy 0; `others` are GPUJobs of its namespace, itself perhaps among them."""
    copies: dict[int, Job] = {}
    strangers: set[int] = set()
    for other in others:
        number = _number(job, other)
        if number is None:
            continue
        if other.owner_uid == job.ref.uid:
            copies[number] = other
        else:
            strangers.add(number)
    return Service(job, dict(sorted(copies.items())), frozenset(strangers))


def has_copies(service: Service, wanted: int) -> bool:
    """Whether there is, was or should be more than copy 0; else nothing is done at all."""
    return wanted > 1 or bool(service.copies) or is_divided(service.job)


def may_be_placed(job: Job, owner: Job | None, wanted: int) -> bool:
    """Whether the copy's part of the money is settled: before, nobody may decide for it.

    `owner`: copy 0 of its service, of a copy that we made; `wanted`: of a copy 0, how many copies
    there are or should be.
    """
    if job.owner_uid:
        return owner is not None and (not _has_limits(owner) or share_of(owner, job) is not None)
    return wanted <= 1 or not _has_limits(job) or is_divided(job)


def plan_copies(service: Service, wanted: int, asked: int | None = None) -> Plan:
    """What to make and to change so that the copies are as they should be.

    Of the copies beyond the first `asked` (None: all are asked for) it is no fault that there is
    no money for them.

    Of money only what is recorded in copy 0's status is handed on; a copy without any waits.
    """
    job = service.job
    make: list[Copy] = []
    change: list[tuple[Job, Copy]] = []
    problems: list[tuple[Reason, str]] = []
    for number in range(1, max([wanted, *(k + 1 for k in service.copies)])):
        known = service.copies.get(number)
        if known is None and number < wanted:
            problem = _obstacle(service, number)
            if problem is None:
                make.append(_copy(job, number, suspend=False))
            elif asked is None or number < asked or problem[0] is not Reason.COPIES_UNFUNDED:
                problems.append(problem)
        elif known is not None and not known.is_finished and not known.deletion_requested:
            copy = _copy(job, number, suspend=number >= wanted)
            if _differs(job, known, copy):
                change.append((known, copy))
    return Plan(tuple(make), tuple(change), _summed(problems))


def _number(job: Job, other: Job) -> int | None:
    """Which copy of `job` the other one would be by its name; None: none."""
    head, _, tail = other.ref.name.rpartition("-")
    if head != job.ref.name or other.ref.namespace != job.ref.namespace:
        return None
    is_number = tail.isdecimal() and tail.isascii() and tail[0] != "0" and len(tail) <= 4
    return int(tail) if is_number else None


def _has_limits(job: Job) -> bool:
    return job.max_total_usd is not None or job.max_hourly_usd is not None


def _obstacle(service: Service, number: int) -> tuple[Reason, str] | None:
    job = service.job
    name = copy_name(job.ref.name, number)
    if len(name) > LONGEST_NAME:
        told = f"copy {number} would be called {name}, longer than {LONGEST_NAME} characters: "
        return Reason.COPY_NAME_TAKEN, f"{told}give the service a shorter name"
    if number in service.strangers:
        told = f"copy {number} cannot be made: there is a GPUJob {name} that is not this service's"
        return Reason.COPY_NAME_TAKEN, f"{told}; rename or delete it"
    for limit, name in ((job.max_total_usd, TOTAL), (job.max_hourly_usd, HOURLY)):
        share = granted(job, number, name)
        if limit is not None and (share is None or share < LEAST_USD):
            told = f"nothing of budget.{name} is left for copy {number}: leases that run may spend "
            return Reason.COPIES_UNFUNDED, f"{told}what they were given; raise it, or scale down"
    return None


def _copy(job: Job, number: int, *, suspend: bool) -> Copy:
    caps = [
        None if limit is None else max(LEAST_USD, _plain(granted(job, number, name)))
        for limit, name in ((job.max_total_usd, TOTAL), (job.max_hourly_usd, HOURLY))
    ]
    return Copy(number, copy_name(job.ref.name, number), suspend, *caps)


def _plain(usd: Decimal | None) -> Decimal:
    """As a GPUJob's spec can have it; never more."""
    return (usd or Decimal(0)).quantize(_MICRO, ROUND_DOWN)


def _differs(job: Job, known: Job, copy: Copy) -> bool:
    """Whether the copy has another spec than it should; its spec follows copy 0's generation."""
    caps = (known.max_total_usd, known.max_hourly_usd)
    if (known.suspend, *caps) != (copy.suspend, copy.max_total_usd, copy.max_hourly_usd):
        return True
    return known.replicas != 1 or known.annotations.get(SHAPE_ANNOTATION) != str(job.generation)


def _summed(problems: Sequence[tuple[Reason, str]]) -> tuple[Reason, str] | None:
    """The first, which is the nearest to being made, and how many more there are."""
    if not problems:
        return None
    reason, told = problems[0]
    more = len(problems) - 1
    return reason, f"{told} (and {more} more copies)" if more else told
