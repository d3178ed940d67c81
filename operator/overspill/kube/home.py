"""What is known of the cluster's own GPU nodes and pods (`ports.HomeView`).

Three informers (GPU nodes; pods of ours in every phase; other people's pods that hold GPUs, or
stand on a GPU node) and the poll of heartbeats. Read by the home provider and by recovery.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overspill.kube.heartbeats import Heartbeats
from overspill.kube.informer import Informer, Source
from overspill.kube.mapping.pods import read_node, read_pod
from overspill.kube.resources import LEASE_LABEL, NODES, PODS
from overspill.kube.wire import Wire
from overspill.ports import Clock, NodeState, PodState

HOLDING = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
"""Pods that occupy a node, as far as the API server can select them."""
SOON_S = 0.05


@dataclass(frozen=True, slots=True)
class HomeOptions:
    """Which nodes are home, and how old our knowledge may be before we judge no node by it."""

    node_selector: str = ""
    heartbeat_poll_s: float = 5.0
    blind_after_s: float = 15.0
    silent_after_s: float = 90.0
    watch_s: float = 60.0
    inactivity_s: float = 70.0


class KubeHome:
    """`ports.HomeView`, kept fresh by `run`."""

    def __init__(self, wire: Wire, clock: Clock, options: HomeOptions | None = None) -> None:
        self._options = options or HomeOptions()
        self._wire = wire
        self._nodes = self._informer(wire, clock, NODES, self._node_params(), read_node)
        ours = {"labelSelector": LEASE_LABEL}
        self._ours = self._informer(wire, clock, PODS, ours, read_pod)
        self._by_lease: dict[str, dict[str, PodState]] = {}
        self._lease_of: dict[str, str] = {}
        self._ours.listen(self._index)
        others = {"labelSelector": f"!{LEASE_LABEL}", "fieldSelector": HOLDING}
        self._gpu_nodes: frozenset[str] = frozenset()
        self._nodes.listen(self._note_nodes)
        self._others = self._informer(wire, clock, PODS, others, self._that_matters)
        self._clock = clock
        self._heartbeats = Heartbeats(
            wire, clock, self._options.heartbeat_poll_s, self._options.blind_after_s
        )

    @property
    def synced(self) -> bool:
        """Whether nodes, pods and heartbeats were all read once."""
        return all(i.synced for i in self._informers) and not self._heartbeats.is_blind()

    @property
    def last_event_age_s(self) -> float:
        """The age of the most silent watch; liveness looks at it."""
        return max(informer.last_event_age_s for informer in self._informers)

    def nodes(self) -> Sequence[NodeState]:
        """GPU nodes of the cluster."""
        return self._nodes.items()

    def pods(self) -> Sequence[PodState]:
        """GPU pods that hold a node, and our own pods in every phase."""
        return [*self._ours.items(), *self._others.items()]

    def pods_of(self, lease: str) -> Sequence[PodState]:
        """Our own pods of one lease."""
        return list(self._by_lease.get(lease, {}).values())

    async def fetch_pods_of(self, lease: str) -> Sequence[PodState]:
        """The same from a quorum LIST, whatever the watch has brought so far."""
        selector = {"labelSelector": f"{LEASE_LABEL}={lease}"}
        return await self._wire.list_kept(PODS, read_pod, selector)

    def heartbeat_age_s(self, node: str) -> float | None:
        """Seconds since the node's Lease last moved, on our monotonic clock; None: never seen."""
        return self._heartbeats.age_s(node)

    def is_stale(self) -> bool:
        """Whether our own view is too old to judge nodes."""
        return not self.synced or self.last_event_age_s > self._options.silent_after_s

    def listen(self, listener: Callable[[NodeState | PodState], None]) -> None:
        """Calls `listener` with what a node or pod became, or last was before it went."""
        self._nodes.listen(listener)
        self._ours.listen(listener)
        self._others.listen(listener)

    async def run(self) -> None:
        """Keeps everything fresh until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._nodes.run())
            tasks.create_task(self._ours.run())
            tasks.create_task(self._run_others())
            tasks.create_task(self._heartbeats.run())

    async def _run_others(self) -> None:
        """After the nodes: which pods matter depends on where they are."""
        while not self._nodes.synced:
            await self._clock.sleep(SOON_S)
        await self._others.run()

    def _note_nodes(self, _node: NodeState) -> None:
        self._gpu_nodes = frozenset(node.name for node in self._nodes.items())

    def _that_matters(self, obj: Mapping[str, Any]) -> PodState | None:
        """Pods with GPUs, and what takes CPU and memory beside them on the same nodes.

        A node that becomes known after its pods gets them with the next LIST.
        """
        pod = read_pod(obj)
        if pod.gpus:
            return pod
        return _slim(pod) if pod.node in self._gpu_nodes else None

    def _index(self, pod: PodState) -> None:
        """Keeps `pods_of` up to date: looking through all pods for each of them would not do."""
        before = self._lease_of.pop(pod.uid, "")
        self._by_lease.get(before, {}).pop(pod.uid, None)
        if not self._by_lease.get(before, True):
            del self._by_lease[before]
        now: PodState | None = self._ours.get(pod.uid)
        if now is not None:
            lease = now.labels.get(LEASE_LABEL, "")
            self._lease_of[now.uid] = lease
            self._by_lease.setdefault(lease, {})[now.uid] = now

    @property
    def _informers(self) -> tuple[Informer[Any], ...]:
        return (self._nodes, self._ours, self._others)

    def _node_params(self) -> dict[str, str]:
        selector = self._options.node_selector
        return {"labelSelector": selector} if selector else {}

    def _informer(
        self,
        wire: Wire,
        clock: Clock,
        path: str,
        params: Mapping[str, str],
        keep: Callable[[Mapping[str, Any]], Any],
    ) -> Informer[Any]:
        options = self._options
        source = Source(path, params, options.watch_s, options.inactivity_s)
        return Informer(wire, clock, source, keep)


def _slim(pod: PodState) -> PodState:
    """What it takes of its node, and nothing that changes while it runs."""
    phase = pod.phase if pod.phase in ("Succeeded", "Failed") else "Running"
    return PodState(pod.namespace, pod.name, pod.uid, pod.node, phase, 0, {}, requests=pod.requests)
