"""What any cluster offers, be it a bed, kind, or one given by its kubeconfig."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overspill.testing.bed import metrics, tokens
from overspill.testing.bed.clients import Clients, KubectlError
from overspill.testing.bed.nodes import Nodes
from overspill.testing.bed.waiting import until


class Cluster:
    """A cluster reached through one kubeconfig that names its server and its authority."""

    def __init__(
        self, kubeconfig: Path, server: str, ca_file: Path, workdir: Path, clients: Clients
    ) -> None:
        self.kubeconfig = kubeconfig
        self.server = server
        self.ca_file = ca_file
        self.workdir = workdir
        self.clients = clients
        self.nodes = Nodes(self)

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - named as in subprocess.run
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl and return what it printed; `KubectlError` carries its stderr."""
        return self.clients.kubectl(*args, input=input, kubeconfig=kubeconfig)

    def helm(self, *args: str) -> str:
        """Run Helm and return what it printed."""
        return self.clients.helm(*args)

    def metrics(self) -> metrics.Metrics:
        """The API server's own metrics, parsed."""
        return metrics.parse(self.kubectl("get", "--raw", "/metrics"))

    @contextmanager
    def namespace(
        self, prefix: str = "test", labels: dict[str, str] | None = None
    ) -> Iterator[str]:
        """A fresh namespace, ready for pods; deleted without waiting on the way out."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        metadata = {"name": name, "labels": labels or {}}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self.kubectl("create", "-f", "-", input=json.dumps(manifest))
        try:
            until(lambda: self._takes_pods(name), f"service account in {name}")
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def token_kubeconfig(
        self,
        namespace: str,
        service_account: str,
        path: Path | None = None,
        expiration_seconds: int = 3600,
    ) -> Path:
        """A kubeconfig with a token file for a service account; rotate it with `rotate_token`."""
        file = f"{namespace}-{service_account}-{secrets.token_hex(3)}"
        place = path or self.workdir / "kubeconfigs" / file
        return tokens.create(self, namespace, service_account, place, expiration_seconds)

    def rotate_token(
        self, path: Path, expiration_seconds: int = 3600, *, revoke: bool = True
    ) -> None:
        """Put a new token into the token file of `path`; by default the old one ends at once
        (the API server may remember it for up to ten more seconds)."""
        tokens.rotate(self, path, expiration_seconds, revoke=revoke)

    def stop(self) -> None:
        """Nothing to stop: this cluster is not ours."""

    def _takes_pods(self, namespace: str) -> bool:
        """Pods are refused until the controllers have made the namespace's account."""
        try:
            self.kubectl("get", "serviceaccount/default", "--namespace", namespace)
        except KubectlError:
            return False
        return True
