"""Keeps the copies of one service on places that do not fail together, where that costs little.

What fails together is one host here: a node at home, a region of a market. Lives for one plan.
Called by `placement`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from overspill.core.decision import Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.placement_case import Case
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_search import Fit, Search
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import CapacityType

Host = tuple[str, str]
"""(provider, node or region)."""

WORTH = Decimal("1.3")
"""A place apart may cost so many times the cheapest."""


class Apart:
    """Where the copies of every service stand, those placed in this plan included."""

    def __init__(self, jobs: Iterable[Job], leases: Iterable[Lease]) -> None:
        """A service is told by the GPUJobs that copy 0 controls."""
        jobs = tuple(jobs)
        owners = {job.owner_uid for job in jobs if job.owner_uid}
        self._service = {job.ref.uid: job.owner_uid for job in jobs if job.owner_uid}
        self._service |= {uid: uid for uid in owners}
        self._hosts: dict[str, Counter[Host]] = defaultdict(Counter)
        if owners:
            for lease in leases:
                if lease.state in WANTED_STATES and lease.job.uid in self._service:
                    self._hosts[self._service[lease.job.uid]].update(hosts_of(lease.offer))

    def taken(self, job: Job) -> frozenset[Host]:
        """The hosts of the others; empty for whatever is no copy. The job itself has none yet."""
        service = self._service.get(job.ref.uid)
        return frozenset(self._hosts[service]) if service else frozenset()

    def note(self, job: Job, decision: Decision) -> None:
        """A copy was placed."""
        service = self._service.get(job.ref.uid)
        if service and decision.offer is not None:
            self._hosts[service].update(hosts_of(decision.offer))


def hosts_of(offer: Offer) -> list[Host]:
    """What goes down together with a lease of this offer; of a node at home the id is its name."""
    nodes = [name for name in offer.attribute("nodes").split(",") if name]
    if offer.capacity_type is CapacityType.OWN or nodes:
        return [(offer.provider, name) for name in nodes or [offer.offer_id]]
    return [(offer.provider, offer.region or offer.place)]


def apart(case: Case, taken: frozenset[Host]) -> Case:
    """The same case, for which those nodes of this cluster are out of the question."""
    excluded = case.facts.excluded_offers | taken
    return replace(case, facts=replace(case.facts, excluded_offers=excluded))


def first_fit(search: Search, ranking: Ranking) -> Fit | None:
    """The best place that the job could have now."""
    for candidate in ranking:
        found = search.attempt(candidate)
        if isinstance(found, Fit):
            return found
    return None


def is_beside(fit: Fit, taken: frozenset[Host]) -> bool:
    """Whether the place is on a host of another copy."""
    if fit.nodes:
        names = {(node.offer.provider, node.offer.offer_id) for node in fit.nodes}
        return bool(names & taken)
    return not taken.isdisjoint(hosts_of(fit.candidate.offer))


def first_apart(search: Search, ranking: Ranking, taken: frozenset[Host]) -> Fit | None:
    """The best place on none of those hosts; `search` is of a case that is `apart` already."""
    for candidate in ranking:
        if not candidate.is_home and not taken.isdisjoint(hosts_of(candidate.offer)):
            continue
        found = search.attempt(candidate)
        if isinstance(found, Fit):
            return found
    return None
