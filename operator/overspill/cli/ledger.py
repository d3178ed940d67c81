"""Leases and what they cost up to now, read leniently: a ledger shows even what it cannot read.

Used by `leases`, `cost` and `explain`. The rule is that of `core.lease.Lease.cost_usd`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from overspill.cli.render import amount
from overspill.cli.times import instant

_MICRO = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class LeaseView:
    """One GPULease. Money that was not written yet is None."""

    namespace: str
    name: str
    job: str
    job_uid: str
    attempt: int
    provider: str
    place: str
    is_home: bool
    gpu_model: str
    gpus: int
    state: str
    reason: str
    external_id: str
    created: str
    usd_per_hour: Decimal | None
    billed_usd: Decimal | None
    active_since: datetime | None
    ended: datetime | None
    stranded: str = ""
    """What a person must do, because nobody can close it."""

    @property
    def is_open(self) -> bool:
        """Everything but Closed may still cost."""
        return self.state != "Closed"

    @property
    def is_charging(self) -> bool:
        """Whether the clock of this lease runs."""
        return self.is_open and self.active_since is not None and self.billed_usd is None

    def hours(self, now: datetime) -> Decimal:
        """Charged hours up to now."""
        if self.active_since is None:
            return Decimal(0)
        seconds = ((self.ended or now) - self.active_since).total_seconds()
        return Decimal(max(0.0, seconds)) / 3600

    def cost_usd(self, now: datetime) -> Decimal:
        """What the lease has cost up to now, or the market's bill."""
        if self.billed_usd is not None:
            return self.billed_usd
        if self.usd_per_hour is None:
            return Decimal(0)
        return (self.usd_per_hour * self.hours(now)).quantize(_MICRO)

    def reference_usd(self, now: datetime, rates: Mapping[str, Decimal]) -> Decimal | None:
        """The same GPU-hours at the reference rate of that model; None when there is none."""
        rate = rates.get(self.gpu_model, rates.get("*"))
        return None if rate is None else (rate * self.gpus * self.hours(now)).quantize(_MICRO)


def lease_view(obj: Mapping[str, Any]) -> LeaseView:
    """Reads a GPULease."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    offer, request = spec.get("offer") or {}, spec.get("request") or {}
    job = spec.get("jobRef") or {}
    return LeaseView(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        job=job.get("name", ""),
        job_uid=job.get("uid", ""),
        attempt=spec.get("attempt") or 0,
        provider=spec.get("provider", ""),
        place=offer.get("place", ""),
        is_home=bool(spec.get("home")),
        gpu_model=offer.get("gpuModel", ""),
        gpus=(request.get("gpuCount") or 0) * (request.get("numNodes") or 1),
        state=status.get("state") or "Planned",
        reason=(status.get("closing") or {}).get("reason", ""),
        external_id=(status.get("handle") or {}).get("externalID", ""),
        created=meta.get("creationTimestamp", ""),
        usd_per_hour=amount(status.get("pricePerHourUSD")),
        billed_usd=amount(status.get("billedUSD")),
        active_since=instant(status.get("activeSinceTime")),
        ended=instant(status.get("closedTime")),
        stranded=_stranded(status),
    )


def newest_first(leases: Iterable[LeaseView]) -> list[LeaseView]:
    """By job, the newest attempt on top."""
    return sorted(leases, key=lambda v: (v.namespace, v.job, -v.attempt, v.name))


def _stranded(status: Mapping[str, Any]) -> str:
    conditions = status.get("conditions") or []
    return next((c.get("message", "") for c in conditions if c.get("type") == "Stranded"), "")
