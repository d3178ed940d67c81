"""Decides where every unfinished job runs: place, wait, move, stay or refuse, with reasons.

`plan` is pure and deterministic. Jobs are served in turn (class, waiting, slack, age) and each
takes its GPUs and dollars from the same plan, so that no two get the same. The engine calls it
with one snapshot whenever something relevant changed, and acts on the decisions.
docs/placement.md explains the rules to users.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.decision import Action, Decision
from overspill.core.filters import Refusal, distance, needs_of
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.offer import NOTHING_BESIDE, Beside
from overspill.core.outcome import outcome
from overspill.core.placement_capacity import Capacity
from overspill.core.placement_case import Case, service_order, settled
from overspill.core.placement_copies import Copies
from overspill.core.placement_field import Field
from overspill.core.placement_money import Money
from overspill.core.placement_moves import (
    allowance_to_move,
    cooled_at,
    immovable,
    kept_outside,
    min_percent,
    not_worth,
    saving_of,
    would_be_late,
)
from overspill.core.placement_policy import Advice, Advisor
from overspill.core.placement_pool import wanted_of
from overspill.core.placement_ranking import Ranker, Ranking
from overspill.core.placement_reserve import (
    RELIABLE,
    Peaks,
    Watched,
    at_risk_h,
)
from overspill.core.placement_room import ROOM_TIME, Rooms
from overspill.core.placement_search import Fit, Search
from overspill.core.placement_taking import Taker
from overspill.core.placement_waits import Answer, Waits
from overspill.core.pricing import hours, terms_of
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.statusparts import usd
from overspill.core.vocabulary import CapacityType, ProviderType

STARVING = timedelta(minutes=30)
"""Who waited this long for home keeps the nodes nearest to fitting from later jobs."""


def plan(snapshot: Snapshot, now: datetime) -> tuple[Decision, ...]:
    """One decision for every job that is neither finished nor being deleted, in their order."""
    return _Plan(snapshot, now).decisions()


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
        open_jobs = (j for j in snapshot.jobs if not (j.conditions and j.is_finished))
        wanted = wanted_of(open_jobs, self._requests_of)
        self._capacity = Capacity(
            snapshot.offers, snapshot.leases, self._home, self._requests_of, wanted
        )
        self._money = Money(snapshot.budgets, snapshot.leases, now)
        self._taker = Taker(self._money, now)
        self._ranker = Ranker(snapshot, self._capacity, now)
        self._advisor = Advisor(snapshot, now)
        self._peaks = Peaks(snapshot.past)
        self._rooms = Rooms((), (), self._outside)
        self._waits = Waits()
        self._copies = Copies(snapshot, self._advisor, self._taker, self._ask)

    def _requests_of(self, job_uid: str) -> Beside:
        facts = self._snapshot.facts.get(job_uid)
        return facts.requests if facts else NOTHING_BESIDE

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
        if not self._snapshot.stop_failover:
            self._rooms = Rooms(undecided, self._snapshot.leases, self._outside)
        ordered = service_order(undecided)
        for case in [c for c in ordered if c.active is None]:
            found[case.job.ref.uid] = self._place(case)
        for case in [c for c in ordered if c.active is not None]:
            found[case.job.ref.uid] = self._keep_or_move(case)
        return tuple(self._copies.with_spares(c, found[c.job.ref.uid]) for c in cases)

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
                tuple(leases.get(job.ref.uid, ())),
                self._now,
            )
            for job in self._snapshot.jobs
            if not job.deletion_requested and not _has_ended(job, leases.get(job.ref.uid, ()))
        ]

    def _place(self, case: Case) -> Decision:
        """Copies of a service have a word of their own."""
        found = self._copies.place(case) or self._place_best(case)
        if found.action is Action.PLACE:
            self._copies.note(case.job, found)
        return found

    def _ask(self, case: Case) -> tuple[Search, Ranking]:
        search = self._search(case)
        return search, self._ranked(search, self._ranker.field(search.needs))

    def _place_best(self, case: Case) -> Decision:
        sla = case.sla or SlaClass("")
        terms = terms_of(case.job, restarts=case.has_run)
        search = Search(
            case, needs_of(case.job, sla, case.facts), terms, case.allowance, self._money
        )
        starves = self._now - case.waits_since >= STARVING
        field = self._ranker.field(search.needs)
        answer = self._waits.known(search, field, starves=starves)
        if answer is not None:
            return self._left_waiting(search, answer, starves=starves)
        ranking = self._ranked(search, field)
        for index, stand in enumerate(ranking.stands()):
            if search.misses(stand):
                continue
            found = search.attempt(ranking.candidate(index))
            if isinstance(found, Fit):
                return self._taken(search, ranking, found, index)
            search.losers.add(stand.offer, found, stand.price, stand.size)
        search.losers.include(ranking.losers)
        answer = self._answer(search, ranking)
        self._waits.keep(search, field, answer, starves=starves)
        return self._left_waiting(search, answer, starves=starves)

    def _taken(self, search: Search, ranking: Ranking, found: Fit, index: int) -> Decision:
        """The best that fits, unless the policy or somebody's room at home is better."""
        advice = self._advised(search, ranking, found)
        wish = found if advice is None else advice.fit
        if wish is not None and (told := self._room(search, ranking, wish)):
            return self._await_room(search, ranking, told)
        if advice is not None:
            return self._follow(search, ranking, advice, index)
        ranking.outrank(search.losers, index)
        return self._taker.placed(search, found)

    def _ranked(self, search: Search, field: Field) -> Ranking:
        """The ranking for a search, in which it also finds what its finish-by is kept with."""
        ranking = self._ranker.ranking(field, search.terms, search.max_loss)
        search.dearest, search.has_home = ranking.dearest, ranking.has_home
        if search.has_promise:
            is_asked = self._advisor.is_asked(search)
            at_risk = at_risk_h(search.case, search.terms) if is_asked else None
            search.watched = Watched(
                ranking.reliable, ranking.reliable_stands, self._peaks, at_risk
            )
        return ranking

    def _advised(self, search: Search, ranking: Ranking, found: Fit) -> Advice | None:
        """The policy's word, where it has one that is not `found` itself.

        What is ours and free is taken at once.
        """
        is_own = found.candidate.offer.capacity_type is CapacityType.OWN
        if is_own or not self._advisor.is_asked(search):
            return None
        advice = self._advisor.place(search, ranking, found.candidate)
        if advice is None:
            return None
        if advice.fit is None:
            # A patience of the job's own is its word: what lies beyond it is not waited for.
            return advice if search.case.job.burst_after is None else None
        return advice if advice.fit.candidate.stand is not found.candidate.stand else None

    def _follow(self, search: Search, ranking: Ranking, advice: Advice, first: int) -> Decision:
        """Another place than the cheapest of this moment, or none yet."""
        if advice.fit is not None:
            ranking.outweigh(search.losers, advice.fit.candidate, first)
            return self._taker.placed(search, advice.fit)
        for fit in advice.others:
            candidate = fit.candidate
            told = f"{usd(candidate.quote.useful)} USD per useful hour now; waiting costs less"
            why = Refusal(Reason.WAITING_PAYS, told, clears=True)
            search.losers.add(candidate.offer, why, candidate.price, candidate.size)
        search.losers.include(ranking.losers)
        return search.case.decide(
            Action.WAIT,
            Reason.WAITING_PAYS,
            advice.told,
            rejected=search.losers.listed(),
            wait_until=advice.safe_until,
        )

    def _room(self, search: Search, ranking: Ranking, wish: Fit) -> str | None:
        """What is told of the room at home that is made, so that the job need not rent."""
        if wish.candidate.offer.capacity_type is CapacityType.OWN:
            return None
        return self._rooms.make(search, ranking.at_home(), wish.candidate)

    def _await_room(self, search: Search, ranking: Ranking, told: str) -> Decision:
        search.losers.include(ranking.losers)
        return search.case.decide(
            Action.WAIT,
            Reason.WAITING_FOR_ROOM,
            told,
            rejected=search.losers.listed(),
            wait_until=self._now + ROOM_TIME,
        )

    def _outside(self, case: Case, away: timedelta) -> Decimal | None:
        """What a job that leaves home is expected to pay for rent until it may come back.

        Without a finish-by it waits as long as it would after a loss; with one it leaves only
        while a place that nobody takes back would have it.
        """
        search, ranking = self._ask(case)
        fitting = [c for c in ranking if not c.is_home and search.fits(c)]
        is_backed = any(c.offer.capacity_type in RELIABLE for c in fitting)
        if case.job.finish_by is not None and not is_backed:
            return None
        waits = timedelta(0) if case.job.finish_by else case.patience_after_loss
        rented_h = min(hours(max(timedelta(0), away - waits)), search.terms.work_h)
        return rented_h * (fitting[0].price if fitting else Decimal(0))

    def _answer(self, search: Search, ranking: Ranking) -> Answer:
        """Nothing fits."""
        action, why = search.losers.verdict(self._home)
        waits_for = None
        if action is Action.WAIT and search.home_is_busy:
            waits_for = next(ranking.at_home()).pool
        return Answer(action, why, search.losers.listed(), search.wait_until, waits_for)

    def _left_waiting(self, search: Search, answer: Answer, *, starves: bool) -> Decision:
        if starves and answer.waits_for is not None:
            answer.waits_for.hold(search.needs)
        return search.case.decide(
            answer.action,
            answer.why.reason,
            answer.why.message,
            rejected=answer.rejected,
            wait_until=answer.wait_until,
        )

    def _keep_or_move(self, case: Case) -> Decision:
        lease = case.active
        assert lease is not None  # noqa: S101  (only running jobs come here; narrows the type)
        leaves = self._rooms.leaving.get(case.job.ref.uid)
        if leaves is not None:
            return case.decide(Action.WAIT, Reason.MAKES_ROOM, leaves, from_lease=lease.name)
        if case.overlaps or lease.is_home or lease.provider in self._home:
            return _stay(case, lease, Reason.RUNNING_WELL, f"runs at {lease.offer.place}")
        return self._rents(case, lease)

    def _rents(self, case: Case, lease: Lease) -> Decision:
        """What becomes of a job that runs outside."""
        search = self._search(case)
        field = self._ranker.field(search.needs)
        ranking = self._ranker.ranking(field, search.terms, search.max_loss)
        if (nearer := self._nearer(search, ranking, lease)) is not None:
            return nearer
        why = kept_outside(case, lease, self._snapshot.stop_failover)
        advice = None
        if self._advisor.is_asked(search):
            advice = self._advisor.keep(search, ranking, lease)
        if advice is not None and (advice.is_net or why is None):
            return self._keep_or_leave(search, lease, advice)
        if why is not None:
            until = cooled_at(case, lease) if why.reason is Reason.HYSTERESIS else None
            return _stay(case, lease, why.reason, _runs(lease, why.message), wait_until=until)
        fit = _home_fit(search, ranking, lease)
        if fit is None:
            told = _runs(lease, "home has no room for it")
            moved = self._copies.rearranged(search, ranking, lease)
            return moved or _stay(case, lease, Reason.RUNNING_WELL, told)
        return self._move_if_it_pays(search, lease, fit)

    def _nearer(self, search: Search, ranking: Ranking, lease: Lease) -> Decision | None:
        """Another place for what turned out to run too far away, whatever that saves."""
        market = self._ranker.market(lease.provider)
        why = distance(search.needs, lease.offer, market)
        if why is None or immovable(search.case, self._snapshot.stop_failover) is not None:
            return None
        for candidate in ranking:
            search.allowance = allowance_to_move(search.case, lease, candidate)
            found = search.attempt(candidate)
            if isinstance(found, Fit):
                placed = self._taker.placed(search, found)
                return _moved(placed, lease, why.reason, f"{why.message}: {placed.message}")
        return _stay(search.case, lease, why.reason, _runs(lease, why.message))

    def _search(self, case: Case) -> Search:
        """For a job that runs."""
        sla = case.sla or SlaClass("")
        terms = terms_of(case.job, restarts=False)
        needs = needs_of(case.job, sla, case.facts)
        return Search(case, needs, terms, case.allowance, self._money)

    def _keep_or_leave(self, search: Search, lease: Lease, advice: Advice) -> Decision:
        """What the policy says of a job that runs outside."""
        case, fit = search.case, advice.fit
        if fit is None:
            told = "no other place is worth the move"
            return _stay(case, lease, Reason.RUNNING_WELL, _runs(lease, told))
        search.allowance = allowance_to_move(case, lease, fit.candidate)
        if not advice.is_net:
            return self._move_if_it_pays(search, lease, fit)
        why = immovable(case, self._snapshot.stop_failover)
        if why is not None:
            return _stay(case, lease, why.reason, _runs(lease, why.message))
        if would_be_late(case, lease, search.terms, fit.candidate):
            told = _runs(lease, "moving now would miss its finish-by")
            return _stay(case, lease, Reason.HYSTERESIS, told)
        found = self._taker.placed(search, fit)
        told = f"another loss could cost the finish-by: {found.message}"
        return _moved(found, lease, Reason.FINISH_BY_AT_RISK, told)

    def _move_if_it_pays(self, search: Search, lease: Lease, fit: Fit) -> Decision:
        case, terms, candidate = search.case, search.terms, fit.candidate
        where = "home" if candidate.is_home else f"to {candidate.offer.place}"
        market = self._ranker.market(lease.provider)
        saving = saving_of(case, lease, market, search.needs, terms, candidate)
        percent = min_percent(case)
        if not saving.is_worth(percent):
            told = _runs(lease, not_worth(saving, percent, where))
            return _stay(case, lease, Reason.HYSTERESIS, told, saving_usd=saving.usd)
        if would_be_late(case, lease, terms, candidate):
            told = _runs(lease, f"moving {where} would miss its finish-by")
            return _stay(case, lease, Reason.HYSTERESIS, told, saving_usd=saving.usd)
        found = self._taker.placed(search, fit)
        who = "home" if candidate.is_home else candidate.offer.provider
        told = f"{who} saves {usd(saving.usd)} USD of {usd(saving.stay_usd)}: {found.message}"
        reason = Reason.REPATRIATION_PAYS if candidate.is_home else Reason.CHEAPER_ELSEWHERE
        return _moved(found, lease, reason, told, saving.usd)


def _has_ended(job: Job, leases: Sequence[Lease]) -> bool:
    """The ledger is asked too: a terminal condition may not be written yet."""
    if not job.conditions and not leases:
        return False
    return job.is_finished or outcome(job, leases) is not None


def _home_fit(search: Search, ranking: Ranking, lease: Lease) -> Fit | None:
    for candidate in ranking.at_home():
        search.allowance = allowance_to_move(search.case, lease, candidate)
        found = search.attempt(candidate)
        if isinstance(found, Fit):
            return found
    return None


def _moved(
    found: Decision, lease: Lease, reason: Reason, message: str, saving: Decimal | None = None
) -> Decision:
    return replace(
        found,
        action=Action.MOVE,
        reason=reason,
        message=message,
        from_lease=lease.name,
        saving_usd=saving,
    )


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
