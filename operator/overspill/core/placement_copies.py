"""Places copies of services: as arranged for the class's availability, else on hosts of their own.

Called by `placement`, which decides about everything that is no copy, and what is not decided here.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.placement_apart import (
    WORTH,
    Apart,
    Host,
    apart,
    first_apart,
    first_fit,
    is_beside,
)
from overspill.core.placement_arrangement import Arrangement
from overspill.core.placement_case import Case
from overspill.core.placement_policy import Advisor
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_search import Search
from overspill.core.placement_services import Services
from overspill.core.placement_taking import Taker
from overspill.core.reasons import Reason
from overspill.core.snapshot import Snapshot
from overspill.core.statusparts import usd

Ask = Callable[[Case], tuple[Search, Ranking]]
"""A search for a job, with the ranking of its places."""


class Copies:
    """The services of one plan."""

    def __init__(self, snapshot: Snapshot, advisor: Advisor, taker: Taker, ask: Ask) -> None:
        self._apart = Apart(snapshot.jobs, snapshot.leases)
        self._services = Services(snapshot, advisor.ground, advisor.learner)
        self._taker, self._ask = taker, ask

    def note(self, job: Job, decision: Decision) -> None:
        """A job was placed."""
        self._apart.note(job, decision)

    def place(self, case: Case) -> Decision | None:
        """None: it is no copy, or its best place is good enough."""
        found = self._place_arranged(case)
        taken = self._apart.taken(case.job)
        return self._place_apart(case, taken) if found is None and taken else found

    def with_spares(self, case: Case, found: Decision) -> Decision:
        """What is said of the whole service, where its copy 0 is decided."""
        if case.job.owner_uid or self._services.owner(case.job, case.sla) is None:
            return found
        arranged = self._services.known(case.job) or self._services.arranged(*self._ask(case))
        if arranged is None:
            return found
        return replace(found, spares=arranged.spares, spares_told=arranged.told)

    def rearranged(self, search: Search, ranking: Ranking, lease: Lease) -> Decision | None:
        """A copy goes where the arrangement has one too few. What a move costs, and what standing
        together risks, the arrangement has weighed; it is only not followed to a much dearer place.
        """
        case, here = search.case, self._services.host_of(lease)
        arranged = self._services.arranged(search, ranking)
        if arranged is None or here is None or not self._services.may_move(case.job):
            return None
        price = _price(lease)
        fit = arranged.move(search, lease, here, price * WORTH)
        if fit is None:
            return None
        self._services.note_move(case.job)
        found = self._taker.placed(search, fit)
        told = f"a copy costs {usd(fit.candidate.price)} USD/h there, {usd(price)} here"
        return replace(
            found,
            action=Action.MOVE,
            reason=Reason.SPREADS_COPIES,
            message=f"{told}: {found.message}; {arranged.told}",
            from_lease=lease.name,
        )

    def _place_arranged(self, case: Case) -> Decision | None:
        """A copy of a service whose class leaves it to the operator how availability is kept.

        None: home has room, or nothing was arranged.
        """
        if self._services.owner(case.job, case.sla) is None:
            return None
        search, ranking = self._ask(case)
        first = first_fit(search, ranking)
        if first is None or first.candidate.is_home:
            return None
        arranged = self._services.arranged(search, ranking)
        return None if arranged is None else self._take(case, search, arranged)

    def _take(self, case: Case, search: Search, arranged: Arrangement) -> Decision | None:
        """None: no place that was arranged can be had now."""
        # Either the budget is not divided yet, or it is a spare that is not called for any more.
        if self._services.is_uncounted(case.job, arranged) or arranged.is_full:
            return case.decide(Action.WAIT, Reason.CHOOSING_SPARES, arranged.told)
        fit = arranged.take(search)
        if fit is None:
            return None
        found = self._taker.placed(search, fit)
        return replace(found, message=f"{found.message}; {arranged.told}")

    def _place_apart(self, case: Case, taken: frozenset[Host]) -> Decision | None:
        """None: the best place is on none of their hosts, or no other is worth it."""
        usual, ranking = self._ask(case)
        best = first_fit(usual, ranking)
        if best is None or not is_beside(best, taken):
            return None
        search, ranking = self._ask(apart(case, taken))
        fit = first_apart(search, ranking, taken)
        if fit is None or fit.candidate.price > best.candidate.price * WORTH:
            return None
        found = self._taker.placed(search, fit)
        return replace(found, message=f"{found.message}; apart from the other copies")


def _price(lease: Lease) -> Decimal:
    price = lease.price_usd_per_hour
    return lease.offer.price_usd_per_hour if price is None else price
