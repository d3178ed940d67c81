"""Attained against promised on the real control plane: kept, down, and a restart that is no break.

The operator is killed and started again in between; what it had seen of places outlives that too.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.stack import Stack, StackOptions

from .manifests import at_home, lasting, template
from .proofs import hasten, patch, sla_class, until_leads

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

CLASS = "promised"
NODES = ("promise-1", "promise-2")
OFTEN = {"OVERSPILL_SLA_PERIOD_S": "1", "OVERSPILL_PAST_PERIOD_S": "1"}
QUICK = {"suspectSeconds": 3, "lostSeconds": 6}
SOON = {"coldStartSeconds": 1}
SHIPPED = {"suspectSeconds": 20, "lostSeconds": 40}


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for name in NODES:
        bed.nodes.add(name, gpus=2)
    with Stack.start(
        bed, tmp_path_factory.mktemp("promises"), StackOptions(environment=OFTEN)
    ) as running:
        hasten(running)
        sla_class(running, CLASS, capacityTypes=["Own"], availabilityTarget="0.9")
        patch(running, "gpp/home", {"spec": {"nodeHealth": QUICK, "priors": SOON}})
        yield running
        patch(running, "gpp/home", {"spec": {"nodeHealth": SHIPPED, "priors": None}})
    bed.kubectl("delete", "slac", CLASS)
    for name in NODES:
        bed.nodes.delete(name)


def service() -> dict[str, Any]:
    return {
        "workload": "Inference",
        "slaClassName": CLASS,
        "gpu": {"count": 1},
        "placement": {"burst": "Never"},
        "template": template("serve", **lasting(3600)),
    }


def sla(stack: Stack, namespace: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.job(namespace, name)["status"].get("sla", {})
    return found


def attained(stack: Stack) -> dict[str, Any]:
    found = json.loads(stack.cluster.kubectl("get", "slac", CLASS, "-o", "json"))
    told: dict[str, Any] = found.get("status", {}).get("attained", {})
    return told


def kept_past(bed: Bed) -> str:
    path = "jsonpath={.binaryData.past}"
    return bed.kubectl("get", "cm", "overspill-past", "-n", "overspill-system", "-o", path)


def test_what_was_promised_is_told_and_a_restart_changes_nothing(
    stack: Stack, bed: Bed, namespace: str
) -> None:
    due = at_home(2, slaClassName=CLASS, deadline={"finishWithinSeconds": 600, "workSeconds": 5})
    late = at_home(40, slaClassName=CLASS, deadline={"finishWithinSeconds": 30, "workSeconds": 1})
    stack.apply_job(namespace, "serves", service())
    stack.apply_job(namespace, "due", due)
    stack.apply_job(namespace, "late", late)
    stack.until_phase(namespace, "due", "Complete")
    assert sla(stack, namespace, "due")["outcome"] == "Kept"
    assert sla(stack, namespace, "due")["lateSeconds"] < -500
    stack.until_phase(namespace, "serves", "Running")
    before = stack.job(namespace, "serves")
    assert before["status"]["sla"]["availability"] == "1.00000"

    until(lambda: kept_past(bed), "the past to be kept", 30)
    stack.operator.kill()
    stack.operator.restart()
    until_leads(stack.operator)
    until(lambda: "hours was read" in stack.operator.log.read_text(), "the past to be read", 30)
    until(lambda: attained(stack).get("promisesBroken") == 1, "the class to count", 90)
    counted = attained(stack)
    assert (counted["promisesMade"], counted["promisesKept"]) == (2, 1)
    stack.until_phase(namespace, "late", "Complete")
    assert sla(stack, namespace, "late")["outcome"] == "Broken"
    assert sla(stack, namespace, "late")["lateSeconds"] > 0
    after = stack.job(namespace, "serves")
    assert after["status"]["sla"]["service"] == before["status"]["sla"]["service"]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    lost = after["status"]["placement"]["place"].removeprefix("home/")
    bed.nodes.lose(lost)
    try:
        until(lambda: breaks(stack, namespace) == ["Down"], "the break to be told", 60)
        stack.until_phase(namespace, "serves", "Running")
    finally:
        bed.nodes.restore(lost)
    assert breaks(stack, namespace) == ["Down"]
    told = sla(stack, namespace, "serves")
    assert told["service"]["downSeconds"] == told["service"]["breaks"][0]["seconds"]
    until(lambda: attained(stack).get("downSeconds", 0) > 0, "the class to have it", 60)
    assert "overspill_sla_availability" in stack.operator.metrics_text()


def breaks(stack: Stack, namespace: str) -> list[str]:
    """Standings of the service's breaks so far."""
    service = sla(stack, namespace, "serves").get("service", {})
    return [found["standing"] for found in service.get("breaks", [])]
