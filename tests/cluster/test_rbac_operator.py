"""The real operator, under the chart's ServiceAccount: it is refused nothing that it asks for.

A bed of its own keeps the audit log, in which every request and its answer stands.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions, until
from overspill.testing.operator import OperatorProcess

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
WHO = "system:serviceaccount:overspill-system:overspill"
LIFE = {
    ("gpujobs", "delete"),
    ("gpujobs/status", "patch"),
    ("gpuleases", "create"),
    ("gpuleases", "patch"),
    ("gpuleases", "delete"),
    ("gpuleases/status", "patch"),
    ("gpuproviders", "patch"),
    ("gpuproviders/status", "patch"),
    ("jobs", "create"),
    ("jobs", "delete"),
    ("services", "create"),
    ("events", "create"),
    ("leases", "patch"),
}
"""Writes that the three jobs below cannot end without: the test sees them all happen."""
RUNS_FOR = "pod-complete.stage.kwok.x-k8s.io"


@pytest.fixture(scope="module")
def audited() -> Iterator[Bed]:
    with Bed.start(BedOptions(real_node="no", audit=True)) as bed:
        chart.install(bed)
        for name in ("gpu-1", "gpu-2"):
            bed.nodes.add(name)
        yield bed


@pytest.fixture(scope="module")
def operator(audited: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    kubeconfig = audited.token_kubeconfig("overspill-system", "overspill")
    # The ledger is forgotten soon, so that forgetting is among what the operator does here.
    settings = {"OVERSPILL_RETENTION_S": "3"}
    process = OperatorProcess.start(kubeconfig, tmp_path_factory.mktemp("operator"), settings)
    process.wait_ready()
    yield process
    process.stop()


def job(name: str, seconds: int = 1, **spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((SAMPLES / "smallest.yaml").read_text())
    body["metadata"] = {"name": name}
    body["spec"] |= spec
    annotations = {f"{RUNS_FOR}/delay": f"{seconds}s", f"{RUNS_FOR}/jitter-delay": f"{seconds}s"}
    body["spec"]["template"]["metadata"] = {"annotations": annotations}
    return body


def requests(bed: Bed) -> list[dict[str, Any]]:
    """What the account asked for."""
    entries = map(json.loads, bed.audit_log.read_text().splitlines())
    return [e for e in entries if e["user"]["username"] == WHO and e["stage"] != "RequestReceived"]


def right(entry: dict[str, Any]) -> tuple[str, str]:
    ref = entry.get("objectRef") or {}
    subresource = f"/{ref['subresource']}" if ref.get("subresource") else ""
    return ref.get("resource", entry["requestURI"]) + subresource, entry["verb"]


def done(bed: Bed) -> set[tuple[str, str]]:
    return {right(e) for e in requests(bed) if e["responseStatus"].get("code", 0) < 300}


def test_a_jobs_whole_life_at_home_asks_for_nothing_that_is_refused(
    audited: Bed, operator: OperatorProcess
) -> None:
    with audited.namespace() as namespace:
        for body in (
            job("one", ttlSecondsAfterFinished=1),
            job("gang", numNodes=2),
            job("gone", 600),
        ):
            audited.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(body))

        audited.kubectl(
            "-n", namespace, "wait", "gpujob/gone", "--for=condition=Running", "--timeout=180s"
        )
        audited.kubectl(
            "-n", namespace, "wait", "gpujob/gang", "--for=condition=Complete", "--timeout=180s"
        )
        audited.kubectl("-n", namespace, "delete", "gpujob", "gang", "gone", "--wait=false")
        until(lambda: done(audited) >= LIFE, "every step of the jobs' lives", 150)
    refused = {right(e) for e in requests(audited) if e["responseStatus"].get("code") == 403}
    assert not refused
