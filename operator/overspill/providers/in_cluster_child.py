"""Writes the child at home: a batch/v1 Job, for a gang an Indexed Job and a headless Service.

Pure; called by `InCluster.open`. The child's name is the lease's name, which makes the POST
idempotent. It has no owner: garbage collection must never end work because a ledger entry was
deleted or restored under another uid; the engine deletes it, and the sweep finds what is left.
The Service of a gang is owned by its Job and goes with it.
"""

import copy
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from overspill.ports import OpenRequest
from overspill.runner.wrap import main_container

GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"
SHARING = "nvidia.com/gpu.sharing-strategy"

PREFIX = "overspill.dev"
JOB_LABEL = f"{PREFIX}/job"
JOB_UID_LABEL = f"{PREFIX}/job-uid"
LEASE_LABEL = f"{PREFIX}/lease"
ATTEMPT_LABEL = f"{PREFIX}/attempt"
CLUSTER_LABEL = f"{PREFIX}/cluster"
PROVIDER_LABEL = f"{PREFIX}/provider"
PLANNED_LABEL = f"{PREFIX}/planned-node"
PRODUCT_LABEL = f"{PREFIX}/gpu-product"
SELECTOR, BOOT = "selector", "bootSeconds"
"""Attributes of an offer: labels that its nodes bear (`k=v,k=v`); the node does not exist yet."""
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
KUEUE_PREFIX = "kueue.x-k8s.io/"

TTL_AFTER_FINISHED_S = 3600
"""Long enough for any observer; normally the engine deletes the child at once."""
GANG_PORT = 29500
"""A headless Service needs no port to resolve; torchrun's default is named for readers."""


def child_job(request: OpenRequest, tolerated: frozenset[str]) -> dict[str, Any]:
    """The Job to POST; the report token is put in here and nowhere else."""
    lease, asked = request.lease, request.lease.request
    spec: dict[str, Any] = {
        # One try: whether and where to try again is decided by the engine, not by the Job.
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
        },
        "podReplacementPolicy": "Failed",
        "ttlSecondsAfterFinished": TTL_AFTER_FINISHED_S,
        "template": _pod_template(request, tolerated),
    }
    if asked.active_deadline_seconds is not None:
        spec["activeDeadlineSeconds"] = asked.active_deadline_seconds
    if asked.num_nodes > 1:
        size = asked.num_nodes
        spec.update(completionMode="Indexed", completions=size, parallelism=size)
    queue = {k: v for k, v in asked.labels if k.startswith(KUEUE_PREFIX)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": lease.name,
            "namespace": lease.namespace,
            "labels": {**queue, **child_labels(request)},
        },
        "spec": spec,
    }


def gang_service(request: OpenRequest, job_uid: str) -> dict[str, Any]:
    """The headless Service that gives the gang's pods their names; owned by the Job."""
    lease = request.lease
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": lease.name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": lease.name,
            "namespace": lease.namespace,
            "labels": child_labels(request),
            "ownerReferences": [owner],
        },
        "spec": {
            "clusterIP": "None",
            # Ranks must find each other before any of them is ready.
            "publishNotReadyAddresses": True,
            "selector": {LEASE_LABEL: lease.name},
            "ports": [{"name": "rendezvous", "port": GANG_PORT}],
        },
    }


def child_labels(request: OpenRequest) -> dict[str, str]:
    """The labels every child and pod of a lease carries."""
    lease = request.lease
    return {
        JOB_LABEL: label_value(lease.job.name),
        JOB_UID_LABEL: lease.job.uid,
        LEASE_LABEL: lease.name,
        ATTEMPT_LABEL: str(lease.attempt),
        CLUSTER_LABEL: lease.cluster_id[:8],
        PROVIDER_LABEL: lease.provider,
    }


def planned_nodes(request: OpenRequest) -> tuple[str, ...]:
    """The nodes that placement chose: one, or one for each rank of a gang."""
    node = request.lease.request.home_node
    named = request.offer.attribute("nodes").split(",")
    return (node,) if node else tuple(name for name in named if name)


def selector_of(request: OpenRequest) -> dict[str, str]:
    """The labels of the pool that placement chose; {} where it chose plain home nodes."""
    pairs = (pair.partition("=") for pair in request.offer.attribute(SELECTOR).split(",") if pair)
    return {key: value for key, _, value in pairs}


