"""The parts of a GPUJob's status document that list things: place, decision, attempts.

Pure helpers of `core/jobstatus`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from overspill.core.decision import Decision
from overspill.core.job import Attempt, Job
from overspill.core.lease import Lease
from overspill.core.observation import Report
from overspill.core.transition import exit_code_of
from overspill.core.vocabulary import ClosingReason, LeaseState

MAX_ATTEMPTS = 32
MAX_REJECTED = 32


def usd(value: Decimal) -> str:
    """Dollars for people: cents, and four decimals below one cent. Exact sums are in the leases."""
    cents = value.quantize(Decimal("0.01"), ROUND_HALF_UP)
    if cents == 0 and value != 0:
        return f"{value.quantize(Decimal('0.0001'), ROUND_HALF_UP):f}"
    return f"{cents:f}"


def stamp(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def place_document(lease: Lease) -> dict[str, Any]:
    """Where the job is; USD/h as really charged once known."""
    offer = lease.offer
    price = lease.price_usd_per_hour
    return {
        "provider": lease.provider,
        "place": offer.place,
        "leaseName": lease.name,
        "attempt": lease.attempt,
        "gpus": f"{lease.request.gpu_count * lease.request.num_nodes}x{offer.gpu_model}",
        "pricePerHourUSD": usd(offer.price_usd_per_hour if price is None else price),
        "sinceTime": stamp(lease.active_since or lease.created_at),
        "region": offer.region,
        "capacityType": offer.capacity_type.value,
    }


def decision_document(decision: Decision | None) -> dict[str, Any] | None:
    """What was decided, line by line, with the losers."""
    if decision is None:
        return None
    found: dict[str, Any] = {
        "action": decision.action.value,
        "reason": str(decision.reason),
        "message": decision.message[:1024],
        "time": stamp(decision.decided_at),
        "lines": [{"name": line.name, "usd": usd(line.usd)} for line in decision.cost_lines],
        "rejected": [
            {
                "provider": r.provider,
                "reason": str(r.reason),
                "message": r.message[:512],
                "offers": r.offers,
                "gpuModel": r.gpu_model or None,
                "cheapestPerHourUSD": _maybe(r.cheapest_usd_per_hour),
            }
            for r in decision.rejected[:MAX_REJECTED]
        ],
        "pricePerHourUSD": _maybe(decision.price_usd_per_hour),
        "totalUSD": _maybe(decision.total_usd),
        "usefulHourUSD": _maybe(decision.expected_useful_usd_per_hour),
        "savingUSD": _maybe(decision.saving_usd),
        "waitUntilTime": stamp(decision.wait_until) if decision.wait_until else None,
    }
    if decision.offer is not None:
        found |= {
            "provider": decision.offer.provider,
            "offerID": decision.offer.offer_id,
            "gpuModel": decision.offer.gpu_model,
        }
    cleaned: dict[str, Any] = _without_none(found)
    return cleaned


def _maybe(value: Decimal | None) -> str | None:
    return None if value is None else usd(value)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value


def attempts_document(
    job: Job, leases: Sequence[Lease], reports: Sequence[Report]
) -> list[dict[str, Any]]:
    """The attempts so far, newest last; what the ledger no longer holds is kept from before."""
    found = {a.number: _old(a) for a in job.attempts}
    for lease in leases:
        if lease.state is not LeaseState.PLANNED:
            found[lease.attempt] = _attempt(job, lease, found.get(lease.attempt, {}))
    for report in reports:
        if report.checkpoint_uri and report.attempt in found:
            found[report.attempt] |= {
                "checkpointURI": report.checkpoint_uri,
                "checkpointStep": report.checkpoint_step,
            }
    return [_without_none(found[n]) for n in sorted(found)][-MAX_ATTEMPTS:]


def _old(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "leaseName": attempt.lease,
        "provider": attempt.provider,
        "place": attempt.place,
        "startTime": stamp(attempt.started_at) if attempt.started_at else None,
        "endTime": stamp(attempt.ended_at) if attempt.ended_at else None,
        "reason": attempt.reason or None,
        "exitCode": attempt.exit_code,
        "checkpointURI": attempt.checkpoint_uri or None,
        "checkpointStep": attempt.checkpoint_step,
        "costUSD": usd(attempt.cost_usd),
    }


def _attempt(job: Job, lease: Lease, old: dict[str, Any]) -> dict[str, Any]:
    ended = lease.closing.requested_at if lease.closing else None
    until = lease.closed_at or ended or lease.active_since or job.created_at
    return {
        "checkpointURI": old.get("checkpointURI"),
        "checkpointStep": old.get("checkpointStep"),
        "number": lease.attempt,
        "leaseName": lease.name,
        "provider": lease.provider,
        "place": lease.offer.place,
        "startTime": stamp(lease.active_since) if lease.active_since else None,
        "endTime": stamp(ended) if ended else None,
        "reason": lease.closing.reason.value if lease.closing else None,
        "exitCode": exit_code_of(lease),
        "costUSD": usd(lease.cost_usd(until)),
    }


def moves_of(job: Job, leases: Sequence[Lease]) -> int:
    """How often the job changed its place for another reason than its own end or failure."""
    moved = (ClosingReason.LOST, ClosingReason.SUPERSEDED, ClosingReason.MISMATCH)
    now = sum(1 for le in leases if le.closing and le.closing.reason in moved)
    return max(now, job.moves)
