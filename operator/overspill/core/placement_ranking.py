"""Which offers fit a kind of job at all, best first.

Best is: the class's order of capacity types, then the job's order of models, then the wished
fabric, then the all-in price per useful hour; at equal rank home before markets. Jobs with equal
needs and terms share one ranking. Called by `placement` and `placement_moves`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.filters import Market, Needs, Refusal, refusal
from overspill.core.placement_candidate import Candidate, Kind, Stand, Work, stand_of
from overspill.core.placement_capacity import Capacity
from overspill.core.placement_field import Alike, Field
from overspill.core.placement_losers import Losers, Shared
from overspill.core.placement_pool import Pool
from overspill.core.policy_past import losses_of
from overspill.core.pricing import Terms, cut_price, span
from overspill.core.reasons import Reason
from overspill.core.snapshot import ProviderAccount, ProviderHealth, Snapshot
from overspill.core.statusparts import usd
from overspill.core.vocabulary import ProviderType

SHORTEST_STAY = timedelta(hours=1)
"""A place that ends sooner is not worth moving into for a job that checkpoints."""


KEPT = 128
"""Rankings at a time. Jobs whose work is that of no other share none, and whatever thousands of
them would leave behind is looked through again and again by the collector of garbage."""


class Ranking:
    """The places for one kind of job, best first, and who lost before any of them did.

    Most jobs take one of the first: prices of the less preferred are compared, and candidates are
    made, when somebody looks at them.
    """

    def __init__(self, kind: Kind, field: Field) -> None:
        self._kind, self._field = kind, field
        self._stands: list[Stand] = []
        self._prices: list[float] = []
        """About the USD per useful hour of each."""
        self._ends: list[int] = []
        """Where each group that was looked at ends in `_stands`."""
        self._made: dict[int, Candidate] = {}

    @property
    def losers(self) -> Shared:
        """Who does not fit."""
        return self._field.losers

    def __iter__(self) -> Iterator[Candidate]:
        """The candidates, best first."""
        return (self.candidate(index) for index, _ in enumerate(self.stands()))

    def stands(self) -> Iterator[Stand]:
        """What they are made of, best first."""
        index = 0
        while index < len(self._stands) or self._look_further():
            yield self._stands[index]
            index += 1

    def candidate(self, index: int) -> Candidate:
        """The candidate at a rank that was looked at."""
        found = self._made.get(index)
        if found is None:
            found = self._made[index] = self._kind.candidate(self._stands[index])
        return found

    @property
    def reliable_stands(self) -> Sequence[Stand]:
        """Those that are not taken back, in no order."""
        return self._field.reliable

    def reliable(self) -> Iterator[Candidate]:
        """The candidates that are not taken back, whose finish needs least money first."""
        return map(self._kind.candidate, self._field.by_need(self._kind.work))

    @property
    def dearest(self) -> Candidate | None:
        """Nowhere cheaper than any of them; None where there is none, or home may be reliable."""
        dearest = None if self._field.grows_reliable else self._field.dearest
        return None if dearest is None else self._kind.candidate(dearest)

    @property
    def has_home(self) -> bool:
        """Some of them are nodes of this cluster."""
        return self._field.has_home

    def candidate_at(self, stand: Stand) -> Candidate:
        """The candidate that a stand is for these jobs."""
        return self._kind.candidate(stand)

    def places_alike(self, one: Candidate) -> Alike:
        """What `alike` is about, in no order."""
        return self._field.alike(one.preference)

    def alike(self, one: Candidate) -> list[Candidate]:
        """The candidates of the same rank of model and fabric, best first."""
        return [self.candidate(index) for index in self._alike(one)]

    def stands_alike(self, one: Candidate) -> list[Stand]:
        """The same, while nobody asks what they cost."""
        return [self._stands[index] for index in self._alike(one)]

    def _alike(self, one: Candidate) -> list[int]:
        self._look_everywhere()
        starts, wanted = [0, *self._ends], one.preference[1:]
        found = [
            range(start, end)
            for start, end, group in zip(starts, self._ends, self._field.groups, strict=False)
            if group.preference[1:] == wanted
        ]
        return [index for span_ in found for index in span_]

    def at_home(self) -> Iterator[Candidate]:
        """The candidates of this cluster, best first."""
        return (candidate for candidate in self if candidate.is_home)

    def outrank(self, into: Losers, index: int) -> None:
        """Adds everybody who stands behind the chosen candidate, with the reason."""
        chosen, prices = self._stands[index], self._prices
        end = self._ends[bisect_right(self._ends, index)]
        than = f"USD per useful hour, the chosen place {_told(prices[index])}"
        others = range(index + 1, end)
        into.add_dearer(self._stands, others, lambda at: f"{_told(prices[at])} {than}")
        into.include(self._field.behind(chosen.preference))

    def outweigh(self, into: Losers, chosen: Candidate, first: int) -> None:
        """Adds everybody else from `first` on; the policy weighed more than today's price."""
        self._look_everywhere()
        taken = self._stands.index(chosen.stand)
        for others in (range(first, taken), range(max(first, taken + 1), len(self._stands))):
            into.add_dearer(self._stands, others, self._outweighed)
        into.include(self.losers)

    def _outweighed(self, index: int) -> str:
        return (
            f"{_told(self._prices[index])} USD per useful hour; with its expected life and the "
            "moves that follow it costs more than the chosen place"
        )

    def _look_everywhere(self) -> None:
        while self._look_further():
            pass

    def _look_further(self) -> bool:
        """Puts the next group in order; False: there is none."""
        if len(self._ends) == len(self._field.groups):
            return False
        group = self._field.groups[len(self._ends)]
        stands, prices = group.by_price(self._kind.work)
        self._stands += stands
        self._prices += prices
        self._ends.append(len(self._stands))
        return True


