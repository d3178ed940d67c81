"""The whole path on one cluster: chart, operator as a process, and a market sandbox.

    with Stack.start(bed, workdir) as stack:
        stack.apply_job("ns", "train", {...}); stack.until_phase("ns", "train", "Complete")

The operator runs with a token of the chart's ServiceAccount, so its roles are really enforced.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import until
from overspill.testing.bed.cluster import Cluster
from overspill.testing.operator import OperatorProcess, free_port
from overspill.testing.sandbox import Sandbox

NAMESPACE = "overspill-system"
PROVIDER = "akash"


@dataclass
class StackOptions:
    """What differs between tests."""

    environment: Mapping[str, str] = field(default_factory=dict)
    sandbox: SandboxOptions = field(default_factory=lambda: SandboxOptions(allow_exec=True))
    secret_namespaces: tuple[str, ...] = ()
    bid_window_s: int = 3


@dataclass
class Stack:
    """Running parts; `stop` ends those that this stack started."""

    cluster: Cluster
    market: Sandbox
    operator: OperatorProcess

    @classmethod
    def start(cls, cluster: Cluster, workdir: Path, options: StackOptions | None = None) -> Self:
        """Installs the chart, starts a sandbox and the operator, and waits until it is ready."""
        wanted = options or StackOptions()
        spaces = [{"namespace": name, "names": []} for name in wanted.secret_namespaces]
        values = {"rbac.providerSecrets": [PROVIDER], "rbac.secretNamespaces": spaces}
        chart.install(cluster, chart.ChartOptions(values=values))
        with contextlib.ExitStack() as failed:
            market = Sandbox.start(wanted.sandbox, log=workdir / "sandbox.log")
            failed.callback(market.stop)
            account(cluster, market, wanted.bid_window_s)
            token = cluster.token_kubeconfig(NAMESPACE, "overspill")
            environment = {**report_urls(market), **wanted.environment}
            operator = OperatorProcess.start(token, workdir, environment)
            failed.callback(operator.stop)
            operator.wait_ready()
            failed.pop_all()
        return cls(cluster, market, operator)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends operator and sandbox."""
        self.operator.stop()
        self.market.stop()

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """kubectl apply of one object."""
        apply(self.cluster, manifest)

    def apply_job(self, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
        """kubectl apply of a GPUJob."""
        meta = {"name": name, "namespace": namespace}
        kind = {"apiVersion": "overspill.dev/v1alpha1", "kind": "GPUJob"}
        self.apply({**kind, "metadata": meta, "spec": spec})

    def job(self, namespace: str, name: str) -> dict[str, Any]:
        """The GPUJob as the API server has it."""
        found: dict[str, Any] = json.loads(
            self.cluster.kubectl("get", "gpj", name, "-n", namespace, "-o", "json")
        )
        return found

    def phase(self, namespace: str, name: str) -> str:
        """`status.phase`."""
        return str(self.job(namespace, name).get("status", {}).get("phase", ""))

    def condition(self, namespace: str, name: str, kind: str) -> dict[str, Any]:
        """One condition; empty when it was never written."""
        conditions = self.job(namespace, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def leases(self, namespace: str) -> list[dict[str, Any]]:
        """The namespace's GPULeases."""
        printed = self.cluster.kubectl("get", "gpl", "-n", namespace, "-o", "json")
        found: list[dict[str, Any]] = json.loads(printed)["items"]
        return found

    def until_phase(self, namespace: str, name: str, *phases: str, timeout_s: float = 90) -> None:
        """Waits until the job's phase is one of these."""
        until(
            lambda: self.phase(namespace, name) in phases,
            f"{name} to be {' or '.join(phases)}",
            timeout_s,
            0.5,
        )

    def until_settled(self, namespace: str, timeout_s: float = 120) -> None:
        """Waits until every lease of the namespace is Closed and without a finalizer."""
        until(
            lambda: all(_is_settled(lease) for lease in self.leases(namespace)),
            "every lease to be closed",
            timeout_s,
            0.5,
        )


def account(cluster: Cluster, market: Sandbox, bid_window_s: int = 3) -> None:
    """The GPUProvider of the sandbox, with its credentials in a Secret."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PROVIDER, "namespace": NAMESPACE},
        "stringData": {"apiKey": market.api_key},
    }
    provider = {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "GPUProvider",
        "metadata": {"name": PROVIDER},
        "spec": {
            "type": "Akash",
            "endpoint": market.url,
            "credentialsSecretRef": {"namespace": NAMESPACE, "name": PROVIDER},
            "capacityType": "OnDemand",
            "trustTier": "Audited",
            "config": {"bidWindowSeconds": str(bid_window_s)},
        },
    }
    for manifest in (secret, provider):
        apply(cluster, manifest)


def apply(cluster: Cluster, manifest: Mapping[str, Any]) -> None:
    """kubectl apply of one object, whoever else has changed it since."""
    text = json.dumps(manifest)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)


def report_urls(market: Sandbox) -> dict[str, str]:
    """Settings under which rented leases reach the operator across the sandbox's bridge."""
    port = free_port()
    url = f"http://{market.bridge_address or '127.0.0.1'}:{port}"
    return {
        "OVERSPILL_REPORT_LISTEN": f"0.0.0.0:{port}",
        "OVERSPILL_REPORT_URL": url,
        "OVERSPILL_HOME_REPORT_URL": url,
    }


def _is_settled(lease: Mapping[str, Any]) -> bool:
    closed = lease.get("status", {}).get("state") == "Closed"
    return closed and not lease["metadata"].get("finalizers")
