"""Pods on the real node are real processes: exit codes, logs, services, zombies, checkpoints."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

import pytest

from overspill.testing.bed import Bed, KubectlError, RealNode, until

pytestmark = [pytest.mark.cluster, pytest.mark.real_node]

BUSYBOX = "overspill.dev/busybox:1"
PYTHON = "overspill.dev/python:1"


@pytest.fixture
def node(real_bed: Bed) -> RealNode:
    assert real_bed.real_node is not None
    return real_bed.real_node


def test_exit_code_and_logs_are_real(real_bed: Bed, real_namespace: str) -> None:
    _run(real_bed, real_namespace, "seven", ["sh", "-c", "echo hello; exit 7"])
    _await_phase(real_bed, real_namespace, "seven", "Failed")
    state = _get(real_bed, real_namespace, "seven")["status"]["containerStatuses"][0]["state"]
    assert state["terminated"]["exitCode"] == 7
    assert real_bed.kubectl("logs", "seven", "--namespace", real_namespace) == "hello\n"


def test_exec_reaches_a_running_pod(real_bed: Bed, real_namespace: str) -> None:
    _run(real_bed, real_namespace, "shell", ["sleep", "600"])
    _await_phase(real_bed, real_namespace, "shell", "Running")
    said = real_bed.kubectl("exec", "shell", "--namespace", real_namespace, "--", "echo", "hi")
    assert said == "hi\n"


def test_python_image_has_the_standard_library(real_bed: Bed, real_namespace: str) -> None:
    code = "import ssl, json, hashlib, hmac, sqlite3, urllib.request; print(ssl.OPENSSL_VERSION)"
    _run(real_bed, real_namespace, "py", ["python3", "-c", code], image=PYTHON)
    _await_phase(real_bed, real_namespace, "py", "Succeeded")
    assert "OpenSSL" in real_bed.kubectl("logs", "py", "--namespace", real_namespace)


def test_pod_reaches_the_api_server_and_the_bridge(real_bed: Bed, real_namespace: str) -> None:
    code = f"""
import os, ssl, urllib.request
trust = ssl.create_default_context(cafile="/run/secrets/kubernetes.io/serviceaccount/ca.crt")
service = "https://" + os.environ["KUBERNETES_SERVICE_HOST"]
for server in (service, "{real_bed.server}"):
    print(urllib.request.urlopen(server + "/readyz", context=trust, timeout=10).read())
"""
    _run(real_bed, real_namespace, "asks", ["python3", "-c", code], image=PYTHON)
    _await_phase(real_bed, real_namespace, "asks", "Succeeded")


def test_cluster_ip_answers_from_the_host(real_bed: Bed, real_namespace: str) -> None:
    serve = "echo served > /tmp/index.html; httpd -f -p 8080 -h /tmp"
    _run(real_bed, real_namespace, "web", ["sh", "-c", serve])
    _await_phase(real_bed, real_namespace, "web", "Running")
    real_bed.kubectl("expose", "pod", "web", "--port=8080", "--namespace", real_namespace)
    service = json.loads(
        real_bed.kubectl("get", "service/web", "-o", "json", "--namespace", real_namespace)
    )
    url = f"http://{service['spec']['clusterIP']}:8080/"
    assert until(lambda: _fetch(url), "service answers", 20) == b"served\n"


def test_scheduled_by_gpus(real_bed: Bed, node: RealNode, real_namespace: str) -> None:
    node.set_gpus(2)
    _run(real_bed, real_namespace, "gpu", ["true"], gpus=2)
    _await_phase(real_bed, real_namespace, "gpu", "Succeeded")


def test_container_outlives_its_kubelet(real_bed: Bed, node: RealNode, real_namespace: str) -> None:
    node.set_gpus(1)
    _run(real_bed, real_namespace, "zombie", ["sh", "-c", "while :; do sleep 1; done"], gpus=1)
    _await_phase(real_bed, real_namespace, "zombie", "Running")
    (pid,) = node.containers(pod="zombie")
    node.kubelet.kill()
    until(lambda: node.name in real_bed.nodes.not_ready(), "node NotReady", 30)
    os.kill(pid, 0)
    assert node.containers(pod="zombie") == [pid]
    node.kubelet.start()
    until(lambda: node.name in real_bed.nodes.ready(), "node Ready again", 30)
    status = json.loads(real_bed.kubectl("get", "node", node.name, "-o", "json"))["status"]
    assert status["allocatable"]["nvidia.com/gpu"] == "1"


def _run(
    bed: Bed, namespace: str, name: str, command: list[str], image: str = BUSYBOX, gpus: int = 0
) -> None:
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    container = {"name": "main", "image": image, "command": command, "resources": resources}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "nodeSelector": {"overspill.dev/real": "true"},
    }
    metadata = {"name": name, "labels": {"run": name}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    bed.kubectl("create", "--namespace", namespace, "-f", "-", input=json.dumps(pod))


def _await_phase(bed: Bed, namespace: str, name: str, phase: str) -> None:
    def reached() -> bool:
        now = _get(bed, namespace, name)["status"].get("phase")
        assert now == phase or now in ("Pending", "Running"), _explain(bed, namespace, name)
        return bool(now == phase)

    until(reached, f"pod {name} {phase}", 60)


def _explain(bed: Bed, namespace: str, name: str) -> str:
    try:
        logs = bed.kubectl("logs", name, "--namespace", namespace)
    except KubectlError as error:
        logs = error.stderr
    return f"{json.dumps(_get(bed, namespace, name)['status'])}\n{logs}"


def _get(bed: Bed, namespace: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        bed.kubectl("get", "pod", name, "--namespace", namespace, "-o", "json")
    )
    return found


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - always http
            return bytes(answer.read())
    except OSError:
        return b""
