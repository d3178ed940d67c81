"""A child that stays Pending is withdrawn first and only then placed elsewhere, never both."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.stack import Stack

from .manifests import lasting, template
from .proofs import (
    BEATS,
    SWIFT,
    assert_clean,
    assert_one_at_a_time,
    hasten,
    lease_of,
    until_complete,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NODE = "pending-1"
HOMELESS = [{"key": "full", "value": "yes", "effect": "NoSchedule"}]


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(bed, tmp_path_factory.mktemp("pending")) as running:
        hasten(running)
        yield running


@pytest.fixture
def node(bed: Bed) -> Iterator[str]:
    yield bed.nodes.add(NODE, gpus=1)
    bed.nodes.delete(NODE)


def either(script: str) -> dict[str, Any]:
    """A job that home would take, and a market too."""
    pod = template("sh", "-c", script, **lasting(3))
    pod["spec"]["containers"][0]["env"] = [BEATS]
    return {
        "workload": "Batch",
        "gpu": {"count": 1},
        "slaClassName": SWIFT,
        "budget": {"maxTotalUSD": "20"},
        "deadline": {"workSeconds": 60},
        "template": pod,
    }


def children(stack: Stack, namespace: str) -> list[str]:
    """Names of the children at home."""
    return stack.cluster.kubectl("get", "jobs,pods", "-n", namespace, "-o", "name").split()


def test_a_node_that_is_full_after_all_means_withdrawn_then_rented(
    stack: Stack, bed: Bed, namespace: str, node: str
) -> None:
    bed.scheduler.kill()  # a new one has seen every node before it looks at a pod
    try:
        stack.apply_job(namespace, "waits", either("sleep 3"))
        until(lambda: children(stack, namespace), "the child", 60)
        taint = json.dumps({"spec": {"taints": HOMELESS}})
        bed.kubectl("patch", "node", node, "--type=merge", "-p", taint)
    finally:
        bed.scheduler.start()
    until(lambda: len(stack.leases(namespace)) == 2, "the second attempt", 90)
    assert_first_is_gone(stack, namespace)
    until_complete(stack, namespace)
    assert lease_of(stack, namespace, "waits", 2)["spec"]["provider"] == "akash"
    assert stack.job(namespace, "waits")["status"]["failures"] == 0
    assert_one_at_a_time(stack, namespace, "waits")
    assert_clean(stack, namespace)


def test_a_scheduler_that_sleeps_cannot_bind_what_was_withdrawn(
    stack: Stack, bed: Bed, namespace: str, node: str
) -> None:
    bed.scheduler.pause()
    try:
        stack.apply_job(namespace, "late", either("sleep 3"))
        until(lambda: len(stack.leases(namespace)) == 2, "the second attempt", 90)
        assert_first_is_gone(stack, namespace)
    finally:
        bed.scheduler.resume()
    until_complete(stack, namespace)
    assert_one_at_a_time(stack, namespace, "late")
    assert_clean(stack, namespace)


def assert_first_is_gone(stack: Stack, namespace: str) -> None:
    """Nothing of the first attempt was left when the second was recorded."""
    first, second = (lease_of(stack, namespace, name_of(stack, namespace), n) for n in (1, 2))
    assert first["status"]["closing"]["reason"] == "Withdrawn"
    assert first["status"]["closedTime"] <= second["metadata"]["creationTimestamp"]
    key = first["metadata"]["name"]
    assert not [child for child in children(stack, namespace) if key in child]


def name_of(stack: Stack, namespace: str) -> str:
    """The one job of the namespace."""
    found = stack.cluster.kubectl("get", "gpj", "-n", namespace, "-o", "name")
    return found.strip().rpartition("/")[2]
