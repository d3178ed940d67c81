"""A service of three copies: on places of their own, through a loss and scaling, on one budget."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from overspill.testing.bed import Bed, KubectlError, until
from overspill.testing.stack import Stack

from .manifests import lasting, template
from .proofs import BEATS, SWIFT, assert_clean, hasten, patch, until_condition

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NODES = ("copies-1", "copies-2")
SHIPPED = {"suspectSeconds": 20, "lostSeconds": 40}
BUDGET = Decimal(30)


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for name in NODES:
        bed.nodes.add(name, gpus=1)
    with Stack.start(bed, tmp_path_factory.mktemp("copies")) as running:
        hasten(running)
        patch(
            running, "gpp/home", {"spec": {"nodeHealth": {"suspectSeconds": 3, "lostSeconds": 6}}}
        )
        yield running
        patch(running, "gpp/home", {"spec": {"nodeHealth": SHIPPED}})
    for name in NODES:
        bed.nodes.delete(name)


def service(replicas: int) -> dict[str, Any]:
    pod = template("sh", "-c", "sleep 900", **lasting(900))
    pod["spec"]["terminationGracePeriodSeconds"] = 2
    pod["spec"]["containers"][0]["env"] = [BEATS]
    return {
        "workload": "Inference",
        "replicas": replicas,
        "gpu": {"count": 1},
        "slaClassName": SWIFT,
        "budget": {"maxTotalUSD": f"{BUDGET}"},
        "placement": {"burst": "Allowed"},
        "template": pod,
    }


def copies(stack: Stack, namespace: str) -> dict[str, dict[str, Any]]:
    """The GPUJobs of the service, by name."""
    found = json.loads(stack.cluster.kubectl("get", "gpj", "-n", namespace, "-o", "json"))
    return {job["metadata"]["name"]: job for job in found["items"]}


def places(stack: Stack, namespace: str) -> dict[str, str]:
    """Where each copy runs."""
    found = {name: job.get("status", {}) for name, job in copies(stack, namespace).items()}
    return {n: s["placement"]["place"] for n, s in found.items() if s.get("phase") == "Running"}


def until_ready(stack: Stack, namespace: str, count: int) -> None:
    """Waits until so many copies run, told and in truth, and holds the ceiling against them."""

    def is_so() -> bool:
        told = stack.job(namespace, "chat").get("status", {}).get("copies", {})
        return told.get("ready") == count == len(places(stack, namespace))

    until(is_so, f"{count} copies", 90, 0.5)
    assert committed(stack, namespace) <= BUDGET


def committed(stack: Stack, namespace: str) -> Decimal:
    """What closed leases have cost, and what wanted ones may still cost at most."""
    total = Decimal(0)
    for lease in stack.leases(namespace):
        state = lease.get("status", {}).get("state", "Planned")
        if state in ("Opening", "Active", "Uncertain"):
            total += Decimal(lease["spec"]["maxTotalUSD"])
        else:
            total += Decimal(lease.get("status", {}).get("billedUSD", "0"))
    return total


def scale(stack: Stack, namespace: str, replicas: int) -> None:
    stack.cluster.kubectl("scale", "gpj/chat", "-n", namespace, f"--replicas={replicas}")


def test_three_copies_through_a_loss_and_scaling(stack: Stack, bed: Bed, namespace: str) -> None:
    stack.apply_job(namespace, "chat", service(3))
    until_ready(stack, namespace, 3)
    stood = places(stack, namespace)
    assert sorted(stood) == ["chat", "chat-1", "chat-2"]
    assert len(set(stood.values())) == 3, stood
    lost = next(name for name, place in stood.items() if place == "home/copies-2")
    bed.nodes.lose("copies-2")
    try:
        until_condition(stack, namespace, "chat", "Degraded", "CopiesMissing")
        until_ready(stack, namespace, 3)
        assert places(stack, namespace)[lost] != "home/copies-2"
    finally:
        bed.nodes.restore("copies-2")
    scale(stack, namespace, 1)
    until_ready(stack, namespace, 1)
    assert stack.job(namespace, "chat-1")["spec"]["suspend"]
    scale(stack, namespace, 2)
    until_ready(stack, namespace, 2)
    assert sorted(copies(stack, namespace)) == ["chat", "chat-1", "chat-2"]
    found = stack.cluster.kubectl("get", "--raw", scale_path(namespace))
    assert json.loads(found)["status"]["replicas"] == 2
    stack.cluster.kubectl("delete", "gpj", "chat", "-n", namespace)
    until(lambda: copies(stack, namespace) == {}, "the copies to go with their service", 60)
    stack.until_settled(namespace)
    assert_clean(stack, namespace)
    assert committed(stack, namespace) <= BUDGET


def scale_path(namespace: str) -> str:
    return f"/apis/overspill.dev/v1alpha1/namespaces/{namespace}/gpujobs/chat/scale"


def test_the_operator_may_write_no_gpujob_but_a_copy(stack: Stack, namespace: str) -> None:
    user = "--as=system:serviceaccount:overspill-system:overspill"
    stack.apply_job(namespace, "mine", {**service(1), "suspend": True})
    change = json.dumps({"spec": {"suspend": False}})
    for command in (
        ("patch", "gpj/mine", "-n", namespace, user, "--type=merge", "-p", change),
        ("create", "-n", namespace, user, "-f", "-"),
    ):
        body = {
            "apiVersion": "overspill.dev/v1alpha1",
            "kind": "GPUJob",
            "metadata": {"name": "theirs", "namespace": namespace},
            "spec": service(1),
        }
        with pytest.raises(KubectlError, match="copies of a service"):
            stack.cluster.kubectl(*command, input=json.dumps(body))
