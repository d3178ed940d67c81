"""The command line against a real API server: own records, real refusals, kubectl's plugin call."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from overspill.core.lease import JobRef
from overspill.core.vocabulary import LeaseState
from overspill.kube.mapping import lease_manifest, lease_status
from overspill.kube.resources import LEASE_LABEL, RESOLVE_ANNOTATION
from overspill.testing import chart
from overspill.testing.bed import Bed, Cluster
from overspill.testing.cli_samples import the_job
from overspill.testing.kube_samples import full_lease, planned_lease

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module", autouse=True)
def installed(cluster: Cluster) -> None:
    chart.install(cluster)


@pytest.fixture
def overspill(cluster: Cluster, namespace: str) -> Run:
    return runner(cluster, namespace)


def runner(cluster: Cluster, namespace: str) -> Run:
    """The installed console script, in a window of 100 columns."""

    def run(*args: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = cluster.clients.environment(kubeconfig) | {"COLUMNS": "100"}
        return subprocess.run(
            [BIN / "overspill", *args, "-n", namespace],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def create(cluster: Cluster, obj: dict[str, Any]) -> dict[str, Any]:
    """Creates an object and then its status."""
    written = json.loads(cluster.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(obj)))
    meta, status = obj["metadata"], obj.get("status")
    if status:
        place = ["-n", meta["namespace"]] if "namespace" in meta else []
        cluster.kubectl(
            *place, "patch", obj["kind"].lower(), meta["name"], "--subresource=status",
            "--type=merge", "-p", json.dumps({"status": status}),
        )  # fmt: skip
    return dict(written)


@pytest.fixture
def placed(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """A job with a decision and an active lease, both written as the operator writes them."""
    job = yaml.safe_load((ROOT / "manifests" / "samples" / "smallest.yaml").read_text())
    job["metadata"] = {"name": "finetune-7b", "namespace": namespace}
    job["status"] = the_job()["status"]
    written = create(cluster, job)
    add_lease(cluster, namespace, written["metadata"]["uid"], LeaseState.ACTIVE)
    return written


def add_lease(
    cluster: Cluster, namespace: str, uid: str, state: LeaseState, *, is_home: bool = False
) -> str:
    fresh = planned_lease(
        name=f"gl-abcdef01-{namespace[-8:]}",
        namespace=namespace,
        job=JobRef(namespace, "finetune-7b", uid),
        is_home=is_home,
    )
    manifest = lease_manifest(fresh)
    active = replace(
        full_lease(), state=state, billed_usd=None, closed_at=None, closing=None, conditions=()
    )
    manifest["status"] = lease_status(active, datetime.now(UTC))
    # No operator runs here that would take the finalizer off.
    manifest["metadata"]["finalizers"] = []
    create(cluster, manifest)
    return fresh.name


def test_explain_prints_what_the_operator_wrote(placed: dict[str, Any], overspill: Run) -> None:
    done = overspill("explain", "finetune-7b")
    assert done.returncode == 0, done.stderr
    assert "Place: BurstToProviderSelected" in done.stdout
    assert "NoCapacityNow" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_leases_and_cost_are_live(placed: dict[str, Any], overspill: Run) -> None:
    (lease,) = json.loads(overspill("leases", "-o", "json").stdout)
    assert (lease["state"], lease["job"]) == ("Active", "finetune-7b")
    (money,) = json.loads(overspill("cost", "-o", "json").stdout)
    assert float(money["spentUSD"]) > float(lease["costUSD"]) > 0
    assert money["usdPerHour"] == "3.05"


def test_resolve_annotates_the_lease(cluster: Cluster, namespace: str, overspill: Run) -> None:
    name = add_lease(
        cluster, namespace, "22222222-2222-4222-8222-222222222222", LeaseState.UNCERTAIN
    )
    assert "leases resolve" in overspill("leases").stdout
    done = overspill("leases", "resolve", name, "--adopt", "1764060000000")
    assert done.returncode == 0, done.stderr
    written = json.loads(cluster.kubectl("-n", namespace, "get", "gpulease", name, "-o", "json"))
    assert written["metadata"]["annotations"] == {RESOLVE_ANNOTATION: "adopt=1764060000000"}


def test_offers_come_from_the_providers_status(cluster: Cluster, overspill: Run) -> None:
    status = {
        "offers": [
            {
                "offerID": "node-1",
                "place": "home/node-1",
                "gpuModel": "h100",
                "gpuCount": 8,
                "pricePerGPUHourUSD": "1.82",
                "capacityType": "Own",
                "available": True,
            }
        ]
    }
    cluster.kubectl(
        "patch", "gpuprovider", "home", "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip
    env = cluster.clients.environment() | {"COLUMNS": "100"}
    done = subprocess.run(
        [BIN / "overspill", "offers", "--model", "h100", "--count", "2"],
        env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[1].split() == [
        "home", "home/node-1", "h100", "8", "1.82", "3.64", "Own", "yes",
    ]  # fmt: skip


def test_kubectl_finds_the_plugin(cluster: Cluster, namespace: str) -> None:
    env = cluster.clients.environment()
    done = subprocess.run(
        [cluster.clients.kubectl_path, "overspill", "cost", "-n", namespace],
        env={**env, "PATH": f"{BIN}:{env['PATH']}"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == f"No GPUJob and no lease in namespace {namespace}.\n"


def test_a_refusal_is_the_servers_own_sentence(
    cluster: Cluster, namespace: str, overspill: Run
) -> None:
    """The default account of a namespace has no rights; its kubeconfig has a token file."""
    token = cluster.token_kubeconfig(namespace, "default")
    done = overspill("leases", kubeconfig=token)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Reading /apis/overspill.dev/v1alpha1/namespaces/")
    assert f'User "system:serviceaccount:{namespace}:default" cannot list' in done.stderr


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("explain", "nobody"), 'gpujobs.overspill.dev "nobody" not found'),
        (("logs", "finetune-7b", "--attempt", "9"), "holds no attempt 9"),
        (("explain", "j", "--context", "nowhere"), "nowhere"),
        (("explain", "j", "--kubeconfig", "/nonexistent"), "Reading the kubeconfig failed"),
    ],
)
def test_failures_are_sentences(
    placed: dict[str, Any], overspill: Run, args: tuple[str, ...], sentence: str
) -> None:
    done = overspill(*args)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.real_node
def test_logs_are_what_the_container_wrote(real_bed: Bed, real_namespace: str) -> None:
    chart.install(real_bed)
    job = yaml.safe_load((ROOT / "manifests" / "samples" / "smallest.yaml").read_text())
    job["metadata"] = {"name": "finetune-7b", "namespace": real_namespace}
    uid = create(real_bed, job)["metadata"]["uid"]
    lease = add_lease(real_bed, real_namespace, uid, LeaseState.ACTIVE, is_home=True)
    overspill = runner(real_bed, real_namespace)
    assert "has no pod yet" in overspill("logs", "finetune-7b").stderr

    script = "for i in 1 2 3; do echo step $i; sleep 1; done"
    real_bed.kubectl(
        "-n", real_namespace, "run", "child", "--image=overspill.dev/busybox:1",
        "--image-pull-policy=Never", "--restart=Never", f"--labels={LEASE_LABEL}={lease}",
        '--overrides={"spec":{"nodeSelector":{"overspill.dev/real":"true"}}}',
        "--", "sh", "-c", script,
    )  # fmt: skip
    real_bed.kubectl(
        "-n", real_namespace, "wait", "pod/child", "--for=condition=Ready", "--timeout=60s"
    )
    # Followed to its end, although the container still writes when we ask.
    assert overspill("logs", "finetune-7b", "-f").stdout == "step 1\nstep 2\nstep 3\n"
    assert overspill("logs", "finetune-7b", "--tail", "1").stdout == "step 3\n"
