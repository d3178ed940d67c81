"""Which offers fit a kind of job at all, best first.

Best is: the class's order of capacity types, then the job's order of models, then the wished
fabric, then the all-in price per useful hour; at equal rank home before markets. Jobs with equal
needs and terms share one ranking. Called by `placement` and `placement_moves`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter

from overspill.core.filters import Market, Needs, Refusal, refusal
from overspill.core.placement_candidate import Candidate, Kind, Stand, Work, stand_of
from overspill.core.placement_capacity import Capacity, Pool
from overspill.core.placement_losers import Losers
from overspill.core.policy_past import losses_of
from overspill.core.pricing import Terms, cut_price, span
from overspill.core.reasons import Reason
from overspill.core.snapshot import ProviderAccount, ProviderHealth, Snapshot
from overspill.core.statusparts import usd
from overspill.core.vocabulary import ProviderType

SHORTEST_STAY = timedelta(hours=1)
"""A place that ends sooner is not worth moving into for a job that checkpoints."""


class Ranking:
    """The places for one kind of job, best first, and who lost before any of them did.

    Most jobs take one of the first: a candidate is made when somebody looks at it.
    """

    def __init__(self, kind: Kind, stands: Sequence[Stand], losers: Losers) -> None:
        self._kind, self._stands, self.losers = kind, stands, losers
        self._made: dict[int, Candidate] = {}

    def __iter__(self) -> Iterator[Candidate]:
        """The candidates, best first."""
        return map(self.candidate, range(len(self._stands)))

    def candidate(self, index: int) -> Candidate:
        """The candidate at that rank."""
        if index not in self._made:
            self._made[index] = self._kind.candidate(self._stands[index])
        return self._made[index]

    def at_home(self) -> Iterator[Candidate]:
        """The candidates of this cluster, best first."""
        return (self.candidate(i) for i, s in enumerate(self._stands) if s.pool is not None)

    def outrank(self, into: Losers, index: int) -> None:
        """Adds everybody who stands behind the chosen candidate, with the reason."""
        chosen, work = self._stands[index], self._kind.work
        into.include(self.losers)
        for stand in self._stands[index + 1 :]:
            key = stand.dearer if stand.preference == chosen.preference else stand.lesser
            if not into.counted(key, stand.size, stand.price):
                into.add(stand.offer, _behind(chosen, stand, work), stand.price, stand.size)

    def outweigh(self, into: Losers, chosen: Candidate, first: int) -> None:
        """Adds everybody else from `first` on; the policy weighed more than today's price."""
        into.include(self.losers)
        for stand in self._stands[first:]:
            if stand is chosen.stand or into.counted(stand.dearer, stand.size, stand.price):
                continue
            into.add(stand.offer, _dearer(stand, self._kind.work), stand.price, stand.size)


class Ranker:
    """All rankings of one plan."""

    def __init__(self, snapshot: Snapshot, capacity: Capacity, now: datetime) -> None:
        """Ranks the pools and rented offers of `capacity`."""
        self._capacity = capacity
        self._now = now
        self._markets = _markets(snapshot)
        self._silent = _silent(snapshot, self._markets)
        self._rankings: dict[tuple[Needs, Terms, Decimal | None], Ranking] = {}
        self._filtered: dict[Needs, tuple[list[Stand], Losers]] = {}

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
        stands, losers = self._filter(needs)
        kind, shared = Kind(needs, terms, Work.of(terms)), losers
        ranked = []
        for stand in stands:
            if max_loss is not None or stand.offer.available_until is not None:
                why = self._unfit(kind.candidate(stand), terms, max_loss)
                if why is not None:
                    losers = losers.copy() if losers is shared else losers
                    losers.add(stand.offer, why, stand.price, stand.size)
                    continue
            ranked.append((stand.preference, stand.useful(kind.work), stand.tail, stand))
        ranked.sort(key=_rank_key)
        return Ranking(kind, [stand for _, _, _, stand in ranked], losers)

    def _filter(self, needs: Needs) -> tuple[list[Stand], Losers]:
        if needs not in self._filtered:
            self._filtered[needs] = self._filter_afresh(needs)
        return self._filtered[needs]

    def _filter_afresh(self, needs: Needs) -> tuple[list[Stand], Losers]:
        fitting: list[Stand] = []
        losers = Losers()
        for pool in self._capacity.pools:
            market = self.market(pool.sample.provider)
            why = refusal(needs, pool.sample, market) or _too_small(pool, needs)
            if why is None:
                fitting.append(stand_of(pool, market, needs))
            else:
                price = cut_price(pool.sample, needs)
                losers.add(pool.sample, why, price, len(pool.nodes))
        for rented in self._capacity.rented:
            market = self.market(rented.offer.provider)
            why = refusal(needs, rented.offer, market)
            if why is None:
                fitting.append(stand_of(rented, market, needs))
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

    def _unfit(
        self, candidate: Candidate, terms: Terms, max_loss: Decimal | None
    ) -> Refusal | None:
        offer = candidate.offer
        if max_loss is not None and candidate.quote.rework_usd > max_loss:
            told = f"losses are expected to cost {usd(candidate.quote.rework_usd)} USD, "
            return Refusal(Reason.LOSS_TOO_HIGH, f"{told}the class bears {usd(max_loss)} USD")
        if offer.available_until is None:
            return None
        stay = span(candidate.start_h + terms.work_h)
        if terms.interval_h is not None:
            stay = min(stay, span(candidate.start_h + 2 * terms.interval_h) + SHORTEST_STAY)
        if self._now + stay <= offer.available_until:
            return None
        told = f"it ends at {offer.available_until:%Y-%m-%dT%H:%M:%SZ}, before the job could gain"
        return Refusal(Reason.ENDS_TOO_SOON, told)


def _behind(chosen: Stand, other: Stand, work: Work) -> Refusal:
    if other.preference == chosen.preference:
        told = f"{_about(other, work)} USD per useful hour, the chosen place {_about(chosen, work)}"
        return Refusal(Reason.COSTS_MORE, told)
    order = ("capacity type", "GPU model", "interconnect")
    pairs = zip(order, chosen.preference, other.preference, strict=True)
    by = next(name for name, mine, theirs in pairs if mine != theirs)
    return Refusal(Reason.LESS_PREFERRED, f"comes later in the wanted order of {by}")


def _about(stand: Stand, work: Work) -> str:
    """As `statusparts.usd` writes it: cents, and four digits below one."""
    useful = stand.useful(work)
    return f"{useful:.2f}" if useful >= 0.005 or not useful else f"{useful:.4f}"


def _dearer(other: Stand, work: Work) -> Refusal:
    told = f"{_about(other, work)} USD per useful hour; with its expected life and the moves "
    return Refusal(Reason.COSTS_MORE, f"{told}that follow it costs more than the chosen place")


def _too_small(pool: Pool, needs: Needs) -> Refusal | None:
    if pool.could_ever_hold(needs):
        return None
    if pool.largest < needs.gpu.count:
        told = f"the largest node has {pool.largest} GPUs, "
        told += f"the job asks for {needs.gpu.count} on one"
        return Refusal(Reason.TOO_FEW_GPUS, told)
    told = f"fewer than {needs.num_nodes} nodes have {needs.gpu.count} GPUs; a gang is never split"
    return Refusal(Reason.GANG_WOULD_SPLIT, told)


_rank_key = itemgetter(0, 1, 2)


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
