"""The objects that the demo applies: plain GPUJobs as a user would write them, nothing hidden.

Patience is compressed (seconds instead of minutes) in the SLAClass and in the home GPUProvider;
every rule behind it is the ordinary one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

Json = dict[str, Any]

API = "overspill.dev/v1alpha1"
PYTHON = "overspill.dev/python:1"
BUSYBOX = "overspill.dev/busybox:1"
NAMESPACE = "demo"
SYSTEM = "overspill-system"
GPU = "nvidia.com/gpu"
TRAINING_GPUS = 8
BATCH_GPUS = 4
STEPS = 80
CHECKPOINT_EVERY = 5
SECONDS_PER_STEP = 0.7
STORE_SECRET = "checkpoint-store"  # noqa: S105 -- the name of a Secret, not a secret


def sla_class() -> Json:
    """The class of all demo jobs: `standard`, with seconds where that has minutes."""
    spec = {
        "isDefault": False,
        "capacityTypes": ["Own", "Reserved", "OnDemand"],
        "burstAfterSeconds": 0,
        "failoverWithinSeconds": 60,
        "pendingPatienceSeconds": 30,
        "heartbeatGraceSeconds": 30,
        "verification": "Preflight",
        "failback": {"policy": "OnCheckpoint", "minSavingPercent": 10, "cooldownSeconds": 3},
    }
    return _object("SLAClass", "demo", spec, namespace="")


def home() -> Json:
    """Home at amortised rates; a node is given up after seconds of silence."""
    spec = {
        "type": "InCluster",
        "capacityType": "Own",
        "trustTier": "Own",
        "priors": {"coldStartSeconds": 2, "mtbfSeconds": 2592000},
        "ratesUSD": {"h100": "0.95", "l40s": "0.53", "*": "0.60"},
        "referenceRatesUSD": {"h100": "6.88", "l40s": "1.86", "*": "2.00"},
        "nodeHealth": {"suspectSeconds": 5, "lostSeconds": 20},
    }
    return _object("GPUProvider", "home", spec, namespace="")


def akash(endpoint: str) -> Json:
    """An Akash account whose endpoint is the sandbox."""
    spec = {
        "type": "Akash",
        "endpoint": endpoint,
        "credentialsSecretRef": {"namespace": SYSTEM, "name": "akash"},
        "capacityType": "OnDemand",
        "trustTier": "Audited",
        "priors": {"coldStartSeconds": 10, "mtbfSeconds": 432000},
        "limits": {"maxLeases": 10, "maxHourlyUSD": "50"},
        "config": {"bidWindowSeconds": "6", "bidSettleSeconds": "1", "listLagSeconds": "2"},
    }
    return _object("GPUProvider", "akash", spec, namespace="")


def store_secret(access_key: str, secret_key: str) -> Json:
    """The object store's keys; the annotation lets them travel to an audited market."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": STORE_SECRET,
            "namespace": NAMESPACE,
            "annotations": {"overspill.dev/allowed-tiers": "Audited"},
        },
        "stringData": {"accessKeyID": access_key, "secretAccessKey": secret_key},
    }


def batch(
    name: str,
    command: list[str],
    *,
    gpus: int = 1,
    model: str = "l40s",
    image: str = BUSYBOX,
    simulated_seconds: int | None = None,
    **spec: Any,
) -> Json:
    """A batch job. On a simulated node a pod runs nothing and ends after `simulated_seconds`."""
    annotations = {}
    if simulated_seconds is not None:
        stage = "pod-complete.stage.kwok.x-k8s.io"
        annotations = dict.fromkeys(
            (f"{stage}/delay", f"{stage}/jitter-delay"), f"{simulated_seconds}s"
        )
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [_container(image, command, gpus)]},
    }
    wanted = {
        "workload": "Batch",
        "slaClassName": "demo",
        "gpu": {"count": gpus, "models": [model]},
        "backoffLimit": 0,
        "template": template,
        **spec,
    }
    return _object("GPUJob", name, wanted)


def training(name: str, store_url: str, bucket: str, **spec: Any) -> Json:
    """The training job. Its program travels in its command, so that no image has to be built."""
    program = Path(__file__).with_name("train.py").read_text(encoding="utf-8")
    container = _container(PYTHON, ["python3", "-c", program], TRAINING_GPUS)
    container["env"] = [
        {"name": "TRAIN_STEPS", "value": str(STEPS)},
        {"name": "TRAIN_CHECKPOINT_EVERY", "value": str(CHECKPOINT_EVERY)},
        {"name": "TRAIN_SECONDS_PER_STEP", "value": str(SECONDS_PER_STEP)},
        {"name": "OVERSPILL_HEARTBEAT_SECONDS", "value": "2"},
        {"name": "AWS_ENDPOINT_URL", "value": store_url},
        _from_store("AWS_ACCESS_KEY_ID", "accessKeyID"),
        _from_store("AWS_SECRET_ACCESS_KEY", "secretAccessKey"),
    ]
    wanted = {
        "workload": "Training",
        "slaClassName": "demo",
        "gpu": {"count": TRAINING_GPUS, "models": ["h100"]},
        "deadline": {"finishWithinSeconds": 3600, "workSeconds": int(STEPS * SECONDS_PER_STEP)},
        "budget": {"maxTotalUSD": "10", "maxHourlyUSD": "20"},
        "checkpoint": {"uri": f"s3://{bucket}/{name}", "intervalSeconds": 5, "restoreSeconds": 1},
        "template": {
            "spec": {"terminationGracePeriodSeconds": 2, "containers": [container]},
        },
        **spec,
    }
    return _object("GPUJob", name, wanted)


def _container(image: str, command: list[str], gpus: int) -> Json:
    return {
        "name": "main",
        "image": image,
        "command": command,
        "resources": {"limits": {GPU: str(gpus)}},
    }


def _from_store(name: str, key: str) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": STORE_SECRET, "key": key}}}


def _object(kind: str, name: str, spec: Json, namespace: str = NAMESPACE) -> Json:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}
