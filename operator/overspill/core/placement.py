"""Decides where every unfinished job runs: place, wait, move, stay or refuse, with reasons.

`plan` is pure and deterministic. Jobs are served in turn (class, waiting, slack, age) and each
takes its GPUs and dollars from the same plan, so that no two get the same. The engine calls it
with one snapshot whenever something relevant changed, and acts on the decisions.
docs/placement.md explains the rules to users.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.decision import Action, Decision
from overspill.core.filters import Needs, Refusal, needs_of
from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.placement_capacity import Capacity, Node, cut_home, cut_rented
from overspill.core.placement_case import Case, service_order, settled
from overspill.core.placement_losers import Losers
from overspill.core.placement_money import Allowance, Ceiling, Money, afford, ceiling_of
from overspill.core.placement_moves import (
    cooled_at,
    kept_outside,
    min_percent,
    not_worth,
    saving_of,
    would_be_late,
)
from overspill.core.placement_ranking import Candidate, Ranker, Ranking
from overspill.core.pricing import Terms, terms_of
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.statusparts import usd
from overspill.core.vocabulary import Burst, ProviderType

START_MARGIN = Decimal("1.1")
"""A rented start is not put off beyond the point where this many times its length is left."""

STARVING = timedelta(minutes=30)
"""Who waited this long for home keeps the nodes nearest to fitting from later jobs."""


def plan(snapshot: Snapshot, now: datetime) -> tuple[Decision, ...]:
    """One decision for every job that is neither finished nor being deleted, in their order."""
    return _Plan(snapshot, now).decisions()


@dataclass(frozen=True, slots=True)
class _Fit:
    """A candidate that a job can have now."""

    candidate: Candidate
    nodes: tuple[Node, ...]
    total: Decimal | None


@dataclass(slots=True)
class _Search:
    """What one job asks, and what was learnt while looking for its place."""

    case: Case
    needs: Needs
    terms: Terms
    allowance: Allowance
    losers: Losers
    home_is_busy: bool = False
    wait_until: datetime | None = None


class _Plan:
    """The state of one plan: free GPUs, free dollars, rankings."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self._snapshot = snapshot
        self._now = now
        self._home = frozenset(
            name
            for name, account in snapshot.accounts.items()
            if account.type is ProviderType.IN_CLUSTER
        )
        self._capacity = Capacity(snapshot.offers, snapshot.leases, self._home)
        self._money = Money(snapshot.budgets, snapshot.leases, now)
        self._ranker = Ranker(snapshot, self._capacity, now)

    def decisions(self) -> tuple[Decision, ...]:
        """Everybody who waits is served before anybody is moved."""
        cases = self._cases()
        found: dict[str, Decision] = {}
        undecided = []
        for case in cases:
            answer = settled(case, self._snapshot.stop_failover)
            if answer is None:
                undecided.append(case)
            else:
                found[case.job.ref.uid] = answer
        ordered = service_order(undecided)
        for case in [c for c in ordered if c.active is None]:
            found[case.job.ref.uid] = self._place(case)
        for case in [c for c in ordered if c.active is not None]:
            found[case.job.ref.uid] = self._keep_or_move(case)
        return tuple(found[case.job.ref.uid] for case in cases)

    def _cases(self) -> list[Case]:
        leases: dict[str, list[Lease]] = defaultdict(list)
        for lease in self._snapshot.leases:
            leases[lease.job.uid].append(lease)
        classes = self._snapshot.classes
        default = next((c for _, c in sorted(classes.items()) if c.is_default), None)
        nothing = JobFacts()
        return [
            Case(
                job,
                classes.get(job.sla_class) if job.sla_class else default,
                self._snapshot.facts.get(job.ref.uid, nothing),
                tuple(leases[job.ref.uid]),
                self._now,
            )
            for job in self._snapshot.jobs
            if not job.is_finished and not job.deletion_requested
        ]

    def _place(self, case: Case) -> Decision:
        sla = case.sla or SlaClass("")
        terms = terms_of(case.job, restarts=case.has_run)
        search = _Search(case, needs_of(case.job, sla, case.facts), terms, case.allowance, Losers())
        ranking = self._ranker.ranking(search.needs, terms, sla.max_loss_usd)
        for index, candidate in enumerate(ranking.candidates):
            found = self._try(search, candidate)
            if isinstance(found, _Fit):
                search.losers.include(ranking.outranked_by(index))
                return self._placed(search, found)
            price = candidate.quote.price
            search.losers.add(candidate.offer, found, price, candidate.size)
        search.losers.include(ranking.losers)
        return self._left_waiting(search, ranking)

    def _try(self, search: _Search, candidate: Candidate) -> _Fit | Refusal:
        """The questions whose answer depends on time, money and what is free now."""
        why = self._recently_refused(search, candidate) or self._too_late(search, candidate)
        if why is not None:
            return why
        free = None
        if not candidate.is_home:
            free = self._money.free(search.case.job.ref.namespace)
        total = afford(search.allowance, free, candidate.quote, candidate.needed, candidate.purpose)
        if isinstance(total, Refusal):
            return total
        why = self._money.within_limits(candidate.market, candidate.quote.price)
        if why is not None:
            return why
        if candidate.pool is not None:
            return self._at_home(search, candidate, total)
        return self._outside(search, candidate, total)

    def _recently_refused(self, search: _Search, candidate: Candidate) -> Refusal | None:
        excluded, offer = search.case.facts.excluded_offers, candidate.offer
        if not excluded:
            return None
        is_out = (
            candidate.pool.is_excluded(excluded)
            if candidate.pool is not None
            else (offer.provider, offer.offer_id) in excluded
        )
        told = "refused or withdrawn for this job a moment ago"
        return Refusal(Reason.RECENTLY_REFUSED, told, clears=True) if is_out else None

    def _too_late(self, search: _Search, candidate: Candidate) -> Refusal | None:
        finish_by = search.case.job.finish_by
        # A job that is late already is finished as soon as can be: the promise is broken, not it.
        if finish_by is None or search.case.has_run or self._now + candidate.takes <= finish_by:
            return None
        told = f"the work would end at {self._now + candidate.takes:%Y-%m-%dT%H:%M:%SZ}, "
        return Refusal(
            Reason.DEADLINE_UNREACHABLE, f"{told}after finish-by {finish_by:%Y-%m-%dT%H:%M:%SZ}"
        )

    def _at_home(
        self, search: _Search, candidate: Candidate, total: Decimal | None
    ) -> _Fit | Refusal:
        pool, needs = candidate.pool, search.needs
        assert pool is not None  # noqa: S101  (the caller checked; this narrows the type)
        nodes = pool.choose(needs, search.case.facts.excluded_offers)
        if nodes:
            return _Fit(candidate, tuple(nodes), total)
        search.home_is_busy = True
        fitting = sum(1 for n in pool.nodes.values() if n.free >= needs.gpu.count)
        if fitting:
            told = f"{fitting} of {needs.num_nodes} nodes have {needs.gpu.count} GPUs free"
            return Refusal(Reason.GANG_WOULD_SPLIT, f"only {told}; a gang is never split", True)
        most = max(n.free for n in pool.nodes.values())
        told = f"no node has {needs.gpu.count} GPUs free now (at most {most} on one)"
        return Refusal(Reason.NO_CAPACITY_NOW, told, clears=True)

    def _outside(
        self, search: _Search, candidate: Candidate, total: Decimal | None
    ) -> _Fit | Refusal:
        rented = candidate.rented
        assert rented is not None  # noqa: S101  (home was handled before; this narrows the type)
        if rented.offer.unavailable_reason:
            return Refusal(Reason.UNAVAILABLE, rented.offer.unavailable_reason, clears=True)
        if not rented.fits(search.needs):
            return Refusal(Reason.NO_CAPACITY_NOW, "taken by another job just now", clears=True)
        until = self._patience(search, candidate)
        if until is not None:
            search.wait_until = min(until, search.wait_until or until)
            told = f"it may leave from {until:%Y-%m-%dT%H:%M:%SZ} on; until then it waits for home"
            return Refusal(Reason.BURST_NOT_YET, told, clears=True)
        return _Fit(candidate, (), total)

    def _patience(self, search: _Search, candidate: Candidate) -> datetime | None:
        """Until when the job waits for home before taking this place; None: it does not wait.

        Only where home could serve it and is merely busy; a finish-by that would be missed by
        waiting beats the patience.
        """
        case = search.case
        if not search.home_is_busy:
            return None
        until = case.burst_from
        if case.job.finish_by is not None:
            seconds = Decimal(str(candidate.takes.total_seconds())) * START_MARGIN
            until = min(until, case.job.finish_by - timedelta(seconds=int(seconds)))
        return until if until > self._now else None

    def _placed(self, search: _Search, fit: _Fit) -> Decision:
        case, quote = search.case, fit.candidate.quote
        ceiling, offer = self._commit(search, fit)
        told = f"{search.needs.gpus_total}x{offer.gpu_model} at {_where(offer, fit)} for "
        told += f"{usd(offer.price_usd_per_hour)} USD/h"
        if search.home_is_busy and not fit.candidate.is_home:
            told += "; home cannot take it now"
        return case.decide(
            Action.PLACE,
            _why(case, fit),
            told,
            offer=offer,
            price_usd_per_hour=offer.price_usd_per_hour,
            cost_lines=quote.lines,
            total_usd=quote.total if search.terms.is_known else None,
            expected_useful_usd_per_hour=quote.useful,
            rejected=search.losers.listed(),
            max_total_usd=ceiling.max_total,
            max_usd_per_hour=ceiling.max_usd_per_hour,
            hard_deadline=self._hard_deadline(case, ceiling),
            home_node=fit.nodes[0].offer.offer_id if len(fit.nodes) == 1 else "",
        )

    def _commit(self, search: _Search, fit: _Fit) -> tuple[Ceiling, Offer]:
        """Takes GPUs and dollars out of the plan."""
        candidate, needs = fit.candidate, search.needs
        offer = (
            cut_home(list(fit.nodes), needs) if fit.nodes else cut_rented(candidate.offer, needs)
        )
        ceiling = ceiling_of(
            fit.total, search.allowance, candidate.offer, candidate.quote, search.terms
        )
        if candidate.pool is not None:
            candidate.pool.take(fit.nodes, needs.gpu.count)
        if candidate.rented is not None:
            candidate.rented.take(needs)
        namespace = search.case.job.ref.namespace
        self._money.spend(namespace, offer, ceiling, is_home=candidate.is_home)
        return ceiling, offer

    def _hard_deadline(self, case: Case, ceiling: Ceiling) -> datetime | None:
        by_money = None if ceiling.lasts is None else self._now + ceiling.lasts
        moments = [m for m in (by_money, case.active_deadline) if m is not None]
        return min(moments, default=None)

    def _left_waiting(self, search: _Search, ranking: Ranking) -> Decision:
        action, why = search.losers.verdict(self._home)
        is_starving = self._now - search.case.waits_since >= STARVING
        if action is Action.WAIT and search.home_is_busy and is_starving:
            first = next(c.pool for c in ranking.candidates if c.pool is not None)
            first.hold(search.needs)
        return search.case.decide(
            action,
            why.reason,
            why.message,
            rejected=search.losers.listed(),
            wait_until=search.wait_until,
        )

    def _keep_or_move(self, case: Case) -> Decision:
        lease = case.active
        assert lease is not None  # noqa: S101  (only running jobs come here; narrows the type)
        if lease.is_home or lease.provider in self._home:
            return _stay(case, lease, Reason.RUNNING_WELL, f"runs at {lease.offer.place}")
        why = kept_outside(case, lease, self._snapshot.stop_failover)
        if why is not None:
            until = cooled_at(case, lease) if why.reason is Reason.HYSTERESIS else None
            return _stay(case, lease, why.reason, _runs(lease, why.message), wait_until=until)
        return self._move_home(case, lease)

    def _move_home(self, case: Case, lease: Lease) -> Decision:
        sla = case.sla or SlaClass("")
        terms = terms_of(case.job, restarts=False)
        needs = needs_of(case.job, sla, case.facts)
        allowance = _during_overlap(case.allowance, lease)
        search = _Search(case, needs, terms, allowance, Losers())
        ranking = self._ranker.ranking(needs, terms, sla.max_loss_usd)
        fit = self._home_fit(search, ranking)
        if fit is None:
            return _stay(case, lease, Reason.RUNNING_WELL, _runs(lease, "home has no room for it"))
        market = self._ranker.market(lease.provider)
        saving = saving_of(case, lease, market, needs, terms, fit.candidate)
        percent = min_percent(case)
        if not saving.is_worth(percent):
            told = _runs(lease, not_worth(saving, percent))
            return _stay(case, lease, Reason.HYSTERESIS, told, saving_usd=saving.usd)
        if would_be_late(case, lease, terms, fit.candidate):
            told = _runs(lease, "moving home would miss its finish-by")
            return _stay(case, lease, Reason.HYSTERESIS, told, saving_usd=saving.usd)
        found = self._placed(search, fit)
        told = f"home saves {usd(saving.usd)} USD of {usd(saving.stay_usd)}: {found.message}"
        return replace(
            found,
            action=Action.MOVE,
            reason=Reason.REPATRIATION_PAYS,
            message=told,
            from_lease=lease.name,
            saving_usd=saving.usd,
        )

    def _home_fit(self, search: _Search, ranking: Ranking) -> _Fit | None:
        for candidate in ranking.candidates:
            if candidate.is_home:
                found = self._try(search, candidate)
                if isinstance(found, _Fit):
                    return found
        return None


