"""Free GPUs while a plan is made: what one job takes, the next cannot.

Home nodes that differ in nothing but their name and load form a `Pool`; a rented offer is one of
its own. Leases that a catalogue cannot have seen yet are taken off first, so that two plans in a
row do not sell the same GPU. Lives for one plan only. Called by `placement`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from overspill.core.filters import Needs, gpus_per_node
from overspill.core.lease import Lease
from overspill.core.offer import NOTHING_BESIDE, Beside, Offer
from overspill.core.packing import Demand
from overspill.core.placement_pool import Key, Node, Pool
from overspill.core.pricing import cut_price
from overspill.core.vocabulary import LeaseState

UNSEEN = (LeaseState.PLANNED, LeaseState.OPENING, LeaseState.UNCERTAIN)
"""States in which a catalogue may not show the lease's GPUs as taken."""


@dataclass(slots=True)
class Rented:
    """One offer of a market and how much of it is left."""

    offer: Offer
    free: int
    changes: int = 0

    def fits(self, needs: Needs) -> bool:
        """Whether there is enough left."""
        return self.free >= self.wanted(needs)

    def wanted(self, needs: Needs) -> int:
        """Whole offers go to one job; divisible ones are shared."""
        return needs.gpus_total if self.offer.is_divisible else self.offer.gpu_count

    def take(self, needs: Needs) -> None:
        """Marks what the job takes as gone."""
        self.changes += 1
        self.free -= needs.gpus_total if self.offer.is_divisible else self.free


class Capacity:
    """All pools and rented offers of one plan."""

    def __init__(
        self,
        offers: Iterable[Offer],
        leases: Iterable[Lease],
        home: frozenset[str],
        requests: Callable[[str], Beside] = lambda _uid: NOTHING_BESIDE,
        wanted: Mapping[Demand, int] | None = None,
    ) -> None:
        """`home` names the accounts whose offers are nodes of this cluster, `requests` tells what
        a job's pods keep of them beside GPUs, `wanted` what open jobs take of a node."""
        self.pools: list[Pool] = []
        self.rented: list[Rented] = []
        taken = _taken([le for le in leases if le.state is not LeaseState.CLOSED])
        by_kind: dict[tuple[object, ...], Pool] = {}
        ordered = sorted(offers, key=lambda o: (o.provider, o.offer_id))
        shown = _shown(ordered)
        for offer in ordered:
            hidden = [
                (lease, n)
                for lease, n in taken[(offer.provider, offer.offer_id)]
                if lease.name not in shown and _is_unseen(lease, offer)
            ]
            gone = sum(n for _, n in hidden)
            if offer.provider in home:
                pool = by_kind.setdefault(_kind(offer), Pool(offer, wanted=wanted or {}))
                node = _node(offer, gone)
                for lease, _ in hidden:
                    node.keep(requests(lease.job.uid))
                pool.add(offer.offer_id, node)
            else:
                free = 0 if offer.unavailable_reason else offer.gpu_count
                if gone:
                    free = free - gone if offer.is_divisible else 0
                self.rented.append(Rented(offer, max(0, free)))
        self.pools = list(by_kind.values())


def cut_home(nodes: list[Node], needs: Needs) -> Offer:
    """The offer of a lease on these nodes: sized, priced, named after the first of them."""
    first = nodes[0].offer
    names = ",".join(node.offer.offer_id for node in nodes)
    kept = tuple((k, v) for k, v in first.attributes if k not in ("leases", "nodes"))
    price = cut_price(first, needs)
    attributes = (*kept, ("nodes", names)) if len(nodes) > 1 else kept
    return _cut(first, needs, price, attributes)


def cut_rented(offer: Offer, needs: Needs) -> Offer:
    """The offer of a lease at a market: divisible ones cut to size, whole ones as they are."""
    if not offer.is_divisible:
        return offer
    return _cut(offer, needs, cut_price(offer, needs), offer.attributes)


def _cut(
    offer: Offer, needs: Needs, price: Decimal, attributes: tuple[tuple[str, str], ...]
) -> Offer:
    return replace(
        offer,
        gpu_count=needs.gpus_total,
        node_count=needs.num_nodes,
        price_usd_per_hour=price,
        beside_rates=None,
        beside_free=None,
        beside_total=None,
        is_divisible=False,
        attributes=attributes,
    )


def _node(offer: Offer, gone: int) -> Node:
    free = 0 if offer.unavailable_reason else max(0, offer.gpu_count - gone)
    return Node(offer, free, max(gpus_per_node(offer), offer.gpu_count), offer.beside_free)


def _kind(offer: Offer) -> tuple[object, ...]:
    """Everything that filters and prices look at; nodes equal in it are one pool."""
    rate = (offer.price_usd_per_hour / max(1, offer.gpu_count)).quantize(Decimal("0.000001"))
    return (
        offer.provider,
        offer.gpu_model,
        offer.attribute("product"),
        offer.gpu_memory_gib,
        offer.compute_capability,
        offer.interconnect,
        offer.region,
        offer.capacity_type,
        offer.trust_tier,
        rate,
        (offer.cold_start, offer.mtbf, offer.min_billable, offer.available_until),
    )


def _shown(offers: Iterable[Offer]) -> frozenset[str]:
    """Leases that home says it has counted already (attribute `leases`)."""
    return frozenset(
        name for offer in offers for name in offer.attribute("leases").split(",") if name
    )


def _is_unseen(lease: Lease, offer: Offer) -> bool:
    if lease.state in UNSEEN:
        return True
    started = lease.active_since
    return not lease.is_home and started is not None and started >= offer.as_of


def _taken(leases: Iterable[Lease]) -> dict[Key, list[tuple[Lease, int]]]:
    """By offer: the leases that hold it and how many GPUs each takes of it."""
    found: dict[Key, list[tuple[Lease, int]]] = defaultdict(list)
    for lease in leases:
        nodes = [n for n in lease.offer.attribute("nodes").split(",") if n]
        count = lease.request.gpu_count * (1 if nodes else lease.request.num_nodes)
        for offer_id in nodes or [lease.offer.offer_id]:
            found[(lease.provider, offer_id)].append((lease, count))
    return found
