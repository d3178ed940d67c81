"""One job as placement sees it, and the answers that need no offer.

A job that another controller manages, that is suspended, that has an attempt on its way (R9), or
whose deadline has passed is answered here. Also the order in which jobs are served. Called by
`placement`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from overspill.core.copies_money import caps_of
from overspill.core.cost import spent_usd
from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.once import once
from overspill.core.placement_money import Allowance, allowance_of
from overspill.core.pricing import remaining_work
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts
from overspill.core.statusparts import moves_of
from overspill.core.vocabulary import ClosingReason, Fencing, LeaseState

OURS = ("", "overspill.dev/operator")
"""Values of `spec.managedBy` that leave the job to us."""

AGING_STEP = timedelta(hours=4)
"""Waiting this long lifts a job above the next higher class, so that nobody starves."""

MOVED = (
    ClosingReason.LOST,
    ClosingReason.MISMATCH,
    ClosingReason.SUPERSEDED,
    ClosingReason.PREEMPTED,
)
"""Ends of an attempt after which the next one is a failover."""

_IN_FLIGHT: Mapping[LeaseState, Reason] = {
    LeaseState.UNCERTAIN: Reason.LEASE_UNCERTAIN,
    LeaseState.OPENING: Reason.LEASE_OPENING,
    LeaseState.PLANNED: Reason.LEASE_PLANNED,
}


@dataclass(frozen=True)
class Case:
    """A job with everything that belongs to it. `sla` is None when its class does not exist."""

    job: Job
    sla: SlaClass | None
    facts: JobFacts
    leases: tuple[Lease, ...]
    now: datetime

    @once
    def active(self) -> Lease | None:
        """The newest lease the job runs on."""
        if not self.leases:
            return None
        found = [le for le in self.leases if le.state is LeaseState.ACTIVE]
        return max(found, key=lambda le: le.attempt, default=None)

    @property
    def overlaps(self) -> bool:
        """Whether a planned move is under way: the new place runs, the old one is drained."""
        return sum(1 for le in self.leases if le.state is LeaseState.ACTIVE) > 1

    @once
    def withdrawn(self) -> Lease | None:
        """A child at home that never found a node and is not proven gone: it might still get one.

        Nothing else is opened beside it. (What was bound and is lost is fenced by its number.)
        """
        unbound = (le for le in self.leases if le.is_home and le.active_since is None)
        closing = (le for le in unbound if le.state is LeaseState.CLOSING)
        return next((le for le in closing if not _is_lost(le)), None)

    @once
    def has_run(self) -> bool:
        """Whether any attempt ever started."""
        return self.first_start is not None

    @once
    def first_start(self) -> datetime | None:
        """When the first attempt began to be charged."""
        if not (self.leases or self.job.attempts):
            return None
        times = [le.active_since for le in self.leases] + [a.started_at for a in self.job.attempts]
        return min((t for t in times if t is not None), default=None)

    @once
    def fails_over(self) -> bool:
        """Whether the next attempt replaces one that lost its place."""
        if not (self.leases or self.job.attempts):
            return False
        # Attempts that were refused before they started say nothing about why a place is needed.
        ends = {a.number: a.reason for a in self.job.attempts if a.started_at}
        for lease in self.leases:
            if lease.active_since and lease.closing:
                ends[lease.attempt] = lease.closing.reason
        return bool(ends) and ends[max(ends)] in MOVED

    @property
    def moves(self) -> int:
        """Changes of place so far, the one that is due now included."""
        return moves_of(self.job, self.leases)

    @once
    def waits_since(self) -> datetime:
        """Since when the job has had no place: since it came, or since its last place ended."""
        if self.facts.waiting_since is not None:
            return self.facts.waiting_since
        if not (self.leases or self.job.attempts):
            return self.job.created_at
        ends = [a.ended_at for a in self.job.attempts if a.started_at]
        ends += [le.closing.requested_at for le in self.leases if le.closing and le.active_since]
        return max([self.job.created_at, *(end for end in ends if end is not None)])

    @property
    def burst_from(self) -> datetime:
        """From when the job may leave although home could serve it later."""
        return self.waits_since + self._patience(after_loss=self.fails_over)

    @property
    def patience_after_loss(self) -> timedelta:
        """How long the job waits for home when it has lost its place."""
        return self._patience(after_loss=True)

    def _patience(self, *, after_loss: bool) -> timedelta:
        sla, job = self.sla or SlaClass(""), self.job
        patience = sla.burst_after if job.burst_after is None else job.burst_after
        if after_loss:
            patience = min(patience, sla.failover_within)
        if job.burst_after is not None or job.finish_by is not None or not sla.promises_nothing:
            return patience
        # Without any promise it waits as long as the work would take: so it never costs more
        # than twice the time, and only rents what home could not do by then (ski rental).
        return max(patience, remaining_work(job, restarts=self.has_run) or timedelta(0))

    @once
    def active_deadline(self) -> datetime | None:
        """When the job must be over, counted from its first start as batch/v1 does."""
        if self.job.active_deadline is None:
            return None
        return (self.first_start or self.now) + self.job.active_deadline

    @once
    def allowance(self) -> Allowance:
        """What the job may still spend."""
        job = self.job
        caps, spent = caps_of(job), job.closed_cost_usd
        if self.leases or job.attempts:
            spent = spent_usd(job, self.leases, self.now)
        return allowance_of(caps, spent)

    def decide(self, action: Action, reason: Reason, message: str, **more: Any) -> Decision:
        """A decision about this job."""
        more["generation"] = self.job.generation
        return Decision(self.job.ref, action, reason, message, self.now, **more)


def settled(case: Case, stop_failover: str) -> Decision | None:
    """The decision where no offer has to be looked at; None: look at offers."""
    return _not_now(case) or _in_flight(case) or _refused(case) or _held_back(case, stop_failover)


def service_order(cases: Iterable[Case]) -> list[Case]:
    """Who is served first: class priority, raised by waiting, then slack, then age."""
    cases = list(cases)
    priorities = sorted({case.sla.priority if case.sla else 0 for case in cases})
    level = {priority: rank for rank, priority in enumerate(priorities)}
    return sorted(cases, key=lambda case: _turn(case, level))


def _turn(case: Case, level: Mapping[int, int]) -> tuple[int, timedelta, datetime, str]:
    lifted = max(0, (case.now - case.waits_since) // AGING_STEP)
    own = level[case.sla.priority if case.sla else 0]
    return -(own + lifted), _slack(case), case.job.created_at, case.job.ref.uid


def _slack(case: Case) -> timedelta:
    if case.job.finish_by is None:
        return timedelta.max
    left = remaining_work(case.job, restarts=case.has_run) or timedelta(0)
    return case.job.finish_by - case.now - left


def _not_now(case: Case) -> Decision | None:
    job = case.job
    if job.managed_by not in OURS:
        told = f"spec.managedBy leaves the job to {job.managed_by}"
        return case.decide(Action.STAY, Reason.MANAGED_ELSEWHERE, told)
    if job.is_held:
        told = "spec.suspend is true" if job.suspend else "spec.replicas is 0"
        return case.decide(Action.WAIT, Reason.SUSPENDED_BY_USER, told)
    return None


def _in_flight(case: Case) -> Decision | None:
    for state, reason in _IN_FLIGHT.items():
        for lease in case.leases:
            if lease.state is state:
                told = f"attempt {lease.attempt} at {lease.offer.place} is {state}"
                return case.decide(Action.STAY, reason, told, offer=lease.offer)
    return None


def _refused(case: Case) -> Decision | None:
    job, now = case.job, case.now
    if case.active is not None:
        return None
    if (unfit := _wrong_itself(case)) is not None:
        return unfit
    if case.active_deadline is not None and case.active_deadline <= now:
        told = f"spec.deadline.activeDeadlineSeconds ended at {_stamp(case.active_deadline)}"
        return case.decide(Action.REFUSE, Reason.ACTIVE_DEADLINE_EXCEEDED, told)
    if job.finish_by is not None and job.finish_by <= now and not case.has_run:
        told = f"the job was to be finished by {_stamp(job.finish_by)}, and never started"
        return case.decide(Action.REFUSE, Reason.DEADLINE_PASSED, told)
    if case.fails_over and case.moves > job.max_moves:
        told = f"the job moved {case.moves} times, spec.recovery.maxMoves is {job.max_moves}"
        return case.decide(Action.REFUSE, Reason.TOO_MANY_MOVES, told)
    return None


def _wrong_itself(case: Case) -> Decision | None:
    """What only the user, or the class's owner, can put right."""
    job = case.job
    if case.sla is None:
        named = f"there is no SLAClass {job.sla_class}" if job.sla_class else "no SLAClass is named"
        told = f"{named}{'' if job.sla_class else ' and none is marked default'}"
        return case.decide(Action.REFUSE, Reason.UNKNOWN_SLA_CLASS, told)
    if case.facts.template_invalid:
        return case.decide(Action.REFUSE, Reason.TEMPLATE_INVALID, case.facts.template_invalid)
    return None


def _held_back(case: Case, stop_failover: str) -> Decision | None:
    if case.active is not None:
        return None
    if case.fails_over and stop_failover:
        return case.decide(Action.WAIT, Reason.FAILOVER_STOPPED, stop_failover)
    if case.withdrawn is not None:
        told = (
            f"attempt {case.withdrawn.attempt} at {case.withdrawn.offer.place} is withdrawn first"
        )
        return case.decide(Action.WAIT, Reason.CHILD_PENDING_TOO_LONG, told)
    if case.facts.missing:
        return case.decide(Action.WAIT, Reason.SECRET_MISSING, case.facts.missing)
    if case.job.fencing is Fencing.WAIT_FOR_POD:
        for lease in case.leases:
            if lease.state is LeaseState.CLOSING and lease.active_since is not None:
                told = f"attempt {lease.attempt} at {lease.offer.place} is not proven gone yet"
                return case.decide(Action.WAIT, Reason.FENCED_BY_POD, told)
    return None


def _is_lost(lease: Lease) -> bool:
    return lease.closing is not None and lease.closing.reason is ClosingReason.LOST


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
