"""The paid thing: values of the lease protocol and its pure transition rules' vocabulary.

`engine/drive` acts on these; `kube/mapping` reads and writes them. The name of a lease is
computable by anyone and is the one idempotency key used everywhere (lease-protocol 2.1).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from overspill.core.offer import Offer
from overspill.core.vocabulary import CapacityType, ClosingReason, LeaseState
from overspill.core.workload import LeaseRequest

PREFIX = "gl"

ABSENT = "absent"
ADOPT = "adopt="
"""What `kubectl overspill leases resolve` says of an Uncertain lease: see `Lease.resolution`."""


def lease_name(cluster_id: str, job_uid: str, attempt: int) -> str:
    """`gl-<cluster8>-<hash>`, at most 30 characters of `[a-z0-9-]`."""
    digest = hashlib.sha256(f"{job_uid}/{attempt}".encode()).hexdigest()
    return f"{PREFIX}-{cluster_id[:8]}-{digest[:18]}"


def is_ours(key: str, cluster_id: str) -> bool:
    """Whether a key found at a market was made by this cluster."""
    return key.startswith(f"{PREFIX}-{cluster_id[:8]}-")


@dataclass(frozen=True, slots=True)
class JobRef:
    """The GPUJob a lease serves. `uid` decides; a job of the same name is another job."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Permit:
    """R2: the recorded right to send one costing call."""

    seq: int
    holder: str
    leader_epoch: int
    issued_at: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """Why and since when a lease is being closed; `gone_seen` counts proofs of absence."""

    reason: ClosingReason
    requested_at: datetime
    message: str = ""
    gone_seen: int = 0


@dataclass(frozen=True, slots=True)
class Handle:
    """How a market finds a lease. Rebuildable from provider and key; `data` is the adapter's."""

    key: str
    external_id: str = ""
    data: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """One field of the adapter's data."""
        return dict(self.data).get(name, default)


@dataclass(frozen=True, slots=True)
class Lease:
    """A GPULease as the core sees it: immutable spec, then status."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    job: JobRef
    attempt: int
    provider: str
    cluster_id: str
    offer: Offer
    request: LeaseRequest
    max_usd_per_hour: Decimal
    max_total_usd: Decimal
    hard_deadline: datetime
    created_at: datetime
    is_home: bool = False
    has_finalizer: bool = True
    deletion_requested: bool = False
    # status
    state: LeaseState = LeaseState.PLANNED
    permit: Permit | None = None
    handle: Handle | None = None
    price_usd_per_hour: Decimal | None = None
    active_since: datetime | None = None
    closed_at: datetime | None = None
    billed_usd: Decimal | None = None
    closing: Closing | None = None
    conditions: tuple[Mapping[str, str], ...] = field(default=())
    resolution: str = ""
    """A person's word on an Uncertain lease: `ABSENT`, or `ADOPT` and the market's id. `ABSENT` too
    on a Closing one whose GPUProvider is gone."""

    @property
    def is_own(self) -> bool:
        """On nodes of ours: charged at an internal rate, paid to nobody.

        A pool that an autoscaler grows is home too, but its nodes are somebody's bill.
        """
        return self.is_home and self.offer.capacity_type is CapacityType.OWN

    @property
    def key(self) -> str:
        """The idempotency key at the market: the name."""
        return self.name

    def cost_usd(self, now: datetime) -> Decimal:
        """What the lease has cost up to `now`, derived; the bill when it is Closed."""
        if self.billed_usd is not None:
            return self.billed_usd
        if self.active_since is None or self.price_usd_per_hour is None:
            return Decimal(0)
        end = self.closed_at or now
        hours = Decimal(max(0.0, (end - self.active_since).total_seconds())) / Decimal(3600)
        return (self.price_usd_per_hour * hours).quantize(Decimal("0.000001"))
