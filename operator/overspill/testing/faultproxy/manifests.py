"""What the cases of the fault campaign are made of: accounts, a class, hosts, and three jobs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from overspill.testing.bed.cluster import Cluster

NAMESPACE = "overspill-system"
MARKETS = {"akash": "Akash", "vast": "Vast"}
"""Two of class B; home, where the child Job's name is the key, is class A."""
SLA_CLASS = "hasty"
API_VERSION = "overspill.dev/v1alpha1"
CONFIG = {
    "akash": {
        "bidWindowSeconds": "30",
        "bidSettleSeconds": "0.3",
        "requestTimeoutSeconds": "4",
        "listLagSeconds": "1",
    },
    "vast": {
        "requestsPerSecond": "50",
        "offersEverySeconds": "10",
        "requestTimeoutSeconds": "4",
        "listLagSeconds": "1",
        "quarantineSeconds": "3",
    },
}
HOSTS = 12
HOST_GPUS = 16
KWOK_STAGE = "pod-complete.stage.kwok.x-k8s.io"

Manifest = dict[str, Any]


def applied(cluster: Cluster, items: Sequence[Mapping[str, Any]]) -> None:
    """kubectl apply of all of them at once."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)


def account(name: str, endpoint: str, api_key: str) -> tuple[Manifest, Manifest]:
    """The Secret and the GPUProvider of a market."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": {"apiKey": api_key},
    }
    spec = {
        "type": MARKETS[name],
        "endpoint": endpoint,
        "credentialsSecretRef": {"namespace": NAMESPACE, "name": name},
        "capacityType": "OnDemand",
        "trustTier": "Audited",
        "config": CONFIG[name],
        "priors": {"coldStartSeconds": 5},
    }
    return secret, _ours("GPUProvider", {"name": name}, spec)


def sla_class() -> Manifest:
    """Bursts at once and bears a silence for a few seconds only."""
    spec = {
        "capacityTypes": ["Own", "OnDemand"],
        "burstAfterSeconds": 0,
        "pendingPatienceSeconds": 20,
        "heartbeatGraceSeconds": 10,
        "verification": "None",
        "failback": {"policy": "Never"},
    }
    return _ours("SLAClass", {"name": SLA_CLASS}, spec)


def supply() -> list[Manifest]:
    """Hosts with room for every case of a wave, each of one market, no two at one price."""
    gpu = {"model": "h100", "ram": "80Gi", "interface": "sxm"}
    return [
        {
            "name": f"{market}-{number}",
            "gpu": gpu,
            "gpus": HOST_GPUS,
            "usd_per_gpu_hour": f"{1.4 + number / 100:.2f}",
            "region": "us-west",
            "country": "US",
            "uptime": 0.999,
            "bid_delay_s": 0.3,
            "boot_s": 0.3,
            "markets": [market],
        }
        for market in MARKETS
        for number in range(HOSTS)
    ]


def case(namespace: str, markets: Sequence[str] = tuple(MARKETS)) -> list[Manifest]:
    """A namespace with a job at home and one at each market, each a second or two long."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    return [space, at_home(namespace), *(rented(namespace, market) for market in markets)]


def at_home(namespace: str) -> Manifest:
    """A job that never leaves; a simulated pod runs for a second."""
    lasts = {f"{KWOK_STAGE}/delay": "1s", f"{KWOK_STAGE}/jitter-delay": "1s"}
    return _job(namespace, "home", {"burst": "Never"}, lasts)


def rented(namespace: str, market: str) -> Manifest:
    """A job that runs at one market."""
    return _job(namespace, market, {"burst": "Only", "providers": [market]}, {})


def _job(
    namespace: str, name: str, placement: Mapping[str, Any], annotations: Mapping[str, str]
) -> Manifest:
    container = {
        "name": "main",
        "image": "busybox:1",
        "command": ["sh", "-c", "sleep 1"],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "env": [{"name": "OVERSPILL_HEARTBEAT_SECONDS", "value": "2"}],
    }
    spec = {
        "workload": "Batch",
        "slaClassName": SLA_CLASS,
        "gpu": {"count": 1},
        "budget": {"maxTotalUSD": "20"},
        "deadline": {"workSeconds": 30},
        "placement": placement,
        "template": {
            "metadata": {"annotations": annotations},
            "spec": {"containers": [container]},
        },
    }
    return _ours("GPUJob", {"name": name, "namespace": namespace}, spec)


def _ours(kind: str, metadata: Mapping[str, str], spec: Mapping[str, Any]) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
