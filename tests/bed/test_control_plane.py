"""The control plane boots, and each component can be killed, paused and restarted."""

from __future__ import annotations

import json

import pytest

from overspill.testing.bed import Bed, KubectlError, until

pytestmark = pytest.mark.cluster


def test_reports_the_pinned_version(bed: Bed) -> None:
    version = json.loads(bed.kubectl("version", "-o", "json"))["serverVersion"]
    assert version["gitVersion"].startswith("v1.37.")


def test_listens_on_no_public_address(bed: Bed) -> None:
    assert bed.server.startswith(f"https://{bed.bridge_address}:")


def test_killed_apiserver_comes_back_with_its_data(bed: Bed, namespace: str) -> None:
    bed.kubectl("create", "configmap", "kept", "--namespace", namespace)
    bed.apiserver.kill()
    assert not bed.apiserver.running
    with pytest.raises(KubectlError):
        bed.kubectl("get", "namespaces", "--request-timeout=2s")
    bed.apiserver.start()
    assert "kept" in bed.kubectl("get", "configmaps", "--namespace", namespace)


def test_paused_etcd_stalls_writes_and_resumes(bed: Bed, namespace: str) -> None:
    bed.etcd.pause()
    try:
        with pytest.raises(KubectlError):
            bed.kubectl(
                "create", "configmap", "late", "--namespace", namespace, "--request-timeout=2s"
            )
    finally:
        bed.etcd.resume()
    until(
        lambda: "after" in bed.kubectl("create", "configmap", "after", "--namespace", namespace),
        "write after the stall",
    )


def test_restarted_component_keeps_its_log(bed: Bed) -> None:
    before = bed.scheduler.log.stat().st_size
    first = bed.scheduler.pid
    bed.scheduler.restart()
    assert bed.scheduler.pid != first
    assert bed.scheduler.log.stat().st_size > before


def test_metrics_count_requests(bed: Bed, namespace: str) -> None:
    def created() -> float:
        return bed.metrics().total(
            "apiserver_request_total", verb="POST", resource="configmaps", code="201"
        )

    before = created()
    bed.kubectl("create", "configmap", "counted", "--namespace", namespace)
    assert created() == before + 1


def test_error_carries_what_kubectl_said(bed: Bed) -> None:
    with pytest.raises(KubectlError) as caught:
        bed.kubectl("get", "pod/nobody", "--namespace", "default")
    assert "not found" in caught.value.stderr


def test_helm_reaches_the_cluster(bed: Bed, namespace: str) -> None:
    assert bed.helm("list", "--namespace", namespace, "--short") == ""
