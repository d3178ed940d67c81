"""A pool that a node autoscaler grows: its nodes, and the ones that would come when asked for.

Pure; called by `InCluster.offers`. Karpenter and the cluster autoscaler make a node when a pod
that demands the pool's labels stays Pending. So a pool at zero nodes is quoted as nodes that do not
exist yet, `<account>-new-<n>`, with the time they take to boot; a child placed on one demands the
labels and waits. What a node costs is the pool's price, shared by GPU among who is on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from overspill.core.offer import Offer
from overspill.core.snapshot import GrownPool, ProviderAccount
from overspill.core.vocabulary import CapacityType
from overspill.ports import NodeState
from overspill.providers._catalog import Catalog
from overspill.providers.in_cluster_child import BOOT, GPU, PRODUCT, SELECTOR

MOST_NEW = 50
"""So many nodes that do not exist yet are quoted at once: more are not needed in one plan."""


def belongs(node: NodeState, pool: GrownPool) -> bool:
    """Whether a node is one of the pool's."""
    return all(node.labels.get(key) == value for key, value in pool.node_selector)


def new_nodes(account: ProviderAccount, pool: GrownPool, real: int) -> list[NodeState]:
    """The nodes that the autoscaler may still add, as they will be."""
    left = min(MOST_NEW, max(0, pool.max_nodes - real))
    labels = {**dict(pool.node_selector), PRODUCT: pool.gpu_model}
    if account.regions:
        labels["topology.kubernetes.io/region"] = account.regions[0]
    return [
        NodeState(
            name=f"{account.name}-new-{number}",
            labels=labels,
            taints=(),
            unschedulable=False,
            allocatable={GPU: str(pool.gpu_count)},
            conditions={"Ready": "True"},
        )
        for number in range(1, left + 1)
    ]


def named(nodes: Sequence[NodeState], pool: GrownPool) -> list[NodeState]:
    """Existing nodes with their GPU's name, which feature discovery writes some time after boot."""
    return [
        n if PRODUCT in n.labels else replace(n, labels={**n.labels, PRODUCT: pool.gpu_model})
        for n in nodes
    ]


def price_of(account: ProviderAccount, pool: GrownPool, catalog: Catalog) -> Decimal | None:
    """USD per hour of one node: what the account says, else the mounted catalogue."""
    if pool.usd_per_node_hour is not None:
        return pool.usd_per_node_hour
    region = account.regions[0] if account.regions else ""
    is_spot = account.capacity_type is CapacityType.SPOT
    return catalog.price(pool.instance_type, region, spot=is_spot)


def priced(account: ProviderAccount, pool: GrownPool, price: Decimal | None) -> ProviderAccount:
    """The account with the pool's rate, so that home's own arithmetic serves."""
    rate = (price or Decimal(0)) / pool.gpu_count
    return replace(account, rates_usd={"*": rate})


def as_pool(
    offers: Sequence[Offer], account: ProviderAccount, new: Mapping[str, NodeState], *, priced: bool
) -> list[Offer]:
    """Home's offers as the pool's: its labels are demanded, new nodes take their time to boot."""
    pool = account.pool
    assert pool is not None  # noqa: S101  (the caller checked; this narrows the type)
    selector = ",".join(f"{key}={value}" for key, value in pool.node_selector)
    found = []
    for offer in offers:
        kept = [(k, v) for k, v in offer.attributes if k != "product"]
        attributes = [*kept, (SELECTOR, selector)]
        is_new = offer.offer_id in new
        if is_new:
            attributes.append((BOOT, str(int(pool.boot.total_seconds()))))
        why = offer.unavailable_reason
        found.append(
            replace(
                offer,
                attributes=tuple(attributes),
                cold_start=offer.cold_start + pool.boot if is_new else offer.cold_start,
                unavailable_reason=why or ("" if priced else _unpriced(account, pool)),
            )
        )
    return found


def _unpriced(account: ProviderAccount, pool: GrownPool) -> str:
    where = f" in {account.regions[0]}" if account.regions else ""
    return (
        f"nobody knows what {pool.instance_type or 'a node'} costs{where}: set "
        "spec.pool.usdPerNodeHour, or mount a price list that has it (OVERSPILL_PRICE_CATALOG)"
    )