class Ranker:
    """All rankings of one plan."""

    def __init__(self, snapshot: Snapshot, capacity: Capacity, now: datetime) -> None:
        """Ranks the pools and rented offers of `capacity`."""
        self._capacity = capacity
        self._now = now
        self._markets = _markets(snapshot)
        self._silent = _silent(snapshot, self._markets)
        self._charges = any(r.offer.beside_rates is not None for r in capacity.rented)
        """Whether anybody charges for what stands beside the GPUs; else jobs need not differ."""
        self._rankings: dict[tuple[Field, Terms, Decimal | None], Ranking] = {}
        self._fields: dict[Needs, Field] = {}

    def ranking(self, field: Field, terms: Terms, max_loss: Decimal | None) -> Ranking:
        """The ranking in a field for jobs of these terms; `max_loss` is the class's."""
        key = (field, terms, max_loss)
        found = self._rankings.get(key)
        if found is None:
            kind = Kind(field.needs, terms, Work.of(terms))
            if max_loss is not None or field.may_end:
                field = self._narrowed(field, kind, max_loss)
            if len(self._rankings) == KEPT:
                self._rankings.clear()
            found = self._rankings[key] = Ranking(kind, field)
        return found

    def market(self, provider: str) -> Market:
        """The account behind an offer."""
        return self._markets.get(provider, Market(None))

    def field(self, needs: Needs) -> Field:
        """What fits these needs."""
        return self._whole_field(needs if self._charges else needs.plain)

    def _whole_field(self, needs: Needs) -> Field:
        """Whatever the work. Who needs other things beside the GPUs is filtered once."""
        found = self._fields.get(needs)
        if found is None:
            plain = needs.plain
            if plain is needs:
                stands, losers = self._filter(needs)
                found = Field(needs, stands, losers.shared())
            else:
                bare = self._whole_field(plain)
                found = Field(needs, [_with_beside(s, needs) for s in bare.stands], bare.losers)
            self._fields[needs] = found
        return found

    def _narrowed(self, field: Field, kind: Kind, max_loss: Decimal | None) -> Field:
        """Less the places whose fitness depends on the work that is left."""
        fitting, losers = [], Losers()
        for stand in field.stands:
            why = self._unfit(kind.candidate(stand), kind.terms, max_loss)
            if why is None:
                fitting.append(stand)
            else:
                losers.add(stand.offer, why, stand.price, stand.size)
        losers.include(field.losers)
        return Field(field.needs, fitting, losers.shared())

    def _filter(self, needs: Needs) -> tuple[list[Stand], Losers]:
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


def _told(price: float) -> str:
    """As `statusparts.usd` writes it: cents, and four digits below one."""
    useful = round(price, 6)
    return f"{useful:.2f}" if useful >= 0.005 or not useful else f"{useful:.4f}"


def _with_beside(stand: Stand, needs: Needs) -> Stand:
    """The stand for jobs that need so much beside their GPUs; most offers do not charge for it."""
    if stand.offer.beside_rates is None or stand.rented is None:
        return stand
    return stand_of(stand.rented, stand.market, needs)


def _too_small(pool: Pool, needs: Needs) -> Refusal | None:
    if pool.could_ever_hold(needs):
        return None
    if pool.largest < needs.gpu.count:
        told = f"the largest node has {pool.largest} GPUs, "
        told += f"the job asks for {needs.gpu.count} on one"
        return Refusal(Reason.TOO_FEW_GPUS, told)
    told = f"fewer than {needs.num_nodes} nodes have {needs.gpu.count} GPUs; a gang is never split"
    return Refusal(Reason.GANG_WOULD_SPLIT, told)


def _markets(snapshot: Snapshot) -> Mapping[str, Market]:
    return {name: _market(snapshot, name, a) for name, a in snapshot.accounts.items()}


def _market(snapshot: Snapshot, name: str, account: ProviderAccount) -> Market:
    node_hours, losses = losses_of(snapshot.past.lives, name)
    health = snapshot.health.get(name, ProviderHealth())
    needs_url = name in snapshot.report_url_missing
    rtt_ms = {region: ms for (provider, region), ms in snapshot.rtt_ms.items() if provider == name}
    return Market(account, health, needs_url, Decimal(f"{node_hours:.3f}"), losses, rtt_ms)


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
