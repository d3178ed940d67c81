"""Reads a GPULease: the immutable spec that was paid for, and the status of the protocol."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from overspill.core.lease import Closing, Handle, JobRef, Lease, Permit
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.kube.mapping.offer import read_offer
from overspill.kube.mapping.reading import Fields, shared
from overspill.kube.mapping.request import read_request
from overspill.kube.resources import LEASE_FINALIZER, RESOLVE_ANNOTATION


def read_lease(obj: Mapping[str, Any], before: Lease | None = None) -> Lease:
    """The core's Lease of a GPULease document. The spec never changes: it is not read again where
    `before` is the same lease."""
    root = Fields(obj, "")
    meta, spec = root.inside("metadata"), root.inside("spec")
    if before is not None and meta.required("uid") == before.uid:
        status = _status(root.inside("status"), before.name)
        return replace(before, **_identity(meta), **status)
    name, namespace, job = meta.required("name"), meta.required("namespace"), spec.inside("jobRef")
    return Lease(
        name=name,
        namespace=namespace,
        uid=meta.required("uid"),
        created_at=meta.required_time("creationTimestamp"),
        job=JobRef(namespace, job.required("name"), job.required("uid")),
        attempt=spec.number("attempt", 1),
        provider=spec.required("provider"),
        cluster_id=spec.required("clusterID"),
        is_home=spec.flag("home"),
        offer=read_offer(spec.inside("offer")),
        request=read_request(spec.inside("request")),
        max_usd_per_hour=spec.money("maxHourlyUSD"),
        max_total_usd=spec.money("maxTotalUSD"),
        hard_deadline=spec.required_time("hardDeadlineTime"),
        **_identity(meta),
        **_status(root.inside("status"), name),
    )


def _identity(meta: Fields) -> dict[str, Any]:
    """What others change beside the status."""
    return {
        "resource_version": meta.required("resourceVersion"),
        "has_finalizer": LEASE_FINALIZER in meta.texts("finalizers"),
        "deletion_requested": meta.has("deletionTimestamp"),
        "resolution": meta.inside("annotations").text(RESOLVE_ANNOTATION),
    }


def _status(status: Fields, key: str) -> dict[str, Any]:
    return {
        "state": status.word("state", LeaseState, LeaseState.PLANNED),
        "permit": _permit(status),
        "handle": _handle(status, key),
        "price_usd_per_hour": status.decimal("pricePerHourUSD"),
        "active_since": status.time("activeSinceTime"),
        "closed_at": status.time("closedTime"),
        "billed_usd": status.decimal("billedUSD"),
        "closing": _closing(status),
        "conditions": tuple(shared(c) for c in status.values("conditions")),
    }


def _permit(status: Fields) -> Permit | None:
    if not status.has("permit"):
        return None
    permit = status.inside("permit")
    return Permit(
        seq=permit.number("seq", 0),
        holder=permit.text("holder"),
        leader_epoch=permit.number("leaderEpoch", 0),
        issued_at=permit.required_time("issuedTime"),
        not_after=permit.required_time("notAfterTime"),
    )


def _handle(status: Fields, key: str) -> Handle | None:
    if not status.has("handle"):
        return None
    handle = status.inside("handle")
    data = tuple(sorted((name, str(value)) for name, value in handle.mapping("data").items()))
    return Handle(key, handle.text("externalID"), data)


def _closing(status: Fields) -> Closing | None:
    if not status.has("closing"):
        return None
    closing = status.inside("closing")
    return Closing(
        reason=closing.required_word("reason", ClosingReason),
        requested_at=closing.required_time("requestedTime"),
        message=closing.text("message"),
        gone_seen=closing.number("goneSeen", 0),
    )