def _during_overlap(allowance: Allowance, lease: Lease) -> Allowance:
    """While a move overlaps, both leases cost: the old one's rate is taken off the hourly cap."""
    if allowance.max_hourly is None:
        return allowance
    price = lease.price_usd_per_hour
    here = lease.offer.price_usd_per_hour if price is None else price
    return replace(allowance, max_hourly=allowance.max_hourly - here)


def _stay(
    case: Case,
    lease: Lease,
    reason: Reason,
    message: str,
    *,
    wait_until: datetime | None = None,
    saving_usd: Decimal | None = None,
) -> Decision:
    price = lease.price_usd_per_hour
    return case.decide(
        Action.STAY,
        reason,
        message,
        offer=lease.offer,
        price_usd_per_hour=lease.offer.price_usd_per_hour if price is None else price,
        from_lease=lease.name,
        wait_until=wait_until,
        saving_usd=saving_usd,
    )


def _runs(lease: Lease, why: str) -> str:
    return f"runs at {lease.offer.place}; {why}"


def _where(offer: Offer, fit: _Fit) -> str:
    if len(fit.nodes) > 1:
        return f"{offer.provider} ({', '.join(n.offer.offer_id for n in fit.nodes)})"
    return offer.place


def _why(case: Case, fit: _Fit) -> Reason:
    if case.fails_over:
        return Reason.FAILOVER
    if fit.candidate.is_home:
        return Reason.HOME_FITS
    is_only = case.job.burst is Burst.ONLY
    return Reason.CHEAPEST_FITTING if is_only else Reason.BURST_TO_PROVIDER_SELECTED
