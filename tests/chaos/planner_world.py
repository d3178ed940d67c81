"""The world that L1 plans in: jobs, offers, nodes and leases on a virtual clock, all pure values.

It does what the engine and the markets do to a lease, by the product's own transitions
(`core/transition`) and judgement (`core/recovery`); `planner_machine` decides what happens next.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core import recovery, transition
from overspill.core.decision import Action, Decision
from overspill.core.job import Attempt, Job
from overspill.core.lease import Handle, Lease
from overspill.core.observation import Observation
from overspill.core.offer import Offer
from overspill.core.outcome import outcome
from overspill.core.placement import plan
from overspill.core.recovery import Evidence, Patience, Verdict
from overspill.core.sla import Budget, Reservation, SlaClass
from overspill.core.snapshot import JobFacts, ProviderAccount, ProviderHealth, Snapshot
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import CapacityType, ClosingReason, LeaseState, Phase
from overspill.testing.placing import ACCOUNTS, NOW, STANDARD, make_lease, node, rent

HOLDER = ("replica-a", 1)
PERMIT = timedelta(seconds=20)
CLOSES_IN = timedelta(minutes=2)
"""Every close is proven within this; placement keeps money back for three minutes."""
OPENS_IN = timedelta(minutes=10)
BINDS_IN = timedelta(minutes=2)
REFUSED_FOR = timedelta(minutes=5)
CLASSES = {
    "standard": STANDARD,
    "patient": replace(STANDARD, name="patient", is_default=False, burst_after=timedelta(hours=2)),
    "first": replace(STANDARD, name="first", is_default=False, priority=10),
    "own": SlaClass("own", capacity_types=(CapacityType.OWN,), priority=5),
    "restless": replace(
        STANDARD,
        name="restless",
        is_default=False,
        failback_cooldown=timedelta(0),
        failback_min_saving_percent=1,
    ),
}


@dataclass
class Node:
    """A home node."""

    total: int
    model: str
    rate: Decimal
    is_healthy: bool = True


@dataclass
class World:
    """All that a plan sees, and what becomes of its decisions."""

    now: datetime = NOW
    jobs: dict[str, Job] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    accounts: dict[str, ProviderAccount] = field(default_factory=lambda: dict(ACCOUNTS))
    health: dict[str, ProviderHealth] = field(default_factory=dict)
    budget: Budget | None = None
    excluded: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    stop_failover: str = ""

    def snapshot(self) -> Snapshot:
        """As `engine/gather` puts it together."""
        return Snapshot(
            jobs=tuple(job for job in self.jobs.values() if not job.is_finished),
            leases=tuple(self.leases.values()),
            offers=(*self.home_offers(), *self.offers.values()),
            accounts=self.accounts,
            classes=CLASSES,
            budgets=(self.budget,) if self.budget else (),
            health=self.health,
            facts={uid: self._facts(uid) for uid in self.jobs},
            stop_failover=self.stop_failover,
        )

    def of(self, job: Job) -> list[Lease]:
        """All leases of a job."""
        return [le for le in self.leases.values() if le.job.uid == job.ref.uid]

    def wanted(self, job: Job) -> list[Lease]:
        """Its attempts that count against R9."""
        return [le for le in self.of(job) if le.state in WANTED_STATES]

    def in_state(self, *states: LeaseState) -> list[Lease]:
        """All leases in one of these states, in a fixed order."""
        return sorted((le for le in self.leases.values() if le.state in states), key=_name)

    def planned(self) -> tuple[Decision, ...]:
        """The decisions of this moment."""
        return plan(self.snapshot(), self.now)

    def shuffled(self, dice: random.Random) -> Snapshot:
        """The same picture, told in another order."""
        seen = self.snapshot()
        lists: tuple[list[object], ...] = (list(seen.jobs), list(seen.leases), list(seen.offers))
        for items in lists:
            dice.shuffle(items)
        jobs, leases, offers = lists
        return replace(seen, jobs=tuple(jobs), leases=tuple(leases), offers=tuple(offers))  # type: ignore[arg-type]  # the same values in another order

    def apply(self, decision: Decision) -> None:
        """As `engine/place` does: R9 and the budget are asked once more, then it is recorded."""
        job = self.jobs.get(decision.job.uid)
        if job is None or decision.action not in (Action.PLACE, Action.MOVE):
            return
        if len(self.wanted(job)) > (1 if decision.action is Action.MOVE else 0):
            return
        lease = self._frozen(job, decision)
        if self._reserves(lease):
            self.leases[lease.name] = lease

    def put(self, lease: Lease) -> None:
        """The record changes."""
        self.leases[lease.name] = lease

    def close(self, lease: Lease, reason: ClosingReason, at: datetime | None = None) -> None:
        """The decision to end it goes on record."""
        self.put(transition.closing(lease, reason, at or self.now, reason.value))

    def exclude(self, lease: Lease) -> None:
        """The offer was refused for this job."""
        key = (lease.job.uid, lease.provider, lease.offer.offer_id)
        self.excluded[key] = self.now + REFUSED_FOR

    def pass_time(self, span: timedelta) -> None:
        """Time goes by; what happens by itself happens at its own moment."""
        self.now += span
        for lease in self.in_state(*WANTED_STATES):
            self._becomes_late(lease)
        for lease in self.in_state(LeaseState.CLOSING):
            assert lease.closing is not None
            gone = lease.closing.requested_at + CLOSES_IN
            if gone <= self.now:
                self.put(transition.closed(lease, gone))
        self.excluded = {k: until for k, until in self.excluded.items() if until > self.now}
        self._settle()

    def look_after(self) -> None:
        """What `engine/wanted` does: leases nobody wants are closed, ends are recorded."""
        for lease in self.in_state(*WANTED_STATES):
            job = self.jobs.get(lease.job.uid)
            newer = [x for x in self.wanted(job) if x.attempt > lease.attempt] if job else []
            if job is None:
                self.close(lease, ClosingReason.JOB_GONE)
            elif job.is_finished or outcome(job, self.of(job)):
                self.close(lease, ClosingReason.SUPERSEDED)
            elif job.suspend:
                self.close(lease, ClosingReason.SUSPENDED)
            elif lease.state is LeaseState.ACTIVE and any(
                x.state is LeaseState.ACTIVE for x in newer
            ):
                self.close(lease, ClosingReason.SUPERSEDED)

    def judge(self, lease: Lease, seen: Observation | None, *, missing: bool = False) -> None:
        """One look at an Active lease, with the product's judgement."""
        klass = CLASSES.get(self._class_of(lease), STANDARD)
        evidence = Evidence(seen, None, is_missing=missing)
        found = recovery.judge(lease, evidence, Patience(klass), self.now)
        if found.verdict is Verdict.FINISHED:
            self.put(transition.finished(lease, found.exit_code, self.now))
        elif found.verdict is Verdict.CLOSE:
            if found.closing is ClosingReason.MISMATCH:
                self.exclude(lease)
            self.close(lease, found.closing)

    def open(self, lease: Lease, price: Decimal | None) -> None:
        """The market says yes, at this price; above what is borne it is closed at once."""
        if lease.state is LeaseState.PLANNED and not lease.is_home:
            lease = transition.permitted(lease, HOLDER, self.now, PERMIT, None)
        self.put(transition.active(lease, Handle(lease.key, "x"), price, self.now))
        seen = Observation(Phase.RUNNING, price_usd_per_hour=price)
        self.judge(self.leases[lease.name], seen)

    def home_offers(self) -> list[Offer]:
        """What `in_cluster` would offer: free GPUs, and which leases it has counted."""
        found = []
        for name, at in self.nodes.items():
            held = [le for le in self.on_node(name) if le.state is not LeaseState.PLANNED]
            free = at.total - sum(le.request.gpu_count for le in held)
            offer = node(
                name,
                max(0, free),
                at.total,
                gpu_model=at.model,
                rate=at.rate,
                as_of=self.now,
                leases=",".join(le.name for le in held),
            )
            if not at.is_healthy:
                offer = replace(offer, unavailable_reason="its heartbeat stopped")
            found.append(offer)
        return found

    def on_node(self, name: str) -> list[Lease]:
        """Leases that hold GPUs of a node, until they are proven gone."""
        return [
            le
            for le in self.leases.values()
            if le.is_home and le.state is not LeaseState.CLOSED and name in nodes_of(le.offer)
        ]

    def refresh(self, offer_id: str, price: Decimal, size: int, **changes: object) -> None:
        """The market's catalogue is read anew; what is leased there is not on it any more."""
        taken = sum(le.offer.gpu_count for le in self._held_at(offer_id))
        fresh = rent(offer_id, str(price * size), size, as_of=self.now, **changes)
        free = size - taken if fresh.is_divisible else (0 if taken else size)
        if free <= 0:
            fresh = replace(fresh, unavailable_reason="rented")
        elif free < size:
            fresh = replace(fresh, gpu_count=free, price_usd_per_hour=price * free)
        self.offers[offer_id] = fresh

    def _held_at(self, offer_id: str) -> Iterable[Lease]:
        active = self.in_state(LeaseState.ACTIVE)
        return [le for le in active if not le.is_home and le.offer.offer_id == offer_id]

    def _class_of(self, lease: Lease) -> str:
        job = self.jobs.get(lease.job.uid)
        return job.sla_class if job else ""

    def _facts(self, uid: str) -> JobFacts:
        out = frozenset((p, o) for (u, p, o) in self.excluded if u == uid)
        return JobFacts(excluded_offers=out)

    def _frozen(self, job: Job, decision: Decision) -> Lease:
        attempt = max((le.attempt for le in self.of(job)), default=0) + 1
        assert decision.offer is not None
        is_home = decision.offer.provider == "home"
        assert is_home or (decision.hard_deadline and decision.max_total_usd is not None)
        forever = self.now + timedelta(days=366)
        return make_lease(
            job,
            decision.offer,
            LeaseState.PLANNED,
            name=f"gl-{job.ref.uid}-{attempt}",
            uid=f"lease-{job.ref.uid}-{attempt}",
            attempt=attempt,
            max_usd_per_hour=decision.max_usd_per_hour or decision.offer.price_usd_per_hour,
            max_total_usd=decision.max_total_usd or Decimal(10**6),
            hard_deadline=decision.hard_deadline or forever,
            created_at=self.now,
            price_usd_per_hour=None,
        )

    def _reserves(self, lease: Lease) -> bool:
        if lease.is_home or self.budget is None:
            return True
        if self.budget.free_usd < lease.max_total_usd:
            return False
        mine = Reservation(lease.name, lease.job.uid, lease.max_total_usd)
        self._hold((*self.budget.reservations, mine), self.budget.spent_usd)
        return True

    def _settle(self) -> None:
        """As `engine/budgets.settle`."""
        if self.budget is None:
            return
        kept, spent = [], self.budget.spent_usd
        for reservation in self.budget.reservations:
            lease = self.leases[reservation.lease]
            if lease.state is LeaseState.CLOSED:
                spent += lease.cost_usd(self.now)
            else:
                kept.append(reservation)
        self._hold(tuple(kept), spent)

    def _hold(self, reservations: tuple[Reservation, ...], spent: Decimal) -> None:
        assert self.budget is not None
        committed = sum((r.usd for r in reservations), Decimal(0))
        self.budget = replace(
            self.budget, reservations=reservations, committed_usd=committed, spent_usd=spent
        )

    def _becomes_late(self, lease: Lease) -> None:
        """The hard deadline, an open that never succeeds, a child that never finds a node."""
        if lease.state is LeaseState.ACTIVE:
            if lease.hard_deadline <= self.now:
                job = self.jobs.get(lease.job.uid)
                by_time = job is not None and job.active_deadline is not None
                why = ClosingReason.DEADLINE_EXCEEDED if by_time else ClosingReason.BUDGET_EXCEEDED
                self.close(lease, why, lease.hard_deadline)
            return
        limit = BINDS_IN if lease.is_home else OPENS_IN
        late = lease.created_at + limit
        if lease.state is not LeaseState.UNCERTAIN and late <= self.now:
            self.exclude(lease)
            self.close(lease, ClosingReason.WITHDRAWN, late)


def nodes_of(offer: Offer) -> list[str]:
    """The home nodes that a lease's offer names."""
    return [n for n in offer.attribute("nodes").split(",") if n] or [offer.offer_id]


def told(job: Job, leases: Iterable[Lease]) -> Job:
    """The job with the status that `engine/tell` would have written."""
    mine = sorted(leases, key=lambda le: le.attempt)
    end = outcome(job, mine)
    attempts = tuple(
        Attempt(
            le.attempt,
            le.name,
            le.provider,
            le.offer.place,
            le.active_since,
            le.closing.requested_at if le.closing else None,
            le.closing.reason.value if le.closing else "",
        )
        for le in mine
        if le.state is not LeaseState.PLANNED
    )
    words = () if end is None else ({"type": end.condition.value, "status": "True"},)
    return replace(job, conditions=words or job.conditions, attempts=attempts)


def _name(lease: Lease) -> str:
    return lease.name
