"""The chart's whole life on a real API server that has never seen it: install, upgrade, uninstall.

A bed of its own: the very first install, where not even the kinds exist, happens once a cluster.
"""

import json
from collections.abc import Iterator

import pytest

from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions
from overspill.testing.bed.clients import KubectlError
from overspill.testing.bed.waiting import until

pytestmark = pytest.mark.cluster

NS = "overspill-system"
OURS = {
    f"{p}.overspill.dev"
    for p in ("gpujobs", "gpuleases", "gpuproviders", "slaclasses", "gpubudgets")
}
SELECTOR = "app.kubernetes.io/name=overspill"
CLASSES = {"besteffort", "guaranteed", "standard"}


@pytest.fixture(scope="module")
def fresh() -> Iterator[Bed]:
    with Bed.start(BedOptions(real_node="no")) as bed:
        yield bed


def plainly(bed: Bed, *flags: str) -> str:
    """As the README says, and nothing that a test bed would need beside."""
    return bed.helm(
        "upgrade", "--install", "overspill", str(chart.root()), "-n", NS, "--create-namespace",
        *flags,
    )  # fmt: skip


def names(bed: Bed, kind: str) -> set[str]:
    return set(bed.kubectl("get", kind, "-o", "jsonpath={.items[*].metadata.name}").split())


def secret(bed: Bed) -> str:
    return bed.kubectl(
        "-n", NS, "get", "secret", "overspill-cluster-secret", "-o", "jsonpath={.data.secret}"
    )


def test_install_change_upgrade_uninstall_and_install_again(fresh: Bed) -> None:
    printed = plainly(fresh)
    assert "kubectl overspill explain" in printed
    assert names(fresh, "crd") >= OURS
    assert names(fresh, "slaclasses") == CLASSES
    assert names(fresh, "gpuproviders") == {"home"}
    key = secret(fresh)

    # What an administrator changed or removed stays so; the cluster secret stays what it was.
    fresh.kubectl("patch", "slaclass", "standard", "--type=merge", "-p", '{"spec":{"priority":7}}')
    plainly(fresh, "--set", "log.level=DEBUG")
    assert _priority(fresh) == "7"
    assert secret(fresh) == key
    assert "--verbose" in fresh.kubectl("-n", NS, "get", "deploy", "overspill", "-o", "yaml")

    # Uninstalling takes the operator and leaves the data, the ledger and the key.
    fresh.helm("uninstall", "overspill", "-n", NS)
    with pytest.raises(KubectlError, match="not found"):
        fresh.kubectl("-n", NS, "get", "deploy", "overspill")
    with pytest.raises(KubectlError, match="not found"):
        fresh.kubectl("get", "clusterrole", "overspill")
    assert names(fresh, "crd") >= OURS
    assert names(fresh, "slaclasses") == CLASSES

    plainly(fresh)
    assert _priority(fresh) == "7"
    assert secret(fresh) == key


def test_the_namespace_may_enforce_the_restricted_standard(fresh: Bed) -> None:
    fresh.kubectl("label", "ns", NS, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    fresh.kubectl("-n", NS, "delete", "pods", "--all", "--wait=false")
    fresh.kubectl("-n", NS, "rollout", "restart", "deployment/overspill")
    until(lambda: _made_by_newest(fresh), "a pod of the operator in a restricted namespace")


def test_plain_manifests_apply_to_a_server(fresh: Bed) -> None:
    """A dry run: the objects are those of the release that is there."""
    manifest = chart.root().parents[1] / "manifests" / "install.yaml"
    said = fresh.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", str(manifest)
    )
    assert said.count("serverside-applied") == said.count("\n")
    assert said.count("customresourcedefinition") == 5


def test_every_shape_of_the_chart_is_accepted_by_a_server(fresh: Bed) -> None:
    for values in sorted((chart.root() / "ci").glob("*-values.yaml")):
        flags = ["--set=crds.enabled=false", "--set=metrics.serviceMonitor.enabled=false"]
        # The rest of the matrix names other namespaces; a dry run asks for them to exist.
        for ns in ("team-a", "team-b"):
            fresh.kubectl("apply", "-f", "-", input=_namespace(ns))
        rendered = fresh.helm(
            "template", "other", str(chart.root()), "-n", "default", "-f", str(values), *flags
        )
        fresh.kubectl(
            "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-",
            input=rendered,
        )  # fmt: skip


def _namespace(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def _priority(bed: Bed) -> str:
    return bed.kubectl("get", "slaclass", "standard", "-o", "jsonpath={.spec.priority}")


def _made_by_newest(bed: Bed) -> bool:
    """Admission refuses pods, not Deployments: what counts is that the restarted one has a pod."""
    pods = bed.kubectl("-n", NS, "get", "pods", "-o", "yaml", "-l", SELECTOR)
    return "kubectl.kubernetes.io/restartedAt" in pods
