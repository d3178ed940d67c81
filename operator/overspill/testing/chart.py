"""Installs the chart on a cluster of the test bed: the roles that tests and the demo run with.

The operator's Deployment gets no replica by default: tests run the operator as a process of
their own, with a token of the chart's ServiceAccount, so that its roles are really enforced.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from overspill.testing.bed.clients import KubectlError
from overspill.testing.bed.cluster import Cluster

CRD_WAIT = "30s"
_WITHOUT_FINALIZERS = '{"metadata":{"finalizers":null}}'


@dataclass(frozen=True)
class ChartOptions:
    """Where and how. `values` are the chart's values by dotted path, in JSON."""

    release: str = "overspill"
    namespace: str = "overspill-system"
    replicas: int = 0
    values: Mapping[str, object] = field(default_factory=dict)


def root() -> Path:
    """The checkout's chart."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "helm" / "overspill" / "Chart.yaml").is_file():
            return parent / "helm" / "overspill"
    raise FileNotFoundError("helm/overspill not found: run from a checkout")


def install(cluster: Cluster, options: ChartOptions | None = None) -> str:
    """Installs or upgrades the release and waits for its CRDs; what Helm printed.

    A cluster of the test bed may hold CRDs that another test applied: the release takes them.
    """
    wanted = options or ChartOptions()
    values = {"replicaCount": wanted.replicas, **wanted.values}
    printed = cluster.helm(
        "upgrade", "--install", wanted.release, str(root()), "--namespace", wanted.namespace,
        "--create-namespace", "--take-ownership", "--force-conflicts",
        *(f"--set-json={k}={json.dumps(v)}" for k, v in values.items()),
    )  # fmt: skip
    if crds := _crds(cluster):
        cluster.kubectl("wait", "--for=condition=Established", f"--timeout={CRD_WAIT}", *crds)
    return printed


def uninstall(cluster: Cluster, options: ChartOptions | None = None) -> str:
    """Uninstalls the release; CRDs and the cluster secret stay unless told otherwise."""
    wanted = options or ChartOptions()
    return cluster.helm("uninstall", wanted.release, "--namespace", wanted.namespace)


def forget_accounts(cluster: Cluster) -> None:
    """Deletes every GPUProvider that is not the chart's own, whose market may be gone."""
    if not any("gpuproviders" in name for name in _crds(cluster)):
        return
    kind, not_ours = "gpuproviders.overspill.dev", "app.kubernetes.io/managed-by!=Helm"
    cluster.kubectl("delete", kind, "--selector", not_ours, "--wait=false")
    # A test that kills its operator leaves accounts that nobody lets go.
    for name in cluster.kubectl("get", kind, "--selector", not_ours, "-o", "name").split():
        with contextlib.suppress(KubectlError):  # gone by itself meanwhile
            cluster.kubectl("patch", name, "--type=merge", "-p", _WITHOUT_FINALIZERS)


def forget_everything(cluster: Cluster) -> None:
    """Uninstalls the release and deletes every object of ours, the chart's classes and `home` too.

    Those are the user's after an install and no upgrade touches them, so what one test changed in
    them would be there for the next; an install makes them anew.
    """
    wanted = ChartOptions()
    cluster.helm("uninstall", wanted.release, "-n", wanted.namespace, "--ignore-not-found")
    for kind in (crd.partition("/")[2] for crd in _crds(cluster)):
        for where, name in _objects(cluster, kind):
            with contextlib.suppress(KubectlError):  # gone by itself meanwhile
                cluster.kubectl("delete", kind, name, *where, "--wait=false")
                cluster.kubectl(
                    "patch", kind, name, *where, "--type=merge", "-p", _WITHOUT_FINALIZERS
                )


def _objects(cluster: Cluster, kind: str) -> list[tuple[list[str], str]]:
    """(how kubectl is told the namespace, name) of each."""
    listed = json.loads(cluster.kubectl("get", kind, "--all-namespaces", "-o", "json"))
    metas = [item["metadata"] for item in listed["items"]]
    spaces = (meta.get("namespace") for meta in metas)
    told = [["-n", space] if space else [] for space in spaces]
    return list(zip(told, (meta["name"] for meta in metas), strict=True))


def _crds(cluster: Cluster) -> list[str]:
    names = cluster.kubectl("get", "crd", "-o", "name").split()
    return [name for name in names if name.endswith(".overspill.dev")]
