"""Simulated nodes are Ready, run Jobs, die silently and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from overspill.testing.bed import Bed, NodeSpec, until

pytestmark = pytest.mark.cluster


@pytest.fixture
def nodes(bed: Bed) -> Iterator[list[str]]:
    names = bed.nodes.add_many(NodeSpec(f"sim-{index}", gpus=8) for index in range(3))
    yield names
    for name in names:
        bed.nodes.delete(name)


def test_gpu_node_carries_discovery_labels_and_gpus(bed: Bed, nodes: list[str]) -> None:
    node = json.loads(bed.kubectl("get", "node", nodes[0], "-o", "json"))
    assert node["metadata"]["labels"]["nvidia.com/gpu.memory"] == "81559"
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"


def test_lost_gpu_leaves_capacity(bed: Bed, nodes: list[str]) -> None:
    bed.nodes.set_gpus(nodes[0], 7)
    status = json.loads(bed.kubectl("get", "node", nodes[0], "-o", "json"))["status"]
    assert status["allocatable"]["nvidia.com/gpu"] == "7"
    assert status["capacity"]["nvidia.com/gpu"] == "8"


def test_job_completes_on_a_simulated_node(bed: Bed, nodes: list[str], namespace: str) -> None:
    bed.kubectl("apply", "--namespace", namespace, "-f", "-", input=_job("quick", "500ms"))
    bed.kubectl("wait", "job/quick", "--for=condition=Complete", "--namespace", namespace)
    assert _pod(bed, namespace)["spec"]["nodeName"] in nodes


def test_silent_node_loss_and_return(bed: Bed, nodes: list[str], namespace: str) -> None:
    bed.kubectl("apply", "--namespace", namespace, "-f", "-", input=_job("long", "1h"))
    until(lambda: _phase(bed, namespace) == "Running", "pod running")
    home = _pod(bed, namespace)["spec"]["nodeName"]
    bed.nodes.lose(home)
    until(lambda: home in bed.nodes.not_ready(), f"{home} NotReady", 30)
    until(lambda: "deletionTimestamp" in _pod(bed, namespace)["metadata"], "pod being evicted", 30)
    bed.nodes.restore(home)
    until(lambda: home in bed.nodes.ready(), f"{home} Ready again", 30)


def _phase(bed: Bed, namespace: str) -> str:
    return bed.kubectl(
        "get", "pods", "--namespace", namespace, "-o", "jsonpath={.items[*].status.phase}"
    )


def _pod(bed: Bed, namespace: str) -> dict[str, Any]:
    listed = json.loads(bed.kubectl("get", "pods", "--namespace", namespace, "-o", "json"))
    pod: dict[str, Any] = listed["items"][0]
    return pod


def _job(name: str, delay: str) -> str:
    """kwok ends a pod after its annotated delay; the jitter bound would cap a longer one."""
    annotations = {
        "pod-complete.stage.kwok.x-k8s.io/delay": delay,
        "pod-complete.stage.kwok.x-k8s.io/jitter-delay": delay,
    }
    container = {
        "name": "work",
        "image": "overspill.dev/busybox:1",
        "resources": {"limits": {"nvidia.com/gpu": "8"}},
    }
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    spec = {"backoffLimit": 0, "template": template}
    return json.dumps(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
    )
