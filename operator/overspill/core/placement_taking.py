"""Takes a place that was found out of the plan, and says so as a decision.

GPUs and dollars are gone for whoever comes later; the lease's limits are worked out here. Called by
`placement` alone.
"""

from datetime import datetime

from overspill.core.decision import Action, Decision
from overspill.core.filters import Needs
from overspill.core.offer import Offer
from overspill.core.placement_candidate import Stand
from overspill.core.placement_capacity import cut_home, cut_rented
from overspill.core.placement_case import Case
from overspill.core.placement_money import Ceiling, Money, ceiling_of
from overspill.core.placement_reserve import is_reliable
from overspill.core.placement_search import Fit, Search
from overspill.core.reasons import Reason
from overspill.core.statusparts import usd
from overspill.core.vocabulary import Burst


class Taker:
    """Takes from the money and the places of one plan."""

    def __init__(self, money: Money, now: datetime) -> None:
        self._money, self._now = money, now

    def placed(self, search: Search, fit: Fit) -> Decision:
        """The decision to go there; what it takes the next job cannot have."""
        case, quote = search.case, fit.candidate.quote
        spared = _spared(search, fit)
        ceiling, offer = self._commit(search, fit)
        told = f"{search.needs.gpus_total}x{offer.gpu_model} at {_where(offer, fit)} for "
        told += f"{usd(offer.price_usd_per_hour)} USD/h{spared}"
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
            finish_at_risk="" if is_reliable(fit.candidate) else search.finish_at_risk,
        )

    def _commit(self, search: Search, fit: Fit) -> tuple[Ceiling, Offer]:
        """Takes GPUs and dollars out of the plan."""
        candidate, needs = fit.candidate, search.needs
        offer = cut_home(list(fit.nodes), needs) if fit.nodes else _cut(candidate.stand, needs)
        ceiling = ceiling_of(
            fit.total, search.allowance, candidate.offer, candidate.quote, search.terms
        )
        if candidate.pool is not None:
            candidate.pool.take(fit.nodes, needs.gpu.count, search.case.facts.requests)
        if candidate.rented is not None:
            candidate.rented.take(needs)
        namespace = search.case.job.ref.namespace
        self._money.spend(namespace, offer, ceiling, is_own=candidate.stand.is_own)
        return ceiling, offer

    def _hard_deadline(self, case: Case, ceiling: Ceiling) -> datetime | None:
        by_money = None if ceiling.lasts is None else self._now + ceiling.lasts
        moments = [m for m in (by_money, case.active_deadline) if m is not None]
        return min(moments, default=None)


def _cut(stand: Stand, needs: Needs) -> Offer:
    """What a job takes of a rented offer; many of one kind do."""
    if stand.cut is None:
        stand.cut = cut_rented(stand.offer, needs)
    return stand.cut


def _where(offer: Offer, fit: Fit) -> str:
    if len(fit.nodes) > 1:
        return f"{offer.provider} ({', '.join(n.offer.offer_id for n in fit.nodes)})"
    return offer.place


def _spared(search: Search, fit: Fit) -> str:
    """Why a node at home that is not the fullest."""
    pool, count, requests = fit.candidate.pool, search.needs.gpu.count, search.case.facts.requests
    if pool is None or not any(pool.spares_fuller(node, count, requests) for node in fit.nodes):
        return ""
    return "; a fuller node is left to the jobs that it suits better"


def _why(case: Case, fit: Fit) -> Reason:
    if case.fails_over:
        return Reason.FAILOVER
    if fit.candidate.is_home:
        return Reason.HOME_FITS
    is_only = case.job.burst is Burst.ONLY
    return Reason.CHEAPEST_FITTING if is_only else Reason.BURST_TO_PROVIDER_SELECTED
