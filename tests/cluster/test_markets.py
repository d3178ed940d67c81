"""One job on each container market in turn, through the operator, on a real API server."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import Bed, until
from overspill.testing.operator import OperatorProcess
from overspill.testing.sandbox import Sandbox
from overspill.testing.stack import NAMESPACE, Stack, report_urls

from .manifests import burst_only

pytestmark = pytest.mark.cluster

MARKETS = {"vast": "Vast", "runpod": "RunPod"}
FAST = {
    "listLagSeconds": "1",
    "quarantineSeconds": "2",
    "requestsPerSecond": "20",
    "offersEverySeconds": "10",
}


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    workdir: Path = tmp_path_factory.mktemp("markets")
    chart.install(bed, chart.ChartOptions(values={"rbac.providerSecrets": list(MARKETS)}))
    options = SandboxOptions(allow_exec=True, markets=tuple(MARKETS))
    with Sandbox.start(options, log=workdir / "sandbox.log") as market:
        for name, kind in MARKETS.items():
            for manifest in _account(name, kind, market):
                bed.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(manifest))
        token = bed.token_kubeconfig(NAMESPACE, "overspill")
        operator = OperatorProcess.start(token, workdir, report_urls(market))
        with Stack(bed, market, operator) as running:
            operator.wait_ready()
            yield running


@pytest.mark.parametrize("market", MARKETS)
def test_a_burst_runs_to_its_end_and_is_paid_for_once(
    stack: Stack, namespace: str, market: str
) -> None:
    script = "echo says $OVERSPILL_JOB; nvidia-smi -L; sleep 2"
    stack.apply_job(namespace, "burst", _on(market, "sh", "-c", script))
    stack.until_phase(namespace, "burst", "Complete", timeout_s=120)
    stack.until_settled(namespace)
    lease = next(x for x in stack.leases(namespace) if x["status"].get("activeSinceTime"))
    key = lease["metadata"]["name"]
    assert lease["spec"]["provider"] == market
    assert any(f"says {namespace}/burst" in text for text in stack.market.logs(key).values())
    summary = stack.market.summary()
    assert (summary["doubles"], summary["double_creates"]) == ({}, {})
    assert key not in summary["held"].values()
    assert summary["by_key"][key]["creates_received"] == 1
    # our books say when it was ours; the market bills from when its container runs
    apart = Decimal(lease["status"]["billedUSD"]) - Decimal(summary["by_key"][key]["usd"])
    assert abs(apart) < Decimal("0.01")


@pytest.mark.parametrize("market", MARKETS)
def test_an_answer_that_was_lost_is_found_again_and_nothing_is_doubled(
    stack: Stack, namespace: str, market: str
) -> None:
    path = "/api/v0/asks/.*" if market == "vast" else "/v2/pods"
    method = "PUT" if market == "vast" else "POST"
    stack.market.fault("drop_response_after_commit", method=method, path=path, count=1)
    stack.apply_job(namespace, "lost", _on(market, "sh", "-c", "sleep 1"))
    stack.until_phase(namespace, "lost", "Complete", timeout_s=120)
    stack.until_settled(namespace)
    summary = stack.market.summary()
    keys = {lease["metadata"]["name"] for lease in stack.leases(namespace)}
    made = [summary["by_key"][key] for key in keys if summary["by_key"][key]["created"]]
    assert [(entry["created"], entry["creates_received"]) for entry in made] == [(1, 1)]
    assert (summary["doubles"], summary["double_creates"]) == ({}, {})
    assert not keys & set(summary["held"].values())


@pytest.mark.parametrize("market", MARKETS)
def test_a_lease_the_host_ends_is_lost_and_the_job_runs_elsewhere(
    stack: Stack, namespace: str, market: str
) -> None:
    stack.apply_job(namespace, "moved", _on(market, "sh", "-c", "sleep 8"))
    stack.until_phase(namespace, "moved", "Running", timeout_s=60)
    # an offer may have been taken under its listing: other leases were refused before this one
    (first,) = _active(stack, namespace)
    stack.market.end_lease(first)
    until(lambda: _active(stack, namespace) not in ([], [first]), "another lease", 60)
    stack.until_phase(namespace, "moved", "Complete", timeout_s=120)
    stack.until_settled(namespace)
    assert stack.market.summary()["doubles"] == {}
    held = stack.market.summary()["held"].values()
    assert not {lease["metadata"]["name"] for lease in stack.leases(namespace)} & set(held)


def _active(stack: Stack, namespace: str) -> list[str]:
    leases = stack.leases(namespace)
    return [x["metadata"]["name"] for x in leases if x.get("status", {}).get("state") == "Active"]


def _on(market: str, *command: str) -> dict[str, Any]:
    placement = {"burst": "Only", "providers": [market]}
    return burst_only(*command, placement=placement)


def _account(name: str, kind: str, market: Sandbox) -> tuple[dict[str, Any], dict[str, Any]]:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": {"apiKey": market.api_key},
    }
    provider = {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "GPUProvider",
        "metadata": {"name": name},
        "spec": {
            "type": kind,
            "endpoint": market.urls[name],
            "credentialsSecretRef": {"namespace": NAMESPACE, "name": name},
            "capacityType": "OnDemand",
            "trustTier": "Secure",
            "config": FAST,
        },
    }
    return secret, provider
