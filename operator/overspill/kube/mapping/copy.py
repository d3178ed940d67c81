"""Writes the GPUJob of one copy of a service out of copy 0's own document (`core/copies`)."""

from collections.abc import Mapping
from typing import Any

from overspill.api import API_VERSION
from overspill.core.copies import COPY_LABEL, SERVICE_LABEL, SHAPE_ANNOTATION, Copy
from overspill.kube.mapping.writing import money, present
from overspill.kube.resources import Kind

NOT_HANDED_ON = ("replicas", "suspend", "budget", "ttlSecondsAfterFinished")
"""Of the service alone. A copy that ended stays: what it has cost is counted."""


def copy_manifest(service: Mapping[str, Any], copy: Copy) -> dict[str, Any]:
    """The GPUJob to POST; it goes when copy 0 does."""
    meta = service["metadata"]
    owner = {"apiVersion": API_VERSION, "kind": Kind.JOB.value, "controller": True}
    marks = {SERVICE_LABEL: meta["name"], COPY_LABEL: str(copy.number)}
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.JOB.value,
        "metadata": {
            "name": copy.name,
            "namespace": meta["namespace"],
            "labels": {**(meta.get("labels") or {}), **marks},
            "annotations": shape_of(service),
            "ownerReferences": [{**owner, "name": meta["name"], "uid": meta["uid"]}],
        },
        "spec": copy_spec(service, copy),
    }


def copy_spec(service: Mapping[str, Any], copy: Copy) -> dict[str, Any]:
    """The spec of copy 0 with what is this copy's own."""
    kept = {k: v for k, v in service["spec"].items() if k not in NOT_HANDED_ON}
    budget = {
        "maxTotalUSD": money(copy.max_total_usd),
        "maxHourlyUSD": money(copy.max_hourly_usd),
    }
    own = {"replicas": 1, "suspend": copy.suspend}
    return {**kept, **own, **present({"budget": present(budget)})}


def shape_of(service: Mapping[str, Any]) -> dict[str, str]:
    """The mark of the generation that a copy's spec was made from."""
    return {SHAPE_ANNOTATION: str(service["metadata"].get("generation", 1))}
