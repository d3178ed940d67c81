"""Writes a GPULease: its manifest once, its status document at every transition."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overspill.api import API_VERSION, GROUP
from overspill.core.lease import Closing, Handle, Lease, Permit
from overspill.kube.mapping.offer import write_offer
from overspill.kube.mapping.request import write_request
from overspill.kube.mapping.writing import instant, money, present
from overspill.kube.resources import LEASE_FINALIZER, Kind


def lease_manifest(lease: Lease) -> dict[str, Any]:
    """The POST that claims a lease: spec and finalizer in one request (R1), no status."""
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.LEASE.value,
        "metadata": {
            "name": lease.name,
            "namespace": lease.namespace,
            "finalizers": [LEASE_FINALIZER],
            "labels": {
                f"{GROUP}/job-uid": lease.job.uid,
                f"{GROUP}/provider": lease.provider,
            },
        },
        "spec": {
            "jobRef": {"name": lease.job.name, "uid": lease.job.uid},
            "attempt": lease.attempt,
            "provider": lease.provider,
            "clusterID": lease.cluster_id,
            "key": lease.key,
            "home": lease.is_home,
            "offer": write_offer(lease.offer),
            "request": write_request(lease.request),
            "maxHourlyUSD": money(lease.max_usd_per_hour),
            "maxTotalUSD": money(lease.max_total_usd),
            "hardDeadlineTime": instant(lease.hard_deadline),
        },
    }


def lease_status(lease: Lease, now: datetime, generation: int = 1) -> dict[str, Any]:
    """The whole status document. `now` stamps conditions that have no transition time yet."""
    return present(
        {
            "observedGeneration": generation,
            "state": lease.state.value,
            "permit": _permit(lease.permit),
            "handle": _handle(lease.handle),
            "pricePerHourUSD": money(lease.price_usd_per_hour),
            "activeSinceTime": instant(lease.active_since),
            "closedTime": instant(lease.closed_at),
            "billedUSD": money(lease.billed_usd),
            "closing": _closing(lease.closing),
            "conditions": [_condition(c, now) for c in lease.conditions],
        }
    )


def _permit(permit: Permit | None) -> dict[str, Any] | None:
    if permit is None:
        return None
    return {
        "seq": permit.seq,
        "holder": permit.holder,
        "leaderEpoch": permit.leader_epoch,
        "issuedTime": instant(permit.issued_at),
        "notAfterTime": instant(permit.not_after),
    }


def _handle(handle: Handle | None) -> dict[str, Any] | None:
    if handle is None:
        return None
    found = present({"externalID": handle.external_id, "data": dict(handle.data)})
    return found or {"data": {}}  # a handle that knows nothing yet is still a handle


def _closing(closing: Closing | None) -> dict[str, Any] | None:
    if closing is None:
        return None
    return present(
        {
            "reason": closing.reason.value,
            "message": closing.message,
            "requestedTime": instant(closing.requested_at),
            "goneSeen": closing.gone_seen,
        }
    )


def _condition(condition: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {"lastTransitionTime": instant(now.replace(microsecond=0)), **condition}
