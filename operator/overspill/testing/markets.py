"""An account on every market that the sandbox serves, and a stack with all of them.

    with market_stack(bed, workdir) as stack: ...

A further market joins by itself: its account's type is the one with the letters of the sandbox's
name. What an account needs beside its key and the common settings stands in `NEEDS`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overspill.providers import adapters
from overspill.sandbox import markets
from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed.cluster import Cluster
from overspill.testing.operator import OperatorProcess
from overspill.testing.sandbox import Sandbox
from overspill.testing.stack import NAMESPACE, Stack, apply, report_urls

COMMON: Mapping[str, str] = {
    "listLagSeconds": "1",
    "quarantineSeconds": "2",
    "requestsPerSecond": "20",
    "requestTimeoutSeconds": "3",
}
"""Settings that every market knows, for a market on this machine."""


PATIENT: Mapping[str, str] = {
    "OVERSPILL_LEASE_DURATION_S": "30",
    "OVERSPILL_RENEW_DEADLINE_S": "20",
    "OVERSPILL_RETRY_PERIOD_S": "1",
}
"""Many markets on one small machine are slow: that must not cost the operator its leadership."""


@dataclass(frozen=True)
class Needs:
    """What one market's account asks for. `{key}` in a secret is the sandbox's key."""

    config: Mapping[str, str] = field(default_factory=lambda: {"offersEverySeconds": "10"})
    secrets: Mapping[str, str] = field(default_factory=dict)


NEEDS: Mapping[str, Needs] = {
    "akash": Needs({"bidWindowSeconds": "6", "bidSettleSeconds": "0.5"}),
    "dispersed": Needs(
        {
            "offersEverySeconds": "10",
            "experimental": "true",
            "runnerImages": "*",
            "assignTimeoutSeconds": "30",
        },
        {"secretKey": "sk_{key}"},
    ),
    "salad": Needs({"offersEverySeconds": "10", "organization": "ours", "project": "bursts"}),
}


def ready() -> list[str]:
    """Every market of the sandbox that an adapter speaks to."""
    spoken = {kind.lower() for kind in adapters()}
    return [name for name in markets.known() if name in spoken]


def kind_of(market: str) -> str:
    """The type of a market's accounts. Raises LookupError for a market without an adapter."""
    found = next((kind for kind in adapters() if kind.lower() == market), None)
    if found is None:
        raise LookupError(f"No adapter's type is spelled like the market {market!r}.")
    return found


def account_of(market: str, sandbox: Sandbox) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Secret and the GPUProvider of a market's account on the sandbox, both of its name."""
    needs = NEEDS.get(market, Needs())
    keys = {name: text.format(key=sandbox.api_key) for name, text in needs.secrets.items()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": market, "namespace": NAMESPACE},
        "stringData": {"apiKey": sandbox.api_key, **keys},
    }
    provider = {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "GPUProvider",
        "metadata": {"name": market},
        "spec": {
            "type": kind_of(market),
            "endpoint": sandbox.urls[market],
            "credentialsSecretRef": {"namespace": NAMESPACE, "name": market},
            "capacityType": "OnDemand",
            "trustTier": "Secure",
            "priors": {"coldStartSeconds": 5},
            "config": {**COMMON, **needs.config},
        },
    }
    return secret, provider


@contextlib.contextmanager
def market_stack(
    cluster: Cluster,
    workdir: Path,
    names: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Chart, one sandbox with these markets (all, when none is named), accounts and operator."""
    served = tuple(names) or tuple(ready())
    chart.install(cluster, chart.ChartOptions(values={"rbac.providerSecrets": list(served)}))
    options = SandboxOptions(allow_exec=True, markets=served, restart_backoff_s=1.0)
    with Sandbox.start(options, log=workdir / "sandbox.log") as sandbox:
        for market in served:
            for manifest in account_of(market, sandbox):
                apply(cluster, manifest)
        token = cluster.token_kubeconfig(NAMESPACE, "overspill")
        settings = {**PATIENT, **report_urls(sandbox), **(environment or {})}
        operator = OperatorProcess.start(token, workdir, settings)
        with Stack(cluster, sandbox, operator) as running:
            operator.wait_ready()
            yield running
