"""A home node dies without a word: its job goes on elsewhere, once. And the way home again."""

import json
import logging
import time
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
    patch,
    sla_class,
    stays,
    until_complete,
    until_condition,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

log = logging.getLogger(__name__)
SUSPECT_S, LOST_S = 5, 10
SHIPPED = {"suspectSeconds": 20, "lostSeconds": 40}
EAGER = "eager"
"""A class whose jobs come home soon."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for name in ("loss-1", "loss-2"):
        bed.nodes.add(name, gpus=1)
    with Stack.start(bed, tmp_path_factory.mktemp("loss")) as running:
        hasten(running)
        home = {"policy": "WhenCheaper", "minSavingPercent": 1, "cooldownSeconds": 3}
        sla_class(running, EAGER, failback=home)
        quick = {"suspectSeconds": SUSPECT_S, "lostSeconds": LOST_S}
        patch(running, "gpp/home", {"spec": {"nodeHealth": quick}})
        yield running
        patch(running, "gpp/home", {"spec": {"nodeHealth": SHIPPED}})
    for name in ("loss-1", "loss-2"):
        bed.nodes.delete(name)


def anywhere(script: str, home_s: int, **spec: Any) -> dict[str, Any]:
    """A job that runs `home_s` seconds on a simulated node, and a real script on a market."""
    pod = template("sh", "-c", script, **lasting(home_s))
    pod["spec"]["containers"][0]["env"] = [BEATS]
    return {
        "workload": "Batch",
        "gpu": {"count": 1},
        "slaClassName": SWIFT,
        "budget": {"maxTotalUSD": "50"},
        "deadline": {"workSeconds": 60},
        "placement": {"burst": "Allowed"},
        "template": pod,
        **spec,
    }


def node_of(stack: Stack, namespace: str, name: str) -> str:
    """The home node the job runs on."""
    return str(stack.job(namespace, name)["status"]["placement"]["place"].removeprefix("home/"))


def pods_on(stack: Stack, namespace: str, node: str) -> list[str]:
    """Names of the namespace's pods on a node."""
    where = f"spec.nodeName={node}"
    printed = stack.cluster.kubectl(
        "get", "pods", "-n", namespace, "--field-selector", where, "-o", "name"
    )
    return printed.split()


def test_a_job_on_a_silent_node_goes_on_at_another_home_node(
    stack: Stack, bed: Bed, namespace: str
) -> None:
    stack.apply_job(namespace, "moves", anywhere("true", 12, placement={"burst": "Never"}))
    stack.until_phase(namespace, "moves", "Running")
    lost = node_of(stack, namespace, "moves")
    bed.nodes.lose(lost)
    silent = time.monotonic()
    try:
        told = until_condition(stack, namespace, "moves", "NodeLost", "NodeHeartbeatStopped")
        took = time.monotonic() - silent
        assert lost in told
        assert LOST_S - 2 <= took <= LOST_S + 8
        log.info("node_loss_seen_s %s", round(took, 1))
        stack.until_phase(namespace, "moves", "Complete")
        status = stack.job(namespace, "moves")["status"]
        assert node_of(stack, namespace, "moves") != lost
        assert (status["moves"], status["failures"]) == (1, 0)
        assert [a["reason"] for a in status["attempts"]] == ["Lost", "Finished"]
    finally:
        bed.nodes.restore(lost)
    stack.until_settled(namespace)
    until(lambda: pods_on(stack, namespace, lost) == [], "the old pod to go", 60)
    assert stays(lambda: stack.phase(namespace, "moves") == "Complete", 3)
    assert_one_at_a_time(stack, namespace, "moves")
    assert len(stack.leases(namespace)) == 2
    assert_charged_until_lost(stack, namespace, "moves", took)


def assert_charged_until_lost(stack: Stack, namespace: str, job: str, took: float) -> None:
    """The time after the loss is nobody's: it is charged once, at the new place."""
    first = lease_of(stack, namespace, job)["status"]
    rate, usd = float(first["pricePerHourUSD"]), float(first["billedUSD"])
    assert 0 < usd < rate * (took + 60) / 3600
    total = sum(float(x["status"]["billedUSD"]) for x in stack.leases(namespace))
    spent = float(stack.job(namespace, job)["status"]["cost"]["spentUSD"])
    assert spent == pytest.approx(total, abs=0.005)


def test_a_job_whose_only_node_is_lost_goes_out_and_the_node_comes_back(
    stack: Stack, bed: Bed, namespace: str
) -> None:
    bed.nodes.add(
        "loss-l40s",
        gpus=1,
        product="NVIDIA-L40S",
        memory_mib=46068,
        family="ada-lovelace",
        compute=(8, 9),
    )
    spec = anywhere("sleep 5", 600, gpu={"count": 1, "models": ["l40s"]})
    try:
        stack.apply_job(namespace, "leaves", spec)
        stack.until_phase(namespace, "leaves", "Running")
        assert node_of(stack, namespace, "leaves") == "loss-l40s"
        bed.nodes.lose("loss-l40s")
        until(lambda: attempt_states(stack, namespace)[1:] == ["Active"], "the market", 60)
        bed.nodes.restore("loss-l40s")
        until_complete(stack, namespace)
        last = lease_of(stack, namespace, "leaves", 2)
        assert last["spec"]["provider"] == "akash"
        assert_one_at_a_time(stack, namespace, "leaves")
        assert_clean(stack, namespace)
        assert pods_on(stack, namespace, "loss-l40s") == []
    finally:
        bed.nodes.delete("loss-l40s")


def attempt_states(stack: Stack, namespace: str) -> list[str]:
    """The states of the leases, oldest attempt first."""
    leases = sorted(stack.leases(namespace), key=lambda lease: lease["spec"]["attempt"])
    return [lease.get("status", {}).get("state", "Planned") for lease in leases]


def test_a_job_outside_comes_home_when_there_is_room(
    stack: Stack, bed: Bed, namespace: str
) -> None:
    wanted = {"count": 1, "models": ["v100-32gb", "v100"]}
    spec = anywhere("sleep 600", 8, gpu=wanted, slaClassName=EAGER, deadline={"workSeconds": 36000})
    patch(stack, "gpp/home", {"spec": {"ratesUSD": {"v100-32gb": "0.01", "v100": "0.01"}}})
    stack.apply_job(namespace, "back", spec)
    stack.until_phase(namespace, "back", "Running")
    assert stack.job(namespace, "back")["status"]["placement"]["provider"] == "akash"
    began = time.monotonic()
    bed.nodes.add(
        "loss-v100",
        gpus=1,
        product="Tesla-V100-SXM2-32GB",
        memory_mib=32768,
        family="volta",
        compute=(7, 0),
    )
    try:
        until(lambda: len(stack.leases(namespace)) == 2, "the way home", 60)
        log.info("failback_decided_s %s", round(time.monotonic() - began, 1))
        until_complete(stack, namespace)
        outside, home = lease_of(stack, namespace, "back"), lease_of(stack, namespace, "back", 2)
        assert outside["status"]["closing"]["reason"] == "Superseded"
        assert home["spec"]["home"]
        assert_clean(stack, namespace)
        events = json.loads(stack.cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))
        assert "RepatriationPays" in {event["reason"] for event in events["items"]}
    finally:
        bed.nodes.delete("loss-v100")
