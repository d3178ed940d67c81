"""The world of the replay: nodes shaped like the trace's, other teams' load, a market, an operator.

Called by `demo.trace`. Everything is real but the nodes and the GPUs; rented leases run their
command under the runner as processes of this machine.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.trace_input import Replayed, Sample, TraceNode
from overspill.cli.cluster import KubeCluster, connect
from overspill.cli.options import Target
from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions, NodeSpec
from overspill.testing.bed.progress import Progress
from overspill.testing.operator import OperatorProcess, free_port
from overspill.testing.sandbox import Sandbox

Json = dict[str, Any]

API = "overspill.dev/v1alpha1"
NAMESPACE = "trace"
SYSTEM = "overspill-system"
PRESSURE = 1.5
"""GPUs that the jobs would use at once, at most, for each one that others leave free at home."""


@dataclass(frozen=True)
class Model:
    """One GPU model of the trace: as a node's label says it, as our API does, at which prices."""

    canonical: str
    product: str
    memory_gib: int
    compute: tuple[int, int]
    home_usd: str
    market_usd: str
    reference_usd: str
    interface: str = "pcie"


MODELS = {
    "T4": Model("t4", "Tesla-T4", 16, (7, 5), "0.12", "0.15", "0.53"),
    "P100": Model("p100", "Tesla-P100-PCIE-16GB", 16, (6, 0), "0.16", "0.19", "1.46"),
    "V100M16": Model(
        "v100-16gb", "Tesla-V100-SXM2-16GB", 16, (7, 0), "0.30", "0.34", "3.06", "sxm"
    ),
    "V100M32": Model(
        "v100-32gb", "Tesla-V100-SXM2-32GB", 32, (7, 0), "0.36", "0.42", "3.90", "sxm"
    ),
    "A10": Model("a10", "NVIDIA-A10", 24, (8, 6), "0.28", "0.33", "1.01"),
    "G2": Model("g2", "NVIDIA-G2", 24, (8, 6), "0.28", "0.33", "1.01"),
    "G3": Model("g3", "NVIDIA-G3", 40, (8, 0), "0.63", "0.74", "2.74"),
}
"""The trace hides two models behind G2 and G3: they are given an A10's and an A100's prices.
Reference prices are list prices on demand per GPU-hour (AWS us-east-1; P100: Google Cloud)."""

HOST_GPUS = 32
HOSTS = (("alder", "us-west", "US"), ("birch", "eu-west", "DE"))


@dataclass
class World:
    """What the replay plays in."""

    bed: Bed
    market: Sandbox
    operator: OperatorProcess
    cluster: KubeCluster
    sample: Sample


@contextlib.contextmanager
def opened(sample: Sample, seed: int, progress: Progress) -> Iterator[World]:
    """The world, ready; everything ends with it."""
    with contextlib.ExitStack() as closing:
        # Nodes are given up as in an ordinary cluster: a busy machine must not look like a loss.
        options = BedOptions(real_node="no", fast_node_loss=False)
        bed = closing.enter_context(Bed.start(options, progress))
        logs = bed.workdir / "trace"
        logs.mkdir(exist_ok=True)
        market = closing.enter_context(_market(logs))
        progress(f"trace: adding {len(sample.nodes)} nodes with {sample.gpus} GPUs")
        bed.nodes.add_many([spec(node) for node in sample.nodes], timeout=300)
        _furnish(bed, market)
        progress("trace: other teams' pods take their share of the nodes")
        _apply(bed, *neighbours(sample, seed))
        progress("trace: starting the operator")
        operator = _operator(bed, market, logs)
        closing.callback(operator.stop)
        operator.wait_ready()
        cluster = connect(Target(str(bed.kubeconfig), None, NAMESPACE))
        yield World(bed, market, operator, cluster, sample)


def spec(node: TraceNode) -> NodeSpec:
    """A simulated node of that shape."""
    model = MODELS[node.model]
    return NodeSpec(
        name=node.name,
        gpus=node.gpus,
        product=model.product,
        memory_mib=model.memory_gib * 1024,
        family=node.model.lower(),
        compute=model.compute,
        cpu=f"{node.cpu_milli}m",
        memory=f"{node.memory_mib}Mi",
    )


def neighbours(sample: Sample, seed: int) -> list[Json]:
    """Pods of other teams that hold so many GPUs that the replayed jobs do not all fit at home.

    The trace's own list keeps fewer than one GPU in a hundred busy at any moment: it was
    published to be packed until a cluster is full.
    """
    dice = random.Random(f"neighbours {seed}")  # noqa: S311  (a repeatable load)
    held = max(0, round(sample.gpus - sample.peak / PRESSURE))
    slots = [node.name for node in sample.nodes for _ in range(node.gpus)]
    taken: dict[str, int] = {}
    for name in dice.sample(slots, min(held, len(slots))):
        taken[name] = taken.get(name, 0) + 1
    # Whole nodes are left free now and then, as in any cluster: gangs of eight need one.
    return [_neighbour(name, count) for name, count in sorted(taken.items())]


def _neighbour(node: str, gpus: int) -> Json:
    container = {
        "name": "main",
        "image": "busybox:1",
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"held-{node}", "namespace": "others"},
        "spec": {"nodeName": node, "containers": [container]},
    }


