"""Quotes home: one divisible offer per GPU node, from allocatable minus what pods hold.

Pure; called by `InCluster.offers`. Three kinds of pods hold GPUs: bound ones, where they are;
our unbound ones, on the node they were planned for (label `overspill.dev/planned-node`) or, for
gangs, on the tightest nodes of their kind; and children just opened whose pods we cannot see yet
(`Reservation`). The attribute `leases` of an offer names the leases that were counted on it, so
that placement never counts one twice. CPU and memory that pods request are counted the same way.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from overspill.core.gpus import MEMORY_TOLERANCE, canonical_model, gpu_info, interconnect_of
from overspill.core.offer import NOTHING_BESIDE, Beside, Offer
from overspill.core.quantities import GIB, parse_quantity
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import TrustTier
from overspill.ports import NodeState, PodState
from overspill.providers.in_cluster_child import (
    GPU,
    LEASE_LABEL,
    PLANNED_LABEL,
    PRODUCT,
    PRODUCT_LABEL,
    PROVIDER_LABEL,
    SHARING,
    label_value,
)
from overspill.providers.in_cluster_nodes import NodeHealth, NodeVerdict
from overspill.providers.in_cluster_observe import ENDED


@dataclass(frozen=True, slots=True)
class Reservation:
    """GPUs of a child just opened, for as long as its pods are not in view."""

    lease: str
    planned: str
    """Label value of the planned node, "" for a gang."""
    product: str
    gpus: int
    """Per pod."""
    pods: int = 1
    requests: Beside = NOTHING_BESIDE
    """CPU and memory per pod."""


@dataclass(slots=True)
class Hold:
    """What is taken of one node, and by which of our leases."""

    gpus: int = 0
    leases: set[str] = field(default_factory=set)
    cpu_units: Decimal = Decimal(0)
    memory_gib: Decimal = Decimal(0)

    def add(self, gpus: int, requests: Beside, lease: str) -> None:
        """One more pod."""
        self.gpus += gpus
        self.cpu_units += requests.cpu_units
        self.memory_gib += requests.memory_gib
        if lease:
            self.leases.add(lease)


def home_offers(
    account: ProviderAccount,
    nodes: Sequence[NodeState],
    holds: dict[str, Hold],
    verdict_of: Callable[[NodeState], NodeVerdict],
    now: datetime,
) -> list[Offer]:
    """One offer per node that has GPUs, in the order of their names; unusable ones are marked."""
    with_gpus = [n for n in sorted(nodes, key=lambda n: n.name) if _total(n) or _labelled(n)]
    return [_offer(account, n, holds.get(n.name, Hold()), verdict_of(n), now) for n in with_gpus]


def holds_by_node(
    nodes: Sequence[NodeState],
    pods: Iterable[PodState],
    reservations: Iterable[Reservation],
    account: str = "",
    new: Container[str] = (),
) -> dict[str, Hold]:
    """Who holds what on which node, our unbound children included.

    `new` are nodes that do not exist yet: a child planned for one may get another that came.
    Unbound children of other accounts wait for other nodes.
    """
    holds = {node.name: Hold() for node in nodes}
    by_label = {label_value(node.name): node.name for node in nodes if node.name not in new}
    floating: list[Reservation] = []
    for pod in pods:
        lease = pod.labels.get(LEASE_LABEL, "")
        gpus = 0 if pod.phase in ENDED else pod.gpus
        requests = NOTHING_BESIDE if pod.phase in ENDED else _requests(pod)
        place = pod.node or by_label.get(pod.labels.get(PLANNED_LABEL, ""), "")
        if place:
            holds.setdefault(place, Hold()).add(gpus, requests, lease)
        elif lease and pod.labels.get(PROVIDER_LABEL, account) == account:
            product = pod.labels.get(PRODUCT_LABEL, "")
            floating.append(Reservation(lease, "", product, gpus, requests=requests))
    for reserved in reservations:
        place = by_label.get(reserved.planned, "")
        if place:
            for _ in range(reserved.pods):
                holds.setdefault(place, Hold()).add(
                    reserved.gpus, reserved.requests, reserved.lease
                )
        else:
            floating.append(reserved)
    _settle(nodes, holds, floating, new)
    return holds


def _settle(
    nodes: Sequence[NodeState],
    holds: dict[str, Hold],
    floating: list[Reservation],
    new: Container[str],
) -> None:
    """Counts pods that may land on any node of a kind against the tightest one that fits."""
    for wanted in floating:
        for _ in range(wanted.pods):
            fitting = [
                (node.name in new, free, node.name)
                for node in nodes
                if wanted.product in ("", node.labels.get(PRODUCT, ""))
                and (free := _total(node) - holds[node.name].gpus) >= wanted.gpus
            ]
            if fitting:
                holds[min(fitting)[2]].add(wanted.gpus, wanted.requests, wanted.lease)


def _requests(pod: PodState) -> Beside:
    return _amounts(pod.requests.get("cpu", "0"), pod.requests.get("memory", "0"))


@lru_cache(maxsize=4096)
def _amounts(cpu: str, memory: str) -> Beside:
    """Thousands of pods ask for few different amounts."""
    return Beside(parse_quantity(cpu), parse_quantity(memory) / GIB)


def _size(node: NodeState) -> Beside | None:
    """What the node has for pods; None where it does not tell."""
    cpu, memory = node.allocatable.get("cpu"), node.allocatable.get("memory")
    return _amounts(cpu, memory) if cpu and memory else None


def _offer(
    account: ProviderAccount, node: NodeState, hold: Hold, verdict: NodeVerdict, now: datetime
) -> Offer:
    total, free = _total(node), max(0, _total(node) - hold.gpus)
    product = node.labels.get(PRODUCT, "")
    memory = _memory_gib(node)
    model = canonical_model(product, memory) if product else "unknown"
    info = gpu_info(model)
    rate = account.rates_usd.get(model, account.rates_usd.get("*", Decimal(0)))
    count, size = free or total or _labelled(node), _size(node)
    return Offer(
        provider=account.name,
        offer_id=node.name,
        place=f"{account.name}/{node.name}",
        capacity_type=account.capacity_type,
        trust_tier=TrustTier.OWN,
        gpu_model=model,
        gpu_count=count,
        price_usd_per_hour=rate * count,
        as_of=now,
        region=node.labels.get("topology.kubernetes.io/region", ""),
        # A card that shows 79.6 GiB is an 80 GiB card: told as sold, so that comparing is plain.
        gpu_memory_gib=_nominal(memory, info.memory_gib if info else None),
        compute_capability=_capability(node) or (info.compute_capability if info else None),
        interconnect=interconnect_of(product),
        is_divisible=True,
        egress_usd_per_gib=account.egress_usd_per_gib,
        cold_start=account.cold_start,
        mtbf=account.mtbf,
        unavailable_reason=_why_not(node, product, free, verdict),
        attributes=(
            ("product", product),
            ("gpusTotal", str(total)),
            ("leases", ",".join(sorted(hold.leases))),
        ),
        beside_free=size and size.less(Beside(hold.cpu_units, hold.memory_gib)),
        beside_total=size,
    )


def _why_not(node: NodeState, product: str, free: int, verdict: NodeVerdict) -> str:
    """Why nothing may be placed on the node now; empty: it may."""
    if verdict.health is not NodeHealth.FIT:
        return verdict.message
    if "-MIG-" in product:
        return f"node {node.name} has its GPUs cut into MIG slices; slices are not sold as GPUs"
    if _is_shared(node, product):
        return f"node {node.name} shares its GPUs between pods; shares are not sold as GPUs"
    if not _total(node):
        return f"node {node.name} has no allocatable GPU now; see its device plugin"
    if free <= 0:
        return f"all {_total(node)} GPUs of node {node.name} are taken"
    return ""


def _is_shared(node: NodeState, product: str) -> bool:
    strategy = node.labels.get(SHARING, "none")
    return strategy != "none" or product.endswith("-SHARED")


def _total(node: NodeState) -> int:
    return int(node.allocatable.get(GPU, "0") or 0)


def _labelled(node: NodeState) -> int:
    """GPUs that feature discovery found, though the device plugin may not offer them now."""
    count = node.labels.get("nvidia.com/gpu.count", "")
    return int(count) if count.isdecimal() else 0


def _memory_gib(node: NodeState) -> Decimal | None:
    mib = node.labels.get("nvidia.com/gpu.memory", "")
    return Decimal(mib) / 1024 if mib.isdecimal() else None


def _nominal(measured: Decimal | None, nominal: Decimal | None) -> Decimal | None:
    if measured is None or nominal is None:
        return measured or nominal
    is_the_same = nominal * MEMORY_TOLERANCE <= measured <= nominal / MEMORY_TOLERANCE
    return nominal if is_the_same else measured


def _capability(node: NodeState) -> tuple[int, int] | None:
    major = node.labels.get("nvidia.com/gpu.compute.major", "")
    minor = node.labels.get("nvidia.com/gpu.compute.minor", "")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
