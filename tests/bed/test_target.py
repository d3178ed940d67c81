"""Only the cluster that was asked for is used, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from overspill.testing.bed import Bed
from overspill.testing.bed.target import ClusterUnavailableError, open_cluster


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        pytest.param("external", "OVERSPILL_KUBECONFIG", id="external needs an explicit file"),
        pytest.param("kind", "Docker", id="kind needs a Docker engine"),
        pytest.param("minikube", "choose", id="an unknown kind of cluster is refused"),
    ],
)
def test_unavailable_cluster_says_what_is_missing(
    wanted: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLUSTER", wanted)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OVERSPILL_KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBECONFIG", "/the/users/own")
    with pytest.raises(ClusterUnavailableError, match=says):
        open_cluster()


@pytest.mark.cluster
def test_external_cluster_is_used_by_its_kubeconfig(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER", "external")
    monkeypatch.setenv("OVERSPILL_KUBECONFIG", str(bed.kubeconfig))
    cluster = open_cluster()
    assert cluster.server == bed.server
    with cluster.namespace() as name:
        kubeconfig = cluster.token_kubeconfig(name, "default")
        who = cluster.kubectl(
            "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", kubeconfig=kubeconfig
        )
        assert who == f"system:serviceaccount:{name}:default"
