"""A pool that an autoscaler grows, on the real control plane; the test plays the autoscaler.

As Karpenter does, it adds a node when a pod that demands the pool's labels cannot be scheduled.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.stack import Stack, StackOptions

from .manifests import lasting, template
from .proofs import SWIFT, hasten, lease_of, sla_class, until_complete

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

POOL, LABEL = "spot-l4", "karpenter.sh/nodepool"
BOOT_S = 6
CATALOG = """\
instance_type,gpu_name,gpu_count,region,usd_per_hour,spot_usd_per_hour
g6.xlarge,L4,1,us-east-1,0.8048,0.3219
"""
ACCOUNT = {
    "apiVersion": "overspill.dev/v1alpha1",
    "kind": "GPUProvider",
    "metadata": {"name": POOL},
    "spec": {
        "type": "InCluster",
        "capacityType": "Spot",
        "trustTier": "Own",
        "regions": ["us-east-1"],
        "priors": {"coldStartSeconds": 1},
        "pool": {
            "nodeSelector": {LABEL: "gpu-l4"},
            "gpuModel": "l4",
            "maxNodes": 2,
            "bootSeconds": BOOT_S,
            "instanceType": "g6.xlarge",
        },
    },
}


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    workdir = tmp_path_factory.mktemp("pool")
    (workdir / "aws.csv").write_text(CATALOG)
    environment = {"OVERSPILL_PRICE_CATALOG": str(workdir / "aws.csv")}
    with Stack.start(bed, workdir, StackOptions(environment=environment)) as running:
        hasten(running)
        sla_class(running, SWIFT, capacityTypes=["Own", "Spot", "OnDemand"])
        running.apply(ACCOUNT)
        yield running
        bed.kubectl("delete", "gpp", POOL)


@contextmanager
def autoscaler(bed: Bed, namespace: str) -> Iterator[list[str]]:
    """Adds a node for each pod of the namespace that waits for the pool; the nodes it added."""
    added: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.5):
            if len(added) < len(waiting(bed, namespace)):
                labels = {LABEL: "gpu-l4", "topology.kubernetes.io/region": "us-east-1"}
                name = f"grown-{namespace[-8:]}-{len(added)}"
                bed.nodes.add(name, 1, product="NVIDIA-L4", memory_mib=23034, labels=labels)
                added.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield added
    finally:
        over.set()
        thread.join()
        for name in added:
            bed.nodes.delete(name)


def waiting(bed: Bed, namespace: str) -> list[str]:
    """Pods that cannot be scheduled and demand the pool's labels."""
    pods = json.loads(bed.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    return [
        pod["metadata"]["name"]
        for pod in pods
        if LABEL in json.dumps(pod["spec"].get("affinity", {}))
        and any(c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions", []))
    ]


def work(**spec: Any) -> dict[str, Any]:
    return {
        "workload": "Batch",
        "gpu": {"count": 1, "models": ["l4"]},
        "slaClassName": SWIFT,
        "deadline": {"workSeconds": 60},
        "template": template("sh", "-c", "sleep 3", **lasting(3)),
        **spec,
    }


def test_a_pool_at_zero_nodes_is_sold_grown_and_paid_by_the_price_list(
    stack: Stack, bed: Bed, namespace: str
) -> None:
    with autoscaler(bed, namespace) as added:
        stack.apply_job(namespace, "grows", work())
        until_complete(stack, namespace)
        assert len(added) == 1
        lease = lease_of(stack, namespace, "grows")
        offer = lease["spec"]["offer"]
        assert (lease["spec"]["provider"], offer["offerID"]) == (POOL, f"{POOL}-new-1")
        assert offer["capacityType"] == "Spot"
        assert Decimal(offer["pricePerHourUSD"]) == Decimal("0.3219")
        assert lease["status"]["closing"]["reason"] == "Finished"
        cost = stack.job(namespace, "grows")["status"]["cost"]
        # Savings are told against the list's on-demand price of the same GPU.
        assert Decimal(cost["referenceUSD"]) > Decimal(cost["spentUSD"])


def test_a_node_that_never_comes_is_waited_for_as_long_as_it_may_take_to_boot(
    stack: Stack, namespace: str
) -> None:
    gpu = {"count": 1, "models": ["l4", "h100"]}
    budget = {"maxTotalUSD": "20"}
    stack.apply_job(namespace, "waits", work(gpu=gpu, budget=budget))
    until(lambda: len(stack.leases(namespace)) >= 2, "the second attempt", 120)
    until_complete(stack, namespace)
    first, second = (lease_of(stack, namespace, "waits", n) for n in (1, 2))
    assert (first["spec"]["provider"], second["spec"]["provider"]) == (POOL, "akash")
    assert first["status"]["closing"]["reason"] == "Withdrawn"
    patience_s = BOOT_S + 5  # of the class swift
    waited = _time(first["status"]["closing"]["requestedTime"]) - _time(
        first["metadata"]["creationTimestamp"]
    )
    assert waited.total_seconds() >= patience_s - 1, "both times are whole seconds"
    assert first["status"]["closedTime"] <= second["metadata"]["creationTimestamp"]


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))
