"""The simulated GPU nodes: adding them, losing them without a word, bringing them back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from overspill.testing.bed.flags import KWOK_LABEL
from overspill.testing.bed.node_spec import GPU, NodeSpec
from overspill.testing.bed.waiting import until

if TYPE_CHECKING:
    from overspill.testing.bed.cluster import Cluster


class Nodes:
    """All node manipulation of a bed; every method works on any kwok-managed cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def add(  # noqa: PLR0913 - the fields of NodeSpec, named by every caller
        self,
        name: str,
        gpus: int = 8,
        *,
        product: str = "NVIDIA-H100-80GB-HBM3",
        memory_mib: int = 81559,
        family: str = "hopper",
        compute: tuple[int, int] = (9, 0),
        cpu: str = "96",
        memory: str = "1Ti",
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
    ) -> str:
        """Add one node, wait until it is Ready, and return its name."""
        self.add_many(
            [
                NodeSpec(
                    name=name,
                    gpus=gpus,
                    product=product,
                    memory_mib=memory_mib,
                    family=family,
                    compute=compute,
                    cpu=cpu,
                    memory=memory,
                    labels=labels or {},
                    taints=taints,
                )
            ]
        )
        return name

    def add_many(self, specs: Iterable[NodeSpec], *, timeout: float = 120.0) -> list[str]:
        """Add nodes in one call and wait until all are Ready."""
        items = [spec.manifest() for spec in specs]
        names = [item["metadata"]["name"] for item in items]
        manifest = {"apiVersion": "v1", "kind": "List", "items": items}
        self._cluster.kubectl("create", "-f", "-", input=json.dumps(manifest))
        wanted = set(names)
        until(lambda: wanted <= self.ready(), f"{len(names)} nodes Ready", timeout)
        return names

    def lose(self, name: str) -> None:
        """Silent death: the heartbeat stops, nothing is written, the Node object stays."""
        self._cluster.kubectl("label", "node", name, f"{KWOK_LABEL}-")

    def restore(self, name: str) -> None:
        """The lost node is back, with the pods it had."""
        self._cluster.kubectl("label", "node", name, f"{KWOK_LABEL}=true", "--overwrite")

    def delete(self, name: str) -> None:
        """The machine is gone for good, as after a reclaim: the Node object goes too."""
        self._cluster.kubectl("delete", "node", name, "--wait=true", "--ignore-not-found")

    def delete_all(self) -> None:
        """Every simulated node that is left, lost ones too."""
        nodes = json.loads(self._cluster.kubectl("get", "nodes", "-o", "json"))["items"]
        left = [n["metadata"]["name"] for n in nodes if _is_simulated(n)]
        if left:
            self._cluster.kubectl("delete", "node", *left, "--wait=true", "--ignore-not-found")

    def set_gpus(self, name: str, count: int, *, capacity: bool = False) -> None:
        """Let the device plugin report `count` healthy GPUs; capacity stays unless told."""
        status: dict[str, Any] = {"allocatable": {GPU: str(count)}}
        if capacity:
            status["capacity"] = {GPU: str(count)}
        self._cluster.kubectl(
            "patch", "node", name, "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": status}),
        )  # fmt: skip

    def ready(self) -> set[str]:
        """Names of the nodes whose Ready condition is True now."""
        return self._where(lambda status: status == "True")

    def not_ready(self) -> set[str]:
        """Names of the nodes whose Ready condition is False or Unknown."""
        return self._where(lambda status: status in ("False", "Unknown"))

    def _where(self, wanted: Callable[[str | None], bool]) -> set[str]:
        listed = json.loads(self._cluster.kubectl("get", "nodes", "-o", "json"))
        return {n["metadata"]["name"] for n in listed["items"] if wanted(_ready_status(n))}


def _is_simulated(node: Mapping[str, Any]) -> bool:
    kubelet = node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")
    return str(kubelet).startswith("kwok-")


def _ready_status(node: Mapping[str, Any]) -> str | None:
    for condition in node.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            return str(condition["status"])
    return None
