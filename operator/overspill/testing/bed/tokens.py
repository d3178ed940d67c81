"""Kubeconfigs for service accounts, with the token in a file of its own as in a pod.

Each token is bound to a Secret. Deleting the Secret ends the token at once, so a test can
rotate a token and prove that nobody still uses the old one, without waiting for its expiry
(which the API server does not allow below ten minutes).
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from overspill.testing.bed import kubeconfig
from overspill.testing.bed.pki import write_private

if TYPE_CHECKING:
    from overspill.testing.bed.cluster import Cluster


def create(cluster: Cluster, namespace: str, account: str, path: Path, seconds: int) -> Path:
    """Write a kubeconfig to `path` and its token beside it."""
    user = f"system:serviceaccount:{namespace}:{account}"
    token_file = path.with_name(path.name + ".token")
    path.parent.mkdir(parents=True, exist_ok=True)
    _issue(cluster, user, token_file, seconds)
    return kubeconfig.with_token_file(
        path, cluster.server, cluster.ca_file, user, token_file.absolute(), namespace
    )


def rotate(cluster: Cluster, path: Path, seconds: int, *, revoke: bool) -> None:
    """Replace the token of the kubeconfig at `path`; with `revoke` the old one ends now."""
    user = kubeconfig.read(path)["users"][0]
    token_file = Path(user["user"]["tokenFile"])
    binding = _binding_file(token_file).read_text()
    _issue(cluster, user["name"], token_file, seconds)
    if revoke:
        namespace = user["name"].split(":")[2]
        cluster.kubectl("delete", "secret", binding, "--namespace", namespace)


def _issue(cluster: Cluster, user: str, token_file: Path, seconds: int) -> None:
    _, _, namespace, account = user.split(":")
    binding = f"bed-token-{secrets.token_hex(4)}"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": binding}}
    cluster.kubectl("create", "--namespace", namespace, "-f", "-", input=json.dumps(secret))
    token = cluster.kubectl(
        "create", "token", account, "--namespace", namespace, f"--duration={seconds}s",
        "--bound-object-kind=Secret", f"--bound-object-name={binding}",
    )  # fmt: skip
    _binding_file(token_file).write_text(binding)
    fresh = token_file.with_name(f".{token_file.name}.{binding}")
    write_private(fresh, token.strip().encode())
    os.replace(fresh, token_file)


def _binding_file(token_file: Path) -> Path:
    return token_file.with_name(token_file.name + ".binding")
