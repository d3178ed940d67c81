"""Making room: who leaves home so that a job with more of a promise need not rent dear.

Asked only when a job is about to rent. Whoever leaves saves first, is closed as `Preempted`, and
is placed anew from its checkpoint: it may wait for home, or rent where renting is cheap for it.
It has a class that is no better, and either promises nothing or has hours to spare. The rent that
is saved must be twice what all of that is expected to cost.
Nothing is kept between plans: the same picture leads to the same nodes, and what is being closed
counts as room on its way. Called by `placement`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Protocol

from overspill.core.lease import Lease
from overspill.core.offer import NOTHING_BESIDE, Beside
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_case import Case
from overspill.core.placement_moves import cooled_at, work_at_risk
from overspill.core.placement_pool import Node, Pool
from overspill.core.placement_search import Search
from overspill.core.pricing import hours, remaining_work
from overspill.core.statusparts import usd
from overspill.core.vocabulary import (
    CapacityType,
    ClosingReason,
    FailbackPolicy,
    Fencing,
    LeaseState,
    Workload,
)

ROOM_TIME = timedelta(minutes=5)
"""How long it may take to save, to end and to be seen free; then the room is not hoped for."""

SPARE = timedelta(hours=2)
"""A job with a finish-by leaves only while it has so much time beyond its work."""

GAIN = 2
"""The rent that is saved must be so many times what the leaving costs."""

MOST_LEAVING = 32
MOST_NODES = 64
"""How many jobs one plan asks to leave, and how many nodes it looks at for one job."""


@dataclass(frozen=True)
class Tenant:
    """A job that runs at home and could leave."""

    case: Case
    lease: Lease

    @property
    def uid(self) -> str:
        """Of the job."""
        return self.case.job.ref.uid

    @property
    def gpus(self) -> int:
        """On each of its nodes."""
        return self.lease.request.gpu_count

    @property
    def requests(self) -> Beside:
        """CPU and memory on each of them."""
        return self.case.facts.requests

    @cached_property
    def price(self) -> Decimal:
        """USD per hour at home."""
        known = self.lease.price_usd_per_hour
        return self.lease.offer.price_usd_per_hour if known is None else known

    @cached_property
    def again_usd(self) -> Decimal:
        """Of the work since its last checkpoint, should it not save once more."""
        return self.price * hours(work_at_risk(self.case, self.lease))


class Outside(Protocol):
    """What a tenant would cost outside."""

    def __call__(self, case: Case, away: timedelta) -> Decimal | None:
        """USD it is expected to pay for rent while it is away; None: it has nowhere to go."""
        ...


@dataclass(frozen=True, slots=True)
class _Room:
    """Nodes that will do once these have left, and the USD that costs."""

    nodes: tuple[Node, ...]
    leaving: tuple[Tenant, ...]
    cost: Decimal


class Rooms:
    """The room that is made, and that is on its way, in one plan."""

    def __init__(self, cases: Sequence[Case], leases: Sequence[Lease], outside: Outside) -> None:
        """`cases` are all that are to be decided. Nothing is looked at before somebody asks."""
        self._cases, self._leases, self._outside = cases, leases, outside
        self.leaving: dict[str, str] = {}
        """By job uid, what a tenant that leaves is told."""

    @cached_property
    def _tenants(self) -> Mapping[str, Sequence[Tenant]]:
        """Who could leave, by node."""
        found: dict[str, list[Tenant]] = defaultdict(list)
        for case in self._cases:
            if (tenant := _tenant(case)) is not None:
                for name in nodes_of(tenant.lease):
                    found[name].append(tenant)
        return found

    @cached_property
    def _left(self) -> Sequence[tuple[str, Lease]]:
        """Nodes that somebody left lately and nobody has got yet."""
        return list(_left(self._leases, self._cases[0].now)) if self._cases else []

    @cached_property
    def _coming(self) -> dict[str, int]:
        """GPUs by node that are on their way."""
        found: dict[str, int] = defaultdict(int)
        for name, lease in self._left:
            found[name] += lease.request.gpu_count
        return dict(found)

    @cached_property
    def _beside_coming(self) -> dict[str, Beside]:
        """CPU and memory that come with them."""
        asked = {case.job.ref.uid: case.facts.requests for case in self._cases}
        found: dict[str, Beside] = defaultdict(Beside)
        for name, lease in self._left:
            found[name] = found[name].plus(asked.get(lease.job.uid, NOTHING_BESIDE))
        return found

    def make(self, search: Search, at_home: Iterable[Candidate], rent: Candidate) -> str | None:
        """What the job waits for instead of renting; None: no room that pays, or no time for it."""
        if not _may_wait(search.case, rent) or not (self._tenants or self._coming):
            return None
        for home in at_home:
            pool = home.pool
            if pool is None or pool.is_held or home.offer.capacity_type is not CapacityType.OWN:
                continue
            room = self._room(search, home, pool)
            saving = rent.quote.total - home.quote.total
            if room is not None and (not room.leaving or saving > GAIN * room.cost):
                return self._take(search, pool, room, saving)
        return None

    def _room(self, search: Search, home: Candidate, pool: Pool) -> _Room | None:
        """The nodes of the pool that are cheapest to clear."""
        needs, found = search.needs, list[tuple[Decimal, str, list[tuple[Tenant, Decimal]]]]()
        for name in self._names(search, pool):
            leaving = self._clearing(search, home, pool.nodes[name])
            if leaving is not None:
                found.append((sum((c for _, c in leaving), Decimal(0)), name, leaving))
        chosen = sorted(found, key=lambda one: one[:2])[: needs.num_nodes]
        costs = {t.uid: (t, cost) for _, _, leaving in chosen for t, cost in leaving}
        if len(chosen) < needs.num_nodes or len(self.leaving) + len(costs) > MOST_LEAVING:
            return None
        nodes = tuple(pool.nodes[name] for _, name, _ in chosen)
        total = sum((cost for _, cost in costs.values()), Decimal(0))
        return _Room(nodes, tuple(t for t, _ in costs.values()), total)

    def _names(self, search: Search, pool: Pool) -> list[str]:
        """Nodes worth a look: somebody could leave or is leaving; for a gang also what is free."""
        count, excluded = search.needs.gpu.count, search.case.facts.excluded_offers
        hopeful = {name for name in (*self._tenants, *self._coming) if name in pool.nodes}
        if search.needs.num_nodes > 1:
            hopeful |= {name for name, node in pool.nodes.items() if node.free >= count}
        kept = [n for n in hopeful if (pool.sample.provider, n) not in excluded]
        return sorted(kept, key=lambda n: (-self._free(pool.nodes[n]), n))[:MOST_NODES]

    def _free(self, node: Node) -> int:
        return node.free + self._coming.get(node.offer.offer_id, 0)

    def _beside(self, node: Node) -> Beside | None:
        coming = self._beside_coming.get(node.offer.offer_id, NOTHING_BESIDE)
        return node.beside_free and node.beside_free.plus(coming)

    def _clearing(
        self, search: Search, home: Candidate, node: Node
    ) -> list[tuple[Tenant, Decimal]] | None:
        """Who has to leave the node, at what cost; None: even that would not do."""
        requests, beside = search.case.facts.requests, self._beside(node)
        short = search.needs.gpu.count - self._free(node)
        if short <= 0 and requests.fits(beside):
            return []
        able = []
        for tenant in self._tenants.get(node.offer.offer_id, ()):
            is_better = _priority(tenant.case) > _priority(search.case)
            if tenant.uid not in self.leaving and not is_better:
                cost = self._cost(tenant, home)
                able += [] if cost is None else [(tenant, cost)]
        found = []
        for tenant, cost in sorted(able, key=lambda one: (one[1] / one[0].gpus, one[0].uid)):
            if short > 0 or not requests.fits(beside):
                found.append((tenant, cost))
                short -= tenant.gpus
                beside = beside and beside.plus(tenant.requests)
        return found if short <= 0 and requests.fits(beside) else None

    def _cost(self, tenant: Tenant, home: Candidate) -> Decimal | None:
        """USD: work done again, another start, and what it may have to rent."""
        rented = self._outside(tenant.case, home.takes)
        return None if rented is None else tenant.again_usd + tenant.price * home.start_h + rented

    def _take(self, search: Search, pool: Pool, room: _Room, saving: Decimal) -> str:
        """Keeps the nodes from whoever comes later in this plan."""
        klass = search.case.sla.name if search.case.sla else ""
        for tenant in room.leaving:
            told = f"makes room at {tenant.lease.offer.place} for a job of class {klass} that "
            self.leaving[tenant.uid] = f"{told}would pay {usd(saving)} USD more outside"
        for node in room.nodes:
            name, gone = node.offer.offer_id, search.needs.gpu.count
            left = self._free(node) - gone
            leaving = [t for t in room.leaving if name in nodes_of(t.lease)]
            pool.take((node,), node.free, search.case.facts.requests)
            self._coming[name] = max(0, left + sum(t.gpus for t in leaving))
            for tenant in leaving:
                self._beside_coming[name] = self._beside_coming[name].plus(tenant.requests)
        names = ", ".join(node.offer.offer_id for node in room.nodes)
        who = f"{len(room.leaving)} job(s) make room" if room.leaving else "room is being made"
        return f"{who} on {names}; renting would cost {usd(saving)} USD more"


def nodes_of(lease: Lease) -> tuple[str, ...]:
    """The home nodes that a lease holds."""
    names = tuple(n for n in lease.offer.attribute("nodes").split(",") if n)
    return names or (lease.offer.offer_id,)


def _tenant(case: Case) -> Tenant | None:
    """The job as one that could leave; None: it has to be left in peace."""
    lease, sla = case.active, case.sla
    if lease is None or not lease.is_home or case.overlaps or sla is None:
        return None
    if not _may_move(case) or case.now < cooled_at(case, lease):
        return None
    if not (sla.promises_nothing if case.job.finish_by is None else _can_spare(case)):
        return None
    tenant = Tenant(case, lease)
    bears = sla.max_loss_usd
    return None if bears is not None and tenant.again_usd > bears else tenant


def _may_move(case: Case) -> bool:
    """Whether it can go on from a checkpoint, and neither user nor class forbids it."""
    job = case.job
    is_service = job.workload is Workload.INFERENCE or job.replicas > 1
    if is_service or job.checkpoint is None or job.fencing is Fencing.WAIT_FOR_POD:
        return False
    policy = job.failback_policy or (case.sla.failback_policy if case.sla else None)
    gone = {a.number for a in job.attempts if a.reason == ClosingReason.PREEMPTED}
    gone |= {le.attempt for le in case.leases if _is_preempted(le)}
    return policy is not FailbackPolicy.NEVER and case.moves + len(gone) < job.max_moves


def _can_spare(case: Case) -> bool:
    """Whether its finish-by leaves hours beyond the work, one interval of it done again."""
    job, left = case.job, remaining_work(case.job, restarts=True)
    if left is None or job.finish_by is None or job.checkpoint is None:
        return False
    return job.finish_by - case.now - left - job.checkpoint.interval >= SPARE


def _left(leases: Sequence[Lease], now: datetime) -> Iterator[tuple[str, Lease]]:
    for lease in leases:
        if lease.closing is None or not _is_preempted(lease):
            continue
        since = lease.closing.requested_at
        if now - since < ROOM_TIME:
            for name in nodes_of(lease):
                if not any(_took(other, name, since) for other in leases):
                    yield name, lease


def _is_preempted(lease: Lease) -> bool:
    return lease.closing is not None and lease.closing.reason is ClosingReason.PREEMPTED


def _took(lease: Lease, node: str, since: datetime) -> bool:
    """Whether an attempt that began since then holds the node."""
    is_later = lease.is_home and lease.created_at >= since
    return is_later and lease.state is not LeaseState.CLOSED and node in nodes_of(lease)


def _may_wait(case: Case, rent: Candidate) -> bool:
    """Whether renting would still be in time if the room did not come.

    A patience of the job's own is its word: what lies beyond it is not waited for.
    """
    by = case.job.finish_by
    in_time = by is None or case.now + ROOM_TIME + rent.takes <= by
    return in_time and case.job.burst_after is None


def _priority(case: Case) -> int:
    return case.sla.priority if case.sla else 0
