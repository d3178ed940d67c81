"""Which offers fit a kind of job at all, best first.

Best is: the class's order of capacity types, then the job's order of models, then the wished
fabric, then the all-in price per useful hour; at equal rank home before markets. Jobs with equal
needs and terms share one ranking. Called by `placement` and `placement_moves`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.filters import Market, Needs, Refusal, fabric_falls_short, refusal
from overspill.core.offer import Offer
from overspill.core.placement_capacity import Capacity, Pool, Rented
from overspill.core.placement_losers import Losers
from overspill.core.placement_money import least_money
from overspill.core.policy_past import losses_of
from overspill.core.pricing import Quote, Terms, cut_price, quote, span
from overspill.core.reasons import Reason
from overspill.core.snapshot import ProviderAccount, ProviderHealth, Snapshot
from overspill.core.statusparts import usd
from overspill.core.vocabulary import ProviderType

SHORTEST_STAY = timedelta(hours=1)
"""A place that ends sooner is not worth moving into for a job that checkpoints."""

Preference = tuple[int, int, bool]
"""Capacity type, model, fabric: what goes before the price."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool of home nodes or a rented offer that fits a kind of job, with its price."""

    offer: Offer
    market: Market
    quote: Quote
    preference: Preference
    needed: Decimal
    purpose: str
    takes: timedelta
    """From now to the end of the work, losses left out; to its start where it is unknown."""
    pool: Pool | None = None
    rented: Rented | None = None

    @property
    def is_home(self) -> bool:
        """A pool of nodes of this cluster."""
        return self.pool is not None

    @property
    def size(self) -> int:
        """How many offers it stands for."""
        return len(self.pool.nodes) if self.pool else 1


@dataclass(slots=True)
class Ranking:
    """The candidates of one kind of job, best first, and who lost before any candidate did."""

    candidates: list[Candidate]
    losers: Losers
    _outranked: dict[int, Losers] = field(default_factory=dict)
    _outweighed: dict[tuple[int, int], Losers] = field(default_factory=dict)

    def outranked_by(self, index: int) -> Losers:
        """Everybody who stands behind the chosen candidate, with the reason."""
        if index not in self._outranked:
            found, chosen = Losers(), self.candidates[index]
            found.include(self.losers)
            for other in self.candidates[index + 1 :]:
                found.add(other.offer, _behind(chosen, other), other.quote.price, other.size)
            self._outranked[index] = found
        return self._outranked[index]

    def outweighed_by(self, chosen: Candidate, first: int) -> Losers:
        """Everybody else from `first` on, where the policy weighed more than today's price."""
        key = (first, id(chosen))
        if key not in self._outweighed:
            found = Losers()
            found.include(self.losers)
            for other in self.candidates[first:]:
                if other is not chosen:
                    found.add(other.offer, _dearer(other), other.quote.price, other.size)
            self._outweighed[key] = found
        return self._outweighed[key]


class Ranker:
    """All rankings of one plan."""

    def __init__(self, snapshot: Snapshot, capacity: Capacity, now: datetime) -> None:
        """Ranks the pools and rented offers of `capacity`."""
        self._capacity = capacity
        self._now = now
        self._markets = _markets(snapshot)
        self._silent = _silent(snapshot, self._markets)
        self._rankings: dict[tuple[Needs, Terms, Decimal | None], Ranking] = {}
        self._filtered: dict[Needs, tuple[list[Pool | Rented], Losers]] = {}

    def ranking(self, needs: Needs, terms: Terms, max_loss: Decimal | None) -> Ranking:
        """The ranking for jobs of these needs and terms; `max_loss` is the class's."""
        key = (needs, terms, max_loss)
        if key not in self._rankings:
            self._rankings[key] = self._rank(needs, terms, max_loss)
        return self._rankings[key]

    def market(self, provider: str) -> Market:
        """The account behind an offer."""
        return self._markets.get(provider, Market(None))

    def _rank(self, needs: Needs, terms: Terms, max_loss: Decimal | None) -> Ranking:
        places, static = self._filter(needs)
        losers, candidates = Losers(), []
        losers.include(static)
        for place in places:
            candidate = self._candidate(place, needs, terms)
            why = self._unfit(candidate, terms, max_loss)
            if why is None:
                candidates.append(candidate)
            else:
                losers.add(candidate.offer, why, candidate.quote.price, candidate.size)
        candidates.sort(key=_rank_key)
        return Ranking(candidates, losers)

    def _filter(self, needs: Needs) -> tuple[list[Pool | Rented], Losers]:
        if needs not in self._filtered:
            self._filtered[needs] = self._filter_afresh(needs)
        return self._filtered[needs]

    def _filter_afresh(self, needs: Needs) -> tuple[list[Pool | Rented], Losers]:
        fitting: list[Pool | Rented] = []
        losers = Losers()
        for pool in self._capacity.pools:
            why = refusal(needs, pool.sample, self.market(pool.sample.provider))
            why = why or _too_small(pool, needs)
            if why is None:
                fitting.append(pool)
            else:
                price = cut_price(pool.sample, needs)
                losers.add(pool.sample, why, price, len(pool.nodes))
        for rented in self._capacity.rented:
            why = refusal(needs, rented.offer, self.market(rented.offer.provider))
            if why is None:
                fitting.append(rented)
            else:
                losers.add(rented.offer, why, cut_price(rented.offer, needs))
        self._add_silent(needs, losers)
        return fitting, losers

    def _add_silent(self, needs: Needs, losers: Losers) -> None:
        if needs.tied_home is not None:
            return
        for account, why in self._silent:
            allowed = not needs.providers or account.name in needs.providers
            if allowed and account.capacity_type in needs.capacity_types:
                losers.add_account(account.name, why)

    def _candidate(self, place: Pool | Rented, needs: Needs, terms: Terms) -> Candidate:
        pool = place if isinstance(place, Pool) else None
        rented = place if isinstance(place, Rented) else None
        offer = pool.sample if pool else rented.offer  # type: ignore[union-attr]  # one of the two
        market = self.market(offer.provider)
        priced = quote(offer, market, needs, terms)
        needed, purpose = least_money(offer, priced, terms)
        takes = span(priced.start_h + (terms.work_h if terms.is_known else 0))
        preference = _preference(offer, needs)
        return Candidate(offer, market, priced, preference, needed, purpose, takes, pool, rented)

    def _unfit(
        self, candidate: Candidate, terms: Terms, max_loss: Decimal | None
    ) -> Refusal | None:
        offer, priced = candidate.offer, candidate.quote
        if max_loss is not None and priced.line("rework") > max_loss:
            told = f"losses are expected to cost {usd(priced.line('rework'))} USD, "
            return Refusal(Reason.LOSS_TOO_HIGH, f"{told}the class bears {usd(max_loss)} USD")
        if offer.available_until is None:
            return None
        stay = span(priced.start_h + terms.work_h)
        if terms.interval_h is not None:
            stay = min(stay, span(priced.start_h + 2 * terms.interval_h) + SHORTEST_STAY)
        if self._now + stay <= offer.available_until:
            return None
        told = f"it ends at {offer.available_until:%Y-%m-%dT%H:%M:%SZ}, before the job could gain"
        return Refusal(Reason.ENDS_TOO_SOON, told)