def job(replayed: Replayed) -> Json:
    """The GPUJob of one pod of the trace, as a user would write it."""
    traced = replayed.job
    stage, seconds = "pod-complete.stage.kwok.x-k8s.io", f"{replayed.seconds}s"
    requests = {"cpu": f"{traced.cpu_milli}m", "memory": f"{traced.memory_mib}Mi"}
    container = {
        "name": "main",
        "image": "busybox:1",
        "command": ["sleep", str(replayed.seconds)],
        "resources": {"limits": {"nvidia.com/gpu": str(traced.gpus)}, "requests": requests},
    }
    annotations = dict.fromkeys((f"{stage}/delay", f"{stage}/jitter-delay"), seconds)
    wanted: Json = {"count": traced.gpus}
    if traced.models:
        wanted["models"] = [MODELS[model].canonical for model in traced.models]
    body = {
        "workload": "Batch",
        "slaClassName": "trace",
        "gpu": wanted,
        "backoffLimit": 0,
        "budget": {"maxTotalUSD": "20"},
        "deadline": {"finishWithinSeconds": 3600, "workSeconds": replayed.seconds},
        "template": {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}},
    }
    return _object("GPUJob", traced.name, body, NAMESPACE)


def policy(market: Sandbox) -> Sequence[Json]:
    """Class, home and market account: the product's rules with seconds where they have minutes."""
    sla = {
        "isDefault": False,
        "capacityTypes": ["Own", "Reserved", "OnDemand"],
        "burstAfterSeconds": 5,
        "failoverWithinSeconds": 60,
        "pendingPatienceSeconds": 30,
        "heartbeatGraceSeconds": 120,
        "verification": "Preflight",
        "failback": {"policy": "Never"},
    }
    home = {
        "type": "InCluster",
        "capacityType": "Own",
        "trustTier": "Own",
        "priors": {"coldStartSeconds": 2, "mtbfSeconds": 2592000},
        "ratesUSD": {m.canonical: m.home_usd for m in MODELS.values()},
        "referenceRatesUSD": {m.canonical: m.reference_usd for m in MODELS.values()},
        "nodeHealth": {"suspectSeconds": 15, "lostSeconds": 30},
    }
    akash = {
        "type": "Akash",
        "endpoint": market.url,
        "credentialsSecretRef": {"namespace": SYSTEM, "name": "akash"},
        "capacityType": "OnDemand",
        "trustTier": "Audited",
        "priors": {"coldStartSeconds": 5, "mtbfSeconds": 432000},
        "config": {"bidWindowSeconds": "6", "bidSettleSeconds": "1", "listLagSeconds": "2"},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "akash", "namespace": SYSTEM},
        "stringData": {"apiKey": market.api_key},
    }
    return (
        secret,
        _object("SLAClass", "trace", sla),
        _object("GPUProvider", "home", home),
        _object("GPUProvider", "akash", akash),
    )


def supply() -> Json:
    """The market's hosts: every model of the trace, in two regions."""
    hosts = [
        {
            "name": f"{name}-{model.canonical}",
            "gpu": {
                "model": model.canonical.split("-")[0],
                "ram": f"{model.memory_gib}Gi",
                "interface": model.interface,
            },
            "gpus": HOST_GPUS,
            "usd_per_gpu_hour": model.market_usd,
            "region": region,
            "country": country,
            "cpu_units": 1024,
            "memory_gib": 8192,
            "bid_delay_s": 1.0,
            "boot_s": 1.0,
        }
        for name, region, country in HOSTS
        for model in MODELS.values()
    ]
    return {"hosts": hosts}


def _market(logs: Path) -> Sandbox:
    file = logs / "supply.json"
    file.write_text(json.dumps(supply()))
    # Plain processes: a network namespace for each of a hundred leases is not the point here.
    options = SandboxOptions(allow_exec=True, isolate=False, supply=file)
    return Sandbox.start(options, log=logs / "market.log")


def _furnish(bed: Bed, market: Sandbox) -> None:
    chart.install(bed, chart.ChartOptions(values={"rbac.providerSecrets": ["akash"]}))
    for name in (NAMESPACE, "others"):
        bed.kubectl("create", "namespace", name)
    _apply(bed, *policy(market))


def _apply(bed: Bed, *objects: Json) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(listed))


def _operator(bed: Bed, market: Sandbox, logs: Path) -> OperatorProcess:
    port = free_port()
    outside = market.bridge_address or "127.0.0.1"
    settings = {
        "OVERSPILL_REPORT_LISTEN": f"0.0.0.0:{port}",
        "OVERSPILL_REPORT_URL": f"http://{outside}:{port}",
        # As in production: an election that a busy machine does not lose.
        "OVERSPILL_LEASE_DURATION_S": "15",
        "OVERSPILL_RENEW_DEADLINE_S": "10",
        "OVERSPILL_RETRY_PERIOD_S": "2",
        "OVERSPILL_PERMIT_S": "20",
        "OVERSPILL_REQUEST_S": "10",
        "OVERSPILL_POLL_PERIOD_S": "3",
        "OVERSPILL_SWEEP_PERIOD_S": "15",
    }
    account = bed.token_kubeconfig(SYSTEM, "overspill")
    return OperatorProcess.start(account, logs, settings)


def _object(kind: str, name: str, spec: Json, namespace: str = "") -> Json:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}
