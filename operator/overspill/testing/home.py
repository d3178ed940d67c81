"""A home in memory: nodes and pods as a test wants them, and requests to open leases there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.lease import JobRef, Lease, lease_name
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, ProviderType, TrustTier
from overspill.core.workload import LeaseRequest
from overspill.ports import NodeState, OpenRequest, PodState

CLUSTER_ID = "0123abcd-0000-4000-8000-000000000001"
H100_LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
    "topology.kubernetes.io/region": "eu",
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class FakeHome:
    """`ports.HomeView` by hand."""

    node_list: list[NodeState] = field(default_factory=list)
    pod_list: list[PodState] = field(default_factory=list)
    ages: dict[str, float] = field(default_factory=dict)
    stale: bool = False
    unseen: list[PodState] = field(default_factory=list)

    def nodes(self) -> Sequence[NodeState]:
        """The nodes put there."""
        return self.node_list

    def pods(self) -> Sequence[PodState]:
        """The pods put there."""
        return self.pod_list

    def pods_of(self, lease: str) -> Sequence[PodState]:
        """Those of them that carry the lease's label."""
        return [pod for pod in self.pod_list if pod.labels.get("overspill.dev/lease") == lease]

    async def fetch_pods_of(self, lease: str) -> Sequence[PodState]:
        """Those of `pod_list`, and of `unseen`, which the view has not heard of yet."""
        found = [*self.pod_list, *self.unseen]
        return [pod for pod in found if pod.labels.get("overspill.dev/lease") == lease]

    def heartbeat_age_s(self, node: str) -> float | None:
        """What `ages` says."""
        return self.ages.get(node)

    def is_stale(self) -> bool:
        """What `stale` says."""
        return self.stale


def gpu_node(name: str = "n1", gpus: int = 8, **changes: Any) -> NodeState:
    """A healthy node of H100s; `labels` are added to its own."""
    labels = {**H100_LABELS, **changes.pop("labels", {})}
    node = NodeState(
        name=name,
        labels=labels,
        taints=({"key": "nvidia.com/gpu", "effect": "NoSchedule"},),
        unschedulable=False,
        allocatable={"nvidia.com/gpu": str(gpus)},
        conditions={"Ready": "True"},
    )
    return replace(node, **changes)


def pod_of(lease: str = "", name: str = "p1", **changes: Any) -> PodState:
    """A pod that runs on n1 with one GPU, of that lease or nobody's; `labels` are added."""
    labels = {"overspill.dev/lease": lease} if lease else {}
    pod = PodState(
        namespace="team-a",
        name=name,
        uid=f"uid-{name}",
        node="n1",
        phase="Running",
        gpus=1,
        labels={**labels, **changes.pop("labels", {})},
        bound_at=NOON if changes.get("node", "n1") else None,
    )
    return replace(pod, **changes)


def home_account(**changes: Any) -> ProviderAccount:
    """The account of home, 2 USD per GPU-hour for H100 and 1 for the rest."""
    account = ProviderAccount(
        name="home",
        type=ProviderType.IN_CLUSTER,
        capacity_type=CapacityType.OWN,
        rates_usd={"h100": Decimal(2), "*": Decimal(1)},
    )
    return replace(account, **changes)


def home_request(
    *,
    job_uid: str = "job-uid-1",
    attempt: int = 1,
    template: Mapping[str, Any] | None = None,
    asked: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> OpenRequest:
    """A request for one GPU on n1; `asked` changes the frozen request."""
    name = lease_name(CLUSTER_ID, job_uid, attempt)
    request = LeaseRequest(gpu_count=1, home_node="n1", template=template or plain_template())
    request = replace(request, **(asked or {}))
    offer = _offer(request)
    lease = Lease(
        name=name,
        namespace="team-a",
        uid="lease-uid",
        resource_version="1",
        job=JobRef("team-a", "train", job_uid),
        attempt=attempt,
        provider="home",
        cluster_id=CLUSTER_ID,
        offer=offer,
        request=request,
        max_usd_per_hour=Decimal(20),
        max_total_usd=Decimal(100),
        hard_deadline=NOON + timedelta(days=1),
        created_at=NOON,
        is_home=True,
    )
    return OpenRequest(
        key=name,
        cluster_id=CLUSTER_ID,
        offer=offer,
        gpu_count=request.gpu_count,
        num_nodes=request.num_nodes,
        max_usd_per_hour=lease.max_usd_per_hour,
        max_total_usd=lease.max_total_usd,
        hard_deadline=lease.hard_deadline,
        attempt=attempt,
        lease=lease,
        secrets=secrets or {},
    )


def plain_template() -> dict[str, Any]:
    """A pod template with one container."""
    container = {"name": "train", "image": "team/train:1", "command": ["python", "train.py"]}
    return {"metadata": {"labels": {"team": "a"}}, "spec": {"containers": [container]}}


def _offer(request: LeaseRequest) -> Offer:
    gpus = request.gpu_count * request.num_nodes
    return Offer(
        provider="home",
        offer_id=request.home_node or "n1",
        place=f"home/{request.home_node or 'n1'}",
        capacity_type=CapacityType.OWN,
        trust_tier=TrustTier.OWN,
        gpu_model="h100",
        gpu_count=gpus,
        price_usd_per_hour=Decimal(2) * gpus,
        as_of=NOON,
        attributes=(("product", H100_LABELS["nvidia.com/gpu.product"]),),
    )
