"""Creates objects on an API server as fast as it takes them, and remembers when it took each.

Used by the storm for its GPUJobs and for the raw create rate beside them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from overspill.core.errors import ClusterUnavailable
from overspill.kube.resources import Kind, collection
from overspill.kube.verbs import Verbs

Json = dict[str, Any]

API = "overspill.dev/v1alpha1"
CLASS = "storm"
PARALLEL = 48
STAGE = "pod-complete.stage.kwok.x-k8s.io"


@dataclass
class Created:
    """When each object was accepted, on this process's monotonic clock, by name."""

    began: float = 0.0
    ended: float = 0.0
    at: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    """Answers "try later" (429, 5xx, none in time) that were asked again."""

    @property
    def rate(self) -> float:
        """Objects per second over the whole burst."""
        return len(self.at) / max(self.ended - self.began, 1e-9)


async def create_all(verbs: Verbs, path: str, bodies: Iterable[Mapping[str, Any]]) -> Created:
    """POSTs every body, a bounded number at a time."""
    made, limit = Created(began=time.monotonic()), asyncio.Semaphore(PARALLEL)

    async def one(body: Mapping[str, Any]) -> None:
        async with limit:
            while not await _accepted(verbs, path, body):
                made.refused += 1
                await asyncio.sleep(0.2)
            made.at[body["metadata"]["name"]] = time.monotonic()

    async with asyncio.TaskGroup() as group:
        for body in bodies:
            group.create_task(one(body))
    made.ended = time.monotonic()
    return made


async def _accepted(verbs: Verbs, path: str, body: Mapping[str, Any]) -> bool:
    """False when the server could not take it now. Every name is used once, so a POST whose
    answer was lost would show as a Conflict and end the measurement."""
    try:
        await verbs.create(path, body)
    except ClusterUnavailable:
        return False
    return True


def jobs_path(namespace: str) -> str:
    """Where GPUJobs of the storm are POSTed."""
    return collection(Kind.JOB, namespace)


def storm_job(name: str, namespace: str, seconds: int) -> Json:
    """One GPU at home for a few seconds, on a simulated node."""
    delay = dict.fromkeys((f"{STAGE}/delay", f"{STAGE}/jitter-delay"), f"{seconds}s")
    container = {
        "name": "main",
        "image": "busybox:1",
        "command": ["sleep", str(seconds)],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    spec = {
        "workload": "Batch",
        "slaClassName": CLASS,
        "gpu": {"count": 1},
        "placement": {"burst": "Never"},
        "template": {"metadata": {"annotations": delay}, "spec": {"containers": [container]}},
    }
    return _object("GPUJob", name, namespace, spec)


def storm_class() -> Json:
    """`standard`, but patient: a control plane that is busy must not look like a full home."""
    spec = {
        "isDefault": False,
        "capacityTypes": ["Own"],
        "pendingPatienceSeconds": 3600,
    }
    found = _object("SLAClass", CLASS, "", spec)
    del found["metadata"]["namespace"]
    return found


def small_object(name: str, namespace: str) -> Json:
    """The small custom resource of the raw rate: a GPUBudget in a namespace without jobs."""
    return _object("GPUBudget", name, namespace, {"limitUSD": "1", "period": "Daily"})


def _object(kind: str, name: str, namespace: str, spec: Json) -> Json:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec}
