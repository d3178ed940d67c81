"""Service-account kubeconfigs obey RBAC, and a rotated token replaces the old one for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from overspill.testing.bed import Bed, KubectlError, until
from overspill.testing.bed.kubeconfig import read

pytestmark = pytest.mark.cluster


@pytest.fixture
def kubeconfig(bed: Bed, namespace: str) -> Path:
    bed.kubectl("create", "serviceaccount", "reader", "--namespace", namespace)
    bed.kubectl(
        "create", "rolebinding", "reader", "--clusterrole=view",
        f"--serviceaccount={namespace}:reader", "--namespace", namespace,
    )  # fmt: skip
    return bed.token_kubeconfig(namespace, "reader")


def test_token_can_do_what_rbac_allows_and_no_more(bed: Bed, kubeconfig: Path) -> None:
    bed.kubectl("get", "pods", kubeconfig=kubeconfig)
    with pytest.raises(KubectlError, match="Forbidden"):
        bed.kubectl("get", "secrets", kubeconfig=kubeconfig)


def test_rotation_revokes_the_old_token(bed: Bed, kubeconfig: Path, tmp_path: Path) -> None:
    token_file = Path(read(kubeconfig)["users"][0]["user"]["tokenFile"])
    old = tmp_path / "old.kubeconfig"
    old.write_text(kubeconfig.read_text().replace(str(token_file), str(tmp_path / "old.token")))
    (tmp_path / "old.token").write_text(token_file.read_text())
    bed.rotate_token(kubeconfig)
    bed.kubectl("get", "pods", kubeconfig=kubeconfig)
    until(lambda: _refused(bed, old), "old token refused", 30)


def _refused(bed: Bed, kubeconfig: Path) -> bool:
    try:
        bed.kubectl("get", "pods", kubeconfig=kubeconfig)
    except KubectlError as error:
        return "Unauthorized" in error.stderr or "logged in" in error.stderr
    return False