def label_value(name: str) -> str:
    """A name as a label value: itself, or cut to 63 characters with a digest when longer."""
    if len(name) <= 63:
        return name
    return f"{name[:50].rstrip('-._')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _pod_template(request: OpenRequest, tolerated: frozenset[str]) -> dict[str, Any]:
    asked = request.lease.request
    template: dict[str, Any] = copy.deepcopy(dict(asked.template))
    meta, spec = template.setdefault("metadata", {}), template.setdefault("spec", {})
    meta["labels"] = {**(meta.get("labels") or {}), **_pod_labels(request)}
    spec["restartPolicy"] = "Never"
    spec.setdefault("terminationGracePeriodSeconds", asked.grace_period_seconds)
    spec["tolerations"] = _tolerations(spec.get("tolerations") or [], tolerated)
    _steer(spec, request)
    _ask_gpus(spec, asked.gpu_count)
    env = [*_token_env(request), *(_gang_env(request) if asked.num_nodes > 1 else [])]
    if asked.num_nodes > 1:
        spec["subdomain"] = request.lease.name
    container = main_container(spec)
    container["env"] = _merged(container.get("env") or [], env)
    return template


def _pod_labels(request: OpenRequest) -> dict[str, str]:
    """Beside the child's own labels: where the pod was planned, until it is bound."""
    labels = child_labels(request)
    if node := request.lease.request.home_node:
        labels[PLANNED_LABEL] = label_value(node)
    if product := request.offer.attribute("product"):
        labels[PRODUCT_LABEL] = product
    return labels


def _tolerations(own: list[Any], keys: frozenset[str]) -> list[Any]:
    wanted = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in sorted(keys)]
    return [*own, *(t for t in wanted if t not in own)]


def _steer(spec: dict[str, Any], request: OpenRequest) -> None:
    """Prefers the planned node; demands its kind of GPU, unshared, which the price was made for."""
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    demands: list[dict[str, Any]] = [
        {"key": SHARING, "operator": "NotIn", "values": ["time-slicing", "mps"]}
    ]
    if product := request.offer.attribute("product"):
        demands.append({"key": PRODUCT, "operator": "In", "values": [product]})
    # An autoscaler adds a node for labels that its pool gives, not for what is discovered later.
    for key, value in selector_of(request).items():
        demands.append({"key": key, "operator": "In", "values": [value]})
    required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.get("nodeSelectorTerms") or [{}]
    required["nodeSelectorTerms"] = [_also(term, demands) for term in terms]
    preferred = affinity.setdefault("preferredDuringSchedulingIgnoredDuringExecution", [])
    for node in () if request.offer.attribute(BOOT) else planned_nodes(request):
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        preferred.append({"weight": 100, "preference": {"matchFields": [field]}})


def _also(term: Mapping[str, Any], demands: list[dict[str, Any]]) -> dict[str, Any]:
    """One of the user's alternatives, with ours demanded in each of them."""
    return {**term, "matchExpressions": [*(term.get("matchExpressions") or []), *demands]}


def _ask_gpus(spec: dict[str, Any], count: int) -> None:
    """Sets the GPU limit on the main container, unless some container asks already."""
    containers = spec["containers"]
    if any(GPU in ((c.get("resources") or {}).get("limits") or {}) for c in containers):
        return
    main = main_container(spec)
    main["resources"] = resources = dict(main.get("resources") or {})
    resources["limits"] = {**(resources.get("limits") or {}), GPU: count}


def _token_env(request: OpenRequest) -> list[dict[str, Any]]:
    """The report token, which is resolved when sending and stands in none of our objects."""
    values = {k: v for k, v in request.secrets.items() if re.fullmatch(r"OVERSPILL_[A-Z_]+", k)}
    return [{"name": name, "value": value} for name, value in values.items()]


def _gang_env(request: OpenRequest) -> list[dict[str, Any]]:
    """What the ranks of a gang need to meet. The name resolves within the pod's own namespace."""
    name = request.lease.name
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX_ANNOTATION}']"}}
    return [
        {"name": "OVERSPILL_NUM_NODES", "value": str(request.lease.request.num_nodes)},
        {"name": "OVERSPILL_NODE_RANK", "valueFrom": rank},
        {"name": "OVERSPILL_MASTER_ADDR", "value": f"{name}-0.{name}"},
    ]


def _merged(own: list[Any], ours: list[dict[str, Any]]) -> list[Any]:
    """Ours win: a name given twice would be refused by server-side apply and confuse everyone."""
    names = {entry["name"] for entry in ours}
    return [*(entry for entry in own if entry.get("name") not in names), *ours]
