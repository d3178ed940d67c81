"""Reads a GPUJob: the spec as its user wrote it, the status as we last wrote it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.job import Attempt, Checkpoint, Job
from overspill.core.lease import JobRef
from overspill.core.offer import GpuRequirements
from overspill.core.vocabulary import (
    Burst,
    CapacityType,
    DataClass,
    FailbackPolicy,
    Fencing,
    InterconnectClass,
    InterconnectMode,
    VerificationMode,
    Workload,
)
from overspill.kube.mapping.reading import Fields, shared
from overspill.kube.packed import packed
from overspill.kube.resources import Kind

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def read_job(obj: Mapping[str, Any], before: Job | None = None) -> Job:
    """The core's Job of a GPUJob document. Of the generation that `before` was read from, only
    what may have changed is read: most versions of a job differ in their status alone."""
    root = Fields(obj, "")
    meta, spec = root.inside("metadata"), root.inside("spec")
    if before is not None and _is_same_spec(meta, before):
        return replace(before, **_identity(meta), **_status(root.inside("status")))
    created = meta.required_time("creationTimestamp")
    return Job(
        ref=JobRef(meta.required("namespace"), meta.required("name"), meta.required("uid")),
        generation=meta.number("generation", 1),
        created_at=created,
        gpu=_gpu(spec.inside("gpu")),
        template=packed(spec.mapping("template")),
        **_identity(meta),
        **_work(spec, created),
        **_placement(spec),
        **_recovery(spec),
        **_status(root.inside("status")),
    )


def _is_same_spec(meta: Fields, before: Job) -> bool:
    """The API server counts a generation at every change of the spec, per uid."""
    return meta.whole("generation") == before.generation and meta.required("uid") == before.ref.uid


def _identity(meta: Fields) -> dict[str, Any]:
    """What changes without a new generation, beside the status."""
    return {
        "resource_version": meta.required("resourceVersion"),
        "labels": meta.mapping("labels"),
        "annotations": _annotations(meta),
        "deletion_requested": meta.has("deletionTimestamp"),
        **_owner(meta),
    }


def _owner(meta: Fields) -> dict[str, str]:
    """The GPUJob whose copy this one is; others own it for reasons of their own."""
    for owner in meta.each("ownerReferences"):
        if owner.flag("controller") and owner.text("kind") == Kind.JOB.value:
            return {"owner_name": owner.required("name"), "owner_uid": owner.required("uid")}
    return {"owner_name": "", "owner_uid": ""}


def _annotations(meta: Fields) -> Mapping[str, str]:
    """Without kubectl's copy of the whole manifest, which would double what we remember."""
    found = meta.mapping("annotations")
    return {name: text for name, text in found.items() if name != LAST_APPLIED}


def _gpu(gpu: Fields) -> GpuRequirements:
    fabric = gpu.inside("interconnect")
    return GpuRequirements(
        count=gpu.number("count", 1),
        models=gpu.texts("models"),
        memory_min_gib=gpu.gib("memoryMin"),
        compute_capability_min=gpu.version_pair("computeCapabilityMin"),
        interconnect=fabric.word("class", InterconnectClass, InterconnectClass.NONE),
        interconnect_mode=fabric.word("mode", InterconnectMode, InterconnectMode.PREFERRED),
    )


def _work(spec: Fields, created: datetime) -> dict[str, Any]:
    """What is to be done, by when, and for how much."""
    deadline, budget = spec.inside("deadline"), spec.inside("budget")
    return {
        "workload": spec.word("workload", Workload, Workload.TRAINING),
        "sla_class": spec.text("slaClassName"),
        "num_nodes": spec.number("numNodes", 1),
        "replicas": spec.number("replicas", 1),
        "suspend": spec.flag("suspend"),
        "managed_by": spec.text("managedBy"),
        "max_total_usd": budget.decimal("maxTotalUSD"),
        "max_hourly_usd": budget.decimal("maxHourlyUSD"),
        "finish_by": _finish_by(deadline, created),
        "work": deadline.seconds("workSeconds"),
        "active_deadline": spec.seconds("activeDeadlineSeconds"),
        "data_gib": sum((d.money("sizeGiB") for d in spec.each("data")), Decimal(0)),
        "checkpoint": _checkpoint(spec),
        "endpoint_port": spec.inside("endpoint").whole("port"),
    }