def _behind(chosen: Candidate, other: Candidate) -> Refusal:
    if other.preference == chosen.preference:
        dearer = usd(other.quote.useful), usd(chosen.quote.useful)
        told = f"{dearer[0]} USD per useful hour, the chosen place {dearer[1]}"
        return Refusal(Reason.COSTS_MORE, told)
    order = ("capacity type", "GPU model", "interconnect")
    pairs = zip(order, chosen.preference, other.preference, strict=True)
    by = next(name for name, mine, theirs in pairs if mine != theirs)
    return Refusal(Reason.LESS_PREFERRED, f"comes later in the wanted order of {by}")


def _dearer(other: Candidate) -> Refusal:
    told = f"{usd(other.quote.useful)} USD per useful hour; with its expected life and the moves "
    return Refusal(Reason.COSTS_MORE, f"{told}that follow it costs more than the chosen place")


def _too_small(pool: Pool, needs: Needs) -> Refusal | None:
    if pool.could_ever_hold(needs):
        return None
    largest = max(node.total for node in pool.nodes.values())
    if largest < needs.gpu.count:
        told = f"the largest node has {largest} GPUs, the job asks for {needs.gpu.count} on one"
        return Refusal(Reason.TOO_FEW_GPUS, told)
    told = f"fewer than {needs.num_nodes} nodes have {needs.gpu.count} GPUs; a gang is never split"
    return Refusal(Reason.GANG_WOULD_SPLIT, told)


def _preference(offer: Offer, needs: Needs) -> Preference:
    models = needs.gpu.models
    return (
        needs.capacity_types.index(offer.capacity_type),
        models.index(offer.gpu_model) if models else 0,
        fabric_falls_short(needs.gpu, offer),
    )


def _rank_key(candidate: Candidate) -> tuple[Preference, Decimal, bool, str, str]:
    offer = candidate.offer
    return (
        candidate.preference,
        candidate.quote.useful,
        not candidate.is_home,
        offer.provider,
        offer.offer_id,
    )


def _markets(snapshot: Snapshot) -> Mapping[str, Market]:
    return {name: _market(snapshot, name, a) for name, a in snapshot.accounts.items()}


def _market(snapshot: Snapshot, name: str, account: ProviderAccount) -> Market:
    node_hours, losses = losses_of(snapshot.past.lives, name)
    health = snapshot.health.get(name, ProviderHealth())
    needs_url = name in snapshot.report_url_missing
    return Market(account, health, needs_url, Decimal(f"{node_hours:.3f}"), losses)


def _silent(
    snapshot: Snapshot, markets: Mapping[str, Market]
) -> list[tuple[ProviderAccount, Refusal]]:
    """Markets without a single offer: what they would say is not known yet."""
    speaking = {offer.provider for offer in snapshot.offers}
    found = []
    for name, account in sorted(snapshot.accounts.items()):
        if name in speaking or account.suspended or account.type is ProviderType.IN_CLUSTER:
            continue
        health = markets[name].health
        if health.is_usable:
            why = Refusal(Reason.UNAVAILABLE, "it lists no offers now", clears=True)
        else:
            told = health.message or health.reason or "it does not answer"
            why = Refusal(Reason.PROVIDER_UNUSABLE, told, clears=True)
        found.append((account, why))
    return found
