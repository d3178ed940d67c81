"""Tenants, by impersonation: they write GPUJobs, and nothing that holds money or policy."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from overspill.testing import chart
from overspill.testing.access import Ask, Who, granted
from overspill.testing.bed import Cluster
from overspill.testing.bed.clients import KubectlError

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
FORBIDDEN = "forbidden"
NAMESPACED = ("gpuleases", "gpubudgets")
CLUSTER_WIDE = ("slaclasses", "gpuproviders")
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@pytest.fixture(scope="module", autouse=True)
def installed(cluster: Cluster) -> None:
    chart.install(cluster)


@pytest.fixture
def tenants(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Three people of one namespace, each with a stock role of Kubernetes and nothing else."""
    people = {}
    for role in ("view", "edit", "admin"):
        user = f"{role}-of-{namespace}"
        cluster.kubectl(
            "-n", namespace, "create", "rolebinding", user, f"--clusterrole={role}",
            f"--user={user}",
        )  # fmt: skip
        people[role] = user
    return people


def apply(cluster: Cluster, user: str, namespace: str, body: dict[str, Any], *how: str) -> None:
    cluster.kubectl(
        "-n", namespace, *(how or ("create",)), "-f", "-", f"--as={user}",
        "--as-group=system:authenticated", input=json.dumps(body),
    )  # fmt: skip


def smallest(name: str = "mine") -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load((SAMPLES / "smallest.yaml").read_text())
    job["metadata"] = {"name": name}
    return job


@pytest.mark.parametrize("role", ["edit", "admin"])
def test_a_tenant_creates_scales_changes_and_deletes_a_gpujob(
    cluster: Cluster, namespace: str, tenants: dict[str, str], role: str
) -> None:
    user = tenants[role]
    apply(cluster, user, namespace, smallest())
    who = ["-n", namespace, f"--as={user}"]
    cluster.kubectl(
        *who, "patch", "gpujob", "mine", "--type=merge", "-p", '{"spec":{"suspend":true}}'
    )
    assert cluster.kubectl(*who, "get", "gpj", "-o", "name").strip() == "gpujob.overspill.dev/mine"
    cluster.kubectl(*who, "delete", "gpujob", "mine")


def test_a_viewer_reads_and_creates_nothing(
    cluster: Cluster, namespace: str, tenants: dict[str, str]
) -> None:
    with pytest.raises(KubectlError, match=FORBIDDEN):
        apply(cluster, tenants["view"], namespace, smallest())
    asks = [
        Ask(verb, f"{resource}.overspill.dev", namespace)
        for resource in ("gpujobs", *NAMESPACED)
        for verb in ("get", "list", "watch")
    ]
    assert granted(cluster, Who(tenants["view"]), asks) == asks


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_tenants_read_classes_and_providers_through_their_group(
    cluster: Cluster, namespace: str, tenants: dict[str, str], role: str
) -> None:
    who = [f"--as={tenants[role]}", "--as-group=system:authenticated"]
    assert "standard" in cluster.kubectl("get", "slaclasses", "-o", "name", *who)
    assert "home" in cluster.kubectl("get", "gpuproviders", "-o", "name", *who)


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_money_policy_and_observation_are_out_of_reach(
    cluster: Cluster, namespace: str, tenants: dict[str, str], role: str
) -> None:
    kinds = (*NAMESPACED, *CLUSTER_WIDE)
    plain = [f"{kind}.overspill.dev" for kind in kinds]
    statuses = [f"{kind}.overspill.dev/status" for kind in ("gpujobs", *kinds)]
    asks = [
        Ask(verb, resource, namespace if resource.startswith(("gpuj", "gpul", "gpub")) else "")
        for resource in (*plain, *statuses)
        for verb in WRITES
    ]
    assert granted(cluster, Who(tenants[role]), asks) == []


BUDGET = {
    "apiVersion": "overspill.dev/v1alpha1",
    "kind": "GPUBudget",
    "metadata": {"name": "plenty"},
    "spec": {"limitUSD": "1000000", "period": "Monthly"},
}
CLASS = {
    "apiVersion": "overspill.dev/v1alpha1",
    "kind": "SLAClass",
    "metadata": {"name": "mine-first"},
    "spec": {"capacityTypes": ["Own"], "priority": 1000},
}
PROVIDER = {
    "apiVersion": "overspill.dev/v1alpha1",
    "kind": "GPUProvider",
    "metadata": {"name": "my-market"},
    "spec": {
        "type": "Akash",
        "endpoint": "https://evil.example.com",
        "credentialsSecretRef": {"namespace": "overspill-system", "name": "akash"},
    },
}


@pytest.mark.parametrize("body", [BUDGET, CLASS, PROVIDER], ids=lambda b: b["kind"])
@pytest.mark.parametrize("role", ["edit", "admin"])
def test_real_writes_of_policy_are_refused(
    cluster: Cluster, namespace: str, tenants: dict[str, str], role: str, body: dict[str, Any]
) -> None:
    with pytest.raises(KubectlError, match=FORBIDDEN):
        apply(cluster, tenants[role], namespace, body)
    # The same body is fine for an administrator: it was the right that was missing.
    apply(
        cluster, "root", namespace, body, "create", "--as-group=system:masters", "--dry-run=server"
    )


@pytest.mark.parametrize(
    ("resource", "patch"),
    [
        ("slaclass/standard", {"spec": {"priority": 1000}}),
        ("gpuprovider/home", {"spec": {"ratesUSD": {"*": "0.01"}}}),
    ],
)
def test_real_changes_of_policy_are_refused(
    cluster: Cluster, namespace: str, tenants: dict[str, str], resource: str, patch: dict[str, Any]
) -> None:
    with pytest.raises(KubectlError, match=FORBIDDEN):
        cluster.kubectl(
            "patch", resource, "--type=merge", "-p", json.dumps(patch),
            f"--as={tenants['admin']}", "--as-group=system:authenticated",
        )  # fmt: skip


def test_a_tenant_cannot_write_the_status_of_its_own_job(
    cluster: Cluster, namespace: str, tenants: dict[str, str]
) -> None:
    apply(cluster, tenants["edit"], namespace, smallest())
    spent_nothing = '{"status":{"cost":{"spentUSD":"0"}}}'
    with pytest.raises(KubectlError, match=FORBIDDEN):
        cluster.kubectl(
            "-n", namespace, "patch", "gpujob", "mine", "--subresource=status", "--type=merge",
            "-p", spent_nothing, f"--as={tenants['admin']}",
        )  # fmt: skip
    # Through the main resource the API server drops it.
    cluster.kubectl(
        "-n", namespace, "patch", "gpujob", "mine", "--type=merge",
        "-p", spent_nothing, f"--as={tenants['edit']}",
    )  # fmt: skip
    status = cluster.kubectl("-n", namespace, "get", "gpujob", "mine", "-o", "jsonpath={.status}")
    assert "spentUSD" not in status


def test_a_tenant_reaches_no_other_namespace(
    cluster: Cluster, namespace: str, tenants: dict[str, str]
) -> None:
    with pytest.raises(KubectlError, match=FORBIDDEN):
        apply(cluster, tenants["admin"], "default", smallest())
    with pytest.raises(KubectlError, match=FORBIDDEN):
        cluster.kubectl("get", "gpuleases", "-A", f"--as={tenants['admin']}")
