"""The whole path on a real API server: home, burst, failure, refusal, suspension, deletion."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from overspill.cli.cluster import connect
from overspill.cli.logs import Wanted, logs
from overspill.cli.options import Target
from overspill.testing.bed import Bed, until
from overspill.testing.stack import Stack

from .manifests import at_home, burst_only, template

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    workdir: Path = tmp_path_factory.mktemp("path")
    bed.nodes.add("path-1", gpus=4)
    with Stack.start(bed, workdir) as running:
        yield running
    bed.nodes.delete("path-1")


def test_a_job_runs_at_home_and_its_cost_is_known(stack: Stack, namespace: str) -> None:
    stack.apply_job(namespace, "home", at_home(5))
    stack.until_phase(namespace, "home", "Complete")
    status = stack.job(namespace, "home")["status"]
    assert status["placement"]["place"] == "home/path-1"
    assert status["attempts"][0]["exitCode"] == 0
    assert float(status["cost"]["spentUSD"]) > 0


def test_a_burst_runs_once_although_the_market_restarts_what_exits(
    stack: Stack, namespace: str
) -> None:
    stack.apply_job(namespace, "burst", burst_only("sh", "-c", "echo ran; sleep 1"))
    stack.until_phase(namespace, "burst", "Complete")
    stack.until_settled(namespace)
    lease = stack.leases(namespace)[0]
    summary = stack.market.summary()
    assert summary["doubles"] == {}
    assert lease["metadata"]["name"] not in summary["held"].values()
    assert float(lease["status"]["billedUSD"]) == pytest.approx(
        float(summary["by_key"][lease["metadata"]["name"]]["usd"])
    )


def test_a_failing_command_fails_the_job_after_its_retries(stack: Stack, namespace: str) -> None:
    stack.apply_job(namespace, "fails", burst_only("sh", "-c", "exit 3", backoffLimit=1))
    stack.until_phase(namespace, "fails", "Failed", timeout_s=120)
    failed = stack.condition(namespace, "fails", "Failed")
    assert failed["reason"] == "BackoffLimitExceeded"
    assert "exit code 3" in failed["message"]


REFUSALS = {
    "a GPU nobody has": ({"gpu": {"count": 1, "models": ["b300-nobody"]}}, "NoSuchGPU"),
    "a cap below any price": (
        {"budget": {"maxTotalUSD": "20", "maxHourlyUSD": "0.01"}},
        "PriceAboveCap",
    ),
    "a deadline in the past": (
        {"deadline": {"finishByTime": "2020-01-01T00:00:00Z", "workSeconds": 60}},
        "DeadlinePassed",
    ),
    "an entrypoint nobody can know": (
        {"template": {"spec": {"containers": [{"name": "main", "image": "busybox:1"}]}}},
        "EntrypointUnknown",
    ),
}


@pytest.mark.parametrize("case", REFUSALS, ids=str)
def test_what_is_impossible_is_refused_with_who_must_do_what(
    stack: Stack, namespace: str, case: str
) -> None:
    spec, reason = REFUSALS[case]
    stack.apply_job(namespace, "no", burst_only("true", **spec))
    stack.until_phase(namespace, "no", "Refused", "Waiting")
    until(lambda: stack.condition(namespace, "no", "Placed")["reason"] == reason, reason, 20)
    assert len(stack.condition(namespace, "no", "Placed")["message"]) > 20
    assert stack.leases(namespace) == []


def test_a_volume_keeps_a_job_at_home_with_the_field_named(stack: Stack, namespace: str) -> None:
    pod = template("true")
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "x"}}
    pod["spec"]["volumes"] = [claim]
    stack.apply_job(namespace, "pvc", burst_only("true", template=pod))
    until(
        lambda: stack.condition(namespace, "pvc", "NotBurstable").get("status") == "True",
        "NotBurstable",
        30,
    )
    assert "volumes" in stack.condition(namespace, "pvc", "NotBurstable")["message"]
    assert stack.leases(namespace) == []


def test_a_missing_secret_is_named(stack: Stack, namespace: str) -> None:
    pod = template("true")
    reference = {"secretKeyRef": {"name": "absent", "key": "token"}}
    pod["spec"]["containers"][0]["env"] = [{"name": "TOKEN", "valueFrom": reference}]
    stack.apply_job(namespace, "secret", burst_only("true", template=pod))
    until(
        lambda: stack.condition(namespace, "secret", "Stalled").get("status") == "True",
        "Stalled",
        30,
    )
    assert "absent" in stack.condition(namespace, "secret", "Stalled")["message"]
    assert stack.leases(namespace) == []


def test_suspending_closes_the_lease_and_resuming_opens_another(
    stack: Stack, namespace: str
) -> None:
    stack.apply_job(namespace, "pause", burst_only("sleep", "600"))
    stack.until_phase(namespace, "pause", "Running")
    stack.cluster.kubectl(
        "patch", "gpj", "pause", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}'
    )
    stack.until_phase(namespace, "pause", "Suspended", timeout_s=60)
    stack.until_settled(namespace)
    stack.cluster.kubectl(
        "patch", "gpj", "pause", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":false}}'
    )
    stack.until_phase(namespace, "pause", "Running")
    assert len(stack.leases(namespace)) == 2


def test_the_log_of_a_rented_job_comes_from_the_host_that_runs_it(
    stack: Stack, namespace: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    stack.apply_job(namespace, "talks", burst_only("sh", "-c", "echo one; echo two; sleep 600"))
    stack.until_phase(namespace, "talks", "Running")
    cluster = connect(Target(str(stack.cluster.kubeconfig), None, namespace))

    def printed() -> bytes:
        assert logs(cluster, Wanted("talks", tail=2)) == 0
        return capsysbinary.readouterr().out

    until(lambda: printed() == b"one\ntwo\n", "both lines", 20)


def test_deleting_a_job_closes_what_it_rents(stack: Stack, namespace: str) -> None:
    stack.apply_job(namespace, "gone", burst_only("sleep", "600"))
    stack.until_phase(namespace, "gone", "Running")
    stack.cluster.kubectl("delete", "gpj", "gone", "-n", namespace)
    stack.until_settled(namespace)
    key = stack.leases(namespace)[0]["metadata"]["name"]
    assert key not in stack.market.summary()["held"].values()


def test_a_namespace_that_is_deleted_leaves_nothing_rented(stack: Stack) -> None:
    with stack.cluster.namespace("doomed") as doomed:
        stack.apply_job(doomed, "rented", burst_only("sleep", "600"))
        stack.until_phase(doomed, "rented", "Running")
        key = stack.leases(doomed)[0]["metadata"]["name"]
    until(lambda: key not in stack.market.summary()["held"].values(), "the lease to be closed", 90)
    until(lambda: doomed not in stack.cluster.kubectl("get", "namespaces"), "the end", 60)
