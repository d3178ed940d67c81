"""Judges home nodes: fit for new work, suspect, or lost. Called by `in_cluster`.

Lease protocol 2.7: a heartbeat that stood still for `suspectSeconds` on our own monotonic clock
makes a node suspect; together with Ready other than True, or at `lostSeconds`, it is lost. So is
a node that shows a condition of the configured bad polarity, or whose object is gone. While our
own view is stale no node is judged lost: one blind operator must not look like a dead cluster.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from overspill.core.snapshot import ProviderAccount
from overspill.ports import Clock, HomeView, NodeState

GPU_TAINT = "nvidia.com/gpu"

DEFAULT_UNHEALTHY = (
    ("GPUMissing", "True"),
    ("AcceleratedHardwareReady", "False"),
    ("KernelDeadlock", "True"),
)
"""Conditions of AKS, EKS and the node problem detector that mean: nothing runs here any more."""


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """When a node counts as bad, from the account (`nodeHealth`, `config.tolerateTaints`)."""

    suspect_s: float = 20.0
    lost_s: float = 40.0
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    """Condition type → the status that means broken."""
    tolerated: frozenset[str] = frozenset()
    """Keys of taints whose nodes are offered; children get the toleration."""

    @classmethod
    def of(cls, account: ProviderAccount) -> "NodePolicy":
        """The account's policy; with no conditions configured, `DEFAULT_UNHEALTHY`."""
        taints = (word.strip() for word in account.config.get("tolerateTaints", "").split(","))
        return cls(
            suspect_s=account.suspect_after.total_seconds(),
            lost_s=account.lost_after.total_seconds(),
            unhealthy=dict(account.unhealthy_conditions or DEFAULT_UNHEALTHY),
            tolerated=frozenset((GPU_TAINT, *filter(None, taints))),
        )


class NodeHealth(StrEnum):
    """How far a node can be trusted; the values are reasons of observations."""

    FIT = "Fit"
    UNUSABLE = "NodeUnusable"
    SUSPECT = "NodeSuspect"
    LOST = "NodeHeartbeatStopped"
    UNHEALTHY = "NodeUnhealthy"
    GONE = "NodeGone"

    @property
    def is_lost(self) -> bool:
        """Work on such a node counts as lost."""
        return self in (NodeHealth.LOST, NodeHealth.UNHEALTHY, NodeHealth.GONE)


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """The judgement and the sentence that explains it; FIT has none."""

    health: NodeHealth
    message: str = ""


FIT = NodeVerdict(NodeHealth.FIT)


def judge_node(node: NodeState, heartbeat_age_s: float | None, policy: NodePolicy) -> NodeVerdict:
    """The verdict on one existing node; the worst finding wins."""
    age, ready = heartbeat_age_s or 0.0, node.conditions.get("Ready", "Unknown")
    silent = f"node {node.name} sent no heartbeat for {int(age)} s"
    if age >= policy.lost_s:
        return NodeVerdict(NodeHealth.LOST, silent)
    if age >= policy.suspect_s and ready != "True":
        return NodeVerdict(NodeHealth.LOST, f"{silent} and is not Ready")
    for kind, bad in policy.unhealthy.items():
        if node.conditions.get(kind) == bad:
            return NodeVerdict(NodeHealth.UNHEALTHY, f"node {node.name} reports {kind}={bad}")
    if age >= policy.suspect_s:
        return NodeVerdict(NodeHealth.SUSPECT, silent)
    return _fitness(node, ready, policy)


class NodeWatch:
    """Verdicts over a live view; remembers since when a node in use has been missing."""

    def __init__(self, home: HomeView, policy: NodePolicy, clock: Clock) -> None:
        self._home = home
        self._policy = policy
        self._clock = clock
        self._missing_since: dict[str, float] = {}

    def verdict_of(self, node: NodeState) -> NodeVerdict:
        """The verdict on a node of the view; a stale view proves no silence."""
        age = None if self._home.is_stale() else self._home.heartbeat_age_s(node.name)
        return judge_node(node, age, self._policy)

    def lost_among(self, names: Iterable[str]) -> dict[str, NodeVerdict]:
        """Those of the named nodes that are lost, with why. Empty while the view is stale."""
        if self._home.is_stale():
            return {}
        known = {node.name: node for node in self._home.nodes()}
        verdicts = {name: self._verdict_on(name, known.get(name)) for name in names}
        return {name: v for name, v in verdicts.items() if v.health.is_lost}

    def _verdict_on(self, name: str, node: NodeState | None) -> NodeVerdict:
        if node is not None:
            self._missing_since.pop(name, None)
            return self.verdict_of(node)
        # Pods and nodes arrive on two streams: a missing node is believed after a while only.
        since = self._missing_since.setdefault(name, self._clock.monotonic())
        if self._clock.monotonic() - since < self._policy.suspect_s:
            return FIT
        return NodeVerdict(NodeHealth.GONE, f"node {name} is no longer a GPU node of the cluster")


def _fitness(node: NodeState, ready: str, policy: NodePolicy) -> NodeVerdict:
    if ready != "True":
        return NodeVerdict(NodeHealth.UNUSABLE, f"node {node.name} is not Ready")
    if node.unschedulable:
        return NodeVerdict(NodeHealth.UNUSABLE, f"node {node.name} is cordoned")
    for taint in node.taints:
        if taint.get("effect") != "PreferNoSchedule" and taint.get("key") not in policy.tolerated:
            told = f"node {node.name} is tainted {taint.get('key')}:{taint.get('effect')}"
            return NodeVerdict(NodeHealth.UNUSABLE, told)
    return FIT
