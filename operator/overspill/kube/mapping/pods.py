"""Reads what matters of nodes and pods; the raw JSON is not kept. Used by `home`."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from overspill.kube.mapping.reading import Fields
from overspill.kube.mapping.writing import money
from overspill.ports import NodeState, PodState

GPU = "nvidia.com/gpu"


def read_node(obj: Mapping[str, Any]) -> NodeState | None:
    """A node with NVIDIA GPUs, even while its device plugin offers none; None for others."""
    root = Fields(obj, "")
    meta, status = root.inside("metadata"), root.inside("status")
    allocatable = status.mapping("allocatable")
    if GPU not in allocatable and GPU not in status.mapping("capacity"):
        return None
    return NodeState(
        name=meta.required("name"),
        labels=meta.mapping("labels"),
        taints=root.inside("spec").values("taints"),
        unschedulable=root.inside("spec").flag("unschedulable"),
        allocatable={name: str(amount) for name, amount in allocatable.items()},
        conditions={c.required("type"): c.text("status") for c in status.each("conditions")},
        created_at=meta.time("creationTimestamp"),
    )


def read_pod(obj: Mapping[str, Any]) -> PodState:
    """A pod with what it asks for and how its first container fares."""
    root = Fields(obj, "")
    meta, spec, status = root.inside("metadata"), root.inside("spec"), root.inside("status")
    requests = _requests(spec)
    running, ended = _first_container(status)
    reason, message = _why(status, ended)
    return PodState(
        namespace=meta.required("namespace"),
        name=meta.required("name"),
        uid=meta.required("uid"),
        node=spec.text("nodeName"),
        phase=status.text("phase", "Pending"),
        gpus=int(requests.get(GPU, Decimal(0))),
        labels=meta.mapping("labels"),
        reason=reason,
        message=message,
        exit_code=ended.whole("exitCode"),
        deletion_requested=meta.has("deletionTimestamp"),
        ends_by=meta.time("deletionTimestamp"),
        started_at=running.time("startedAt") or ended.time("startedAt"),
        finished_at=ended.time("finishedAt"),
        requests={name: money(amount) or "0" for name, amount in requests.items()},
        bound_at=_bound_at(status),
    )


def _bound_at(status: Fields) -> Any:
    """When the scheduler found a node; from then on a home lease is charged."""
    for condition in status.each("conditions"):
        if condition.text("type") == "PodScheduled" and condition.text("status") == "True":
            return condition.time("lastTransitionTime")
    return None


def _requests(spec: Fields) -> dict[str, Decimal]:
    """What the scheduler counts: containers and sidecars together, or one init step if larger."""
    total = _sum(_of_container(c) for c in spec.each("containers"))
    steps: list[dict[str, Decimal]] = []
    for step in spec.each("initContainers"):
        if step.text("restartPolicy") == "Always":
            total = _sum((total, _of_container(step)))
        else:
            steps.append(_of_container(step))
    largest = {name: max(s.get(name, Decimal(0)) for s in steps) for s in steps for name in s}
    names = total.keys() | largest.keys()
    return {n: max(total.get(n, Decimal(0)), largest.get(n, Decimal(0))) for n in names}


def _of_container(container: Fields) -> dict[str, Decimal]:
    """Limits stand in where requests are not written."""
    resources = container.inside("resources")
    return {**resources.quantities("limits"), **resources.quantities("requests")}


def _sum(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def _first_container(status: Fields) -> tuple[Fields, Fields]:
    """The running and the terminated state of the container that runs the workload."""
    for container in status.each("containerStatuses"):
        state = container.inside("state")
        return state.inside("running"), state.inside("terminated")
    return Fields({}, ""), Fields({}, "")


def _why(status: Fields, ended: Fields) -> tuple[str, str]:
    """The most telling reason: of the pod, of its container, of the scheduler."""
    if status.text("reason"):
        return status.text("reason"), status.text("message")
    if ended.text("reason"):
        return ended.text("reason"), ended.text("message")
    for container in (*status.each("initContainerStatuses"), *status.each("containerStatuses")):
        waiting = container.inside("state").inside("waiting")
        if waiting.text("reason"):
            return waiting.text("reason"), waiting.text("message")
    for condition in status.each("conditions"):
        if condition.text("type") == "PodScheduled" and condition.text("status") == "False":
            return condition.text("reason"), condition.text("message")
    return "", ""