def _finish_by(deadline: Fields, created: datetime) -> datetime | None:
    """An instant either way: a span counts from the job's creation."""
    span = deadline.seconds("finishWithinSeconds")
    return deadline.time("finishByTime") or (None if span is None else created + span)


def _checkpoint(spec: Fields) -> Checkpoint | None:
    if not spec.has("checkpoint"):
        return None
    found = spec.inside("checkpoint")
    return Checkpoint(
        uri=found.required("uri"),
        interval=found.seconds("intervalSeconds") or timedelta(hours=1),
        size_gib=found.money("sizeGiB"),
        restore=found.seconds("restoreSeconds") or timedelta(0),
    )


def _placement(spec: Fields) -> dict[str, Any]:
    placement, failback = spec.inside("placement"), spec.inside("failback")
    verified = placement if placement.has("minVerification") else spec.inside("verification")
    field = "minVerification" if verified is placement else "mode"
    may_burst = Burst.ALLOWED if spec.inside("budget").has("maxTotalUSD") else Burst.NEVER
    return {
        "burst": placement.word("burst", Burst, may_burst),
        "burst_after": placement.seconds("burstAfterSeconds"),
        "providers": placement.texts("providers"),
        "regions": placement.texts("regions"),
        "max_rtt_ms": placement.whole("maxRTTMillis"),
        "capacity_types": placement.words("capacityTypes", CapacityType),
        "data_class": placement.word("dataClass", DataClass, DataClass.INTERNAL),
        "min_verification": verified.word(field, VerificationMode, VerificationMode.NONE),
        "failback_policy": failback.maybe_word("policy", FailbackPolicy),
        "failback_min_saving_percent": failback.whole("minSavingPercent"),
        "failback_cooldown": failback.seconds("cooldownSeconds"),
    }


def _recovery(spec: Fields) -> dict[str, Any]:
    recovery = spec.inside("recovery")
    return {
        "max_moves": recovery.number("maxMoves", 20),
        "retry_exit_codes": recovery.wholes("onExitCodes"),
        "fencing": recovery.word("fencing", Fencing, Fencing.IMMEDIATE),
        "backoff_limit": spec.number("backoffLimit", 6),
        "ttl_after_finished": spec.seconds("ttlSecondsAfterFinished"),
    }


def _status(status: Fields) -> dict[str, Any]:
    progress = status.inside("progress")
    return {
        "conditions": tuple(shared(c) for c in status.values("conditions")),
        "attempts": tuple(_attempt(attempt) for attempt in status.each("attempts")),
        "moves": status.number("moves", 0),
        "failures": status.number("failures", 0),
        "last_move_at": status.time("lastMoveTime"),
        "durable_checkpoint_uri": progress.text("lastCheckpointURI"),
        "durable_checkpoint_step": progress.whole("lastCheckpointStep"),
        "durable_checkpoint_at": progress.time("lastCheckpointTime"),
        "progress_percent": progress.whole("percentage"),
        "closed_cost_usd": status.money("closedCostUSD"),
        "reference_closed_usd": status.money("closedReferenceUSD"),
        "status": packed(status.whole_document()),
    }


def _attempt(attempt: Fields) -> Attempt:
    return Attempt(
        number=attempt.number("number", 0),
        lease=attempt.text("leaseName"),
        provider=attempt.text("provider"),
        place=attempt.text("place"),
        started_at=attempt.time("startTime"),
        ended_at=attempt.time("endTime"),
        reason=attempt.text("reason"),
        exit_code=attempt.whole("exitCode"),
        checkpoint_uri=attempt.text("checkpointURI"),
        checkpoint_step=attempt.whole("checkpointStep"),
        cost_usd=attempt.money("costUSD"),
    )
