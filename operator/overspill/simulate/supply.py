"""What is free at a moment, as the offers that `plan()` reads: own nodes and rented places.

Every place is an account of its own, so that its priors (start, time between losses, egress) reach
the decision. Called by `replay`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.gpus import gpu_info
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, InterconnectClass, ProviderType, TrustTier
from overspill.simulate.history import History, OwnNode, Place

HOME = "home"
_KINDS = {
    "ondemand": (CapacityType.ON_DEMAND, TrustTier.CLOUD),
    "spot": (CapacityType.SPOT, TrustTier.CLOUD),
    "p2p": (CapacityType.COMMUNITY, TrustTier.COMMUNITY),
}
_MICRO = Decimal("0.000001")


@dataclass(slots=True)
class NodeState:
    """An own node now."""

    node: OwnNode
    free: int
    down: int = 0
    """Faults that keep it away."""
    offers: dict[int, Offer] = field(default_factory=dict)
    """By what is free; -1: it is away. Nodes look the same again and again."""


@dataclass(slots=True)
class PlaceState:
    """A rented place now. `held` GPUs are ours."""

    place: Place
    held: int = 0

    def free(self, second: float) -> int:
        """GPUs one could rent there on top of what is held."""
        return max(0, int(self.place.gpus.at(second)) - self.held)


class Supply:
    """All nodes and places of a history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.nodes = {n.name: NodeState(n, n.gpus) for n in history.nodes}
        self.places = {p.name: PlaceState(p) for p in history.places}
        self.accounts = {HOME: _home(history), **{p.name: _account(p) for p in history.places}}

    @property
    def free_at_home(self) -> int:
        """Free GPUs on own nodes that are there."""
        return sum(n.free for n in self.nodes.values() if not n.down)

    def offers(self, second: float) -> tuple[Offer, ...]:
        """The whole catalogue at a moment."""
        now = self._history.moment(second)
        own = [self._own(n) for n in self.nodes.values()]
        return (*own, *(_rented(p, second, now) for p in self.places.values()))

    def take(self, names: Iterable[str], gpus_per_node: int, sign: int = 1) -> None:
        """Takes GPUs of own nodes, or gives them back (`sign` -1)."""
        for name in names:
            self.nodes[name].free -= sign * gpus_per_node

    def _own(self, state: NodeState) -> Offer:
        key = -1 if state.down else state.free
        if key not in state.offers:
            state.offers[key] = self._own_afresh(state)
        return state.offers[key]

    def _own_afresh(self, state: NodeState) -> Offer:
        node, free = state.node, 0 if state.down else state.free
        count = free or node.gpus
        why = "the node is away" if state.down else f"all {node.gpus} GPUs are taken"
        rate = Decimal(str(self._history.own_usd_per_gpu_h))
        return Offer(
            provider=HOME,
            offer_id=node.name,
            place=f"{HOME}/{node.name}",
            capacity_type=CapacityType.OWN,
            trust_tier=TrustTier.OWN,
            gpu_model=node.model,
            gpu_count=count,
            price_usd_per_hour=rate * count,
            as_of=self._history.origin,
            interconnect=_fabric(node.model),
            is_divisible=True,
            unavailable_reason="" if free else why,
            attributes=(("gpusTotal", str(node.gpus)),),
        )


def _rented(state: PlaceState, second: float, now: datetime) -> Offer:
    place, free = state.place, state.free(second)
    each = place.gpus_per_node
    count = free or each
    capacity, tier = _KINDS[place.kind]
    rate = Decimal(str(place.price.at(second)))
    return Offer(
        provider=place.name,
        offer_id=place.name,
        place=place.name,
        capacity_type=capacity,
        trust_tier=tier,
        gpu_model=place.model,
        gpu_count=count,
        price_usd_per_hour=(rate * count).quantize(_MICRO),
        as_of=now,
        node_count=max(1, count // each),
        region=place.region,
        interconnect=_fabric(place.model),
        is_divisible=True,
        unavailable_reason="" if free else "nothing is free there",
        attributes=(("gpusTotal", str(min(each, count))),),
    )


def _home(history: History) -> ProviderAccount:
    return ProviderAccount(
        HOME,
        ProviderType.IN_CLUSTER,
        capacity_type=CapacityType.OWN,
        trust_tier=TrustTier.OWN,
        cold_start=timedelta(seconds=history.own_cold_start_s),
    )


def _account(place: Place) -> ProviderAccount:
    capacity, tier = _KINDS[place.kind]
    account = ProviderAccount(
        place.name,
        ProviderType.RUNPOD,
        capacity_type=capacity,
        trust_tier=tier,
        cold_start=timedelta(seconds=place.cold_start_s),
        egress_usd_per_gib=Decimal(str(place.egress_usd_per_gib)),
    )
    return account if place.mtbf_h is None else replace(account, mtbf=timedelta(hours=place.mtbf_h))


def _fabric(model: str) -> InterconnectClass:
    info = gpu_info(model)
    return info.interconnect if info else InterconnectClass.NONE
