"""A job at home that promises nothing leaves it to one that would have to rent, and comes back."""

from collections.abc import Iterator

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.stack import Stack

from .manifests import lasting, template
from .proofs import assert_clean, hasten, lease_of, patch, sla_class, until_complete

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NODE = "room-1"


@pytest.fixture
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    bed.nodes.add(NODE, gpus=1)
    try:
        with Stack.start(bed, tmp_path_factory.mktemp("room")) as running:
            hasten(running)
            patch(running, "gpp/home", {"spec": {"ratesUSD": {"h100": "0.01"}}})
            calm = {"policy": "WhenCheaper", "cooldownSeconds": 0}
            sla_class(running, "modest", capacityTypes=["Own"], priority=-10, failback=calm)
            sla_class(running, "strict", priority=10)
            yield running
    finally:
        bed.nodes.delete(NODE)


def test_room_is_made_at_home_instead_of_renting(stack: Stack, namespace: str) -> None:
    common = {
        "workload": "Training",
        "gpu": {"count": 1, "models": ["h100"]},
        "budget": {"maxTotalUSD": "90"},
    }
    modest = {
        "slaClassName": "modest",
        "deadline": {"workSeconds": 3600},
        "checkpoint": {"uri": f"s3://{namespace}/modest", "intervalSeconds": 600},
        "template": template("sleep", "25", **lasting(25)),
    }
    strict = {
        "slaClassName": "strict",
        "deadline": {"workSeconds": 3600, "finishWithinSeconds": 14400},
        "template": template("sleep", "3", **lasting(3)),
    }
    stack.apply_job(namespace, "modest", {**common, **modest})
    stack.until_phase(namespace, "modest", "Running")
    stack.apply_job(namespace, "strict", {**common, **strict})
    until(lambda: len(stack.leases(namespace)) == 2, "the room to be taken", 60)
    left = lease_of(stack, namespace, "modest")
    assert left["status"]["closing"]["reason"] == "Preempted"
    until_complete(stack, namespace)
    assert {lease["spec"]["provider"] for lease in stack.leases(namespace)} == {"home"}
    taken, again = (lease_of(stack, namespace, *who) for who in (("strict", 1), ("modest", 2)))
    assert taken["metadata"]["creationTimestamp"] >= left["status"]["closing"]["requestedTime"]
    assert taken["metadata"]["creationTimestamp"] <= again["metadata"]["creationTimestamp"]
    assert stack.job(namespace, "modest")["status"]["moves"] == 0
    assert_clean(stack, namespace)
