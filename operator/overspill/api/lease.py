"""GPULease: the paid thing, one per placement, at home too. Written by the operator alone."""

from typing import Annotated, Literal

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.lease_request import LeaseOffer, LeaseRequest
from overspill.api.meta import Conditions, Resource
from overspill.api.rules import Rule
from overspill.api.scalars import (
    Count,
    ExactUSD,
    Generation,
    Instant,
    Label,
    Line,
    Message,
    ObjectName,
    Text,
    Uid,
)
from overspill.core.vocabulary import ClosingReason, LeaseState


class LeaseJobRef(ApiModel):
    """The GPUJob that the lease serves, in the same namespace."""

    name: ObjectName
    """Its name."""
    uid: Uid
    """Its uid; a job of the same name but another uid is another job."""


class GPULeaseSpec(ApiModel):
    """The commitment as it was planned. Nothing in it ever changes."""

    cel_rules = (
        Rule(
            "self == oldSelf",
            "the spec of a GPULease cannot be changed: it is the record of what was paid for",
            reason="FieldValueForbidden",
        ),
    )

    job_ref: LeaseJobRef
    """The GPUJob that the lease serves."""
    attempt: Annotated[int, Field(ge=1, le=2_147_483_647)]
    """Number of the attempt; a higher one fences the lower ones."""
    provider: Label
    """The GPUProvider."""
    cluster_id: Uid
    """UID of the kube-system namespace: whose lease this is."""
    key: Annotated[str, Text(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=63)]
    """The idempotency key at the market: the lease's own name."""
    home: bool = False
    """True: the place is this cluster, and nothing is paid to a third party."""
    offer: LeaseOffer
    """The offer that was taken."""
    request: LeaseRequest
    """What is asked of the place, frozen."""
    max_hourly_usd: ExactUSD
    """The lease is closed when its real price per hour is above this, in USD."""
    max_total_usd: ExactUSD
    """The lease is closed before its cost passes this, in USD."""
    hard_deadline_time: Instant
    """The lease is closed at this instant at the latest."""


class LeasePermit(ApiModel):
    """The recorded right to send one costing call."""

    seq: Count
    """Its number; the market sees at most this many creates."""
    holder: Line
    """The replica that may send."""
    leader_epoch: Count
    """The leader's term."""
    issued_time: Instant
    """When it was given."""
    not_after_time: Instant
    """Nothing is sent after this instant."""


class LeaseHandle(ApiModel):
    """How the market finds the lease."""

    external_id: Line = ""
    """The market's own identity of it."""
    data: Annotated[dict[str, Annotated[str, Text(max_length=32768)]], Field(max_length=64)] = (
        Field(default_factory=dict)
    )
    """Facts of the adapter's, kept for it unread."""


class LeaseClosing(ApiModel):
    """Why and since when the lease is being closed."""

    reason: ClosingReason
    """Why, one of the closed list."""
    message: Message | None = None
    """Why, in a sentence."""
    requested_time: Instant
    """Since when."""
    gone_seen: Count = 0
    """How often the market showed that it is gone; twice is proof."""


class GPULeaseStatus(ApiModel):
    """The lease's life. All of it but the permit can be rebuilt from the market and the key."""

    cel_rules = (
        Rule(
            "!has(oldSelf.state) || !(oldSelf.state in ['Closing', 'Closed']) || "
            "(has(self.state) && (self.state == oldSelf.state || self.state == 'Closed'))",
            "a lease that is Closing only becomes Closed, and Closed is the end",
            ".state",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(oldSelf.permit) || !has(self.permit) || self.permit.seq >= oldSelf.permit.seq",
            "the number of a permit never goes back",
            ".permit.seq",
        ),
    )

    state: LeaseState | None = None
    """Planned, Opening, Active, Closing, Closed, or Uncertain (a person must look at the market).
    Absent: Planned.
    """
    permit: LeasePermit | None = None
    """The recorded right to send one costing call."""
    handle: LeaseHandle | None = None
    """How the market finds the lease."""
    price_per_hour_usd: ExactUSD | None = None
    """The real price of the whole lease per hour in USD, read back from the market."""
    active_since_time: Instant | None = None
    """Since when it costs."""
    closed_time: Instant | None = None
    """Until when it cost."""
    billed_usd: ExactUSD | None = None
    """The final cost in USD."""
    closing: LeaseClosing | None = None
    """Why and since when the lease is being closed."""
    conditions: Conditions = Field(default_factory=list)
    """Observations about the lease."""
    observed_generation: Generation | None = None
    """The generation of the spec that this status speaks of."""


class GPULease(Resource):
    """One commitment: a place that is paid for, or charged for at home. It outlives its job for
    a retention time and is the ledger. Written by the operator alone.
    """

    cel_rules = (Rule("self.spec.key == self.metadata.name", "spec.key is the lease's own name"),)

    kind: Literal["GPULease"] = "GPULease"
    spec: GPULeaseSpec
    """The commitment as it was planned."""
    status: GPULeaseStatus = Field(default_factory=GPULeaseStatus)
    """The lease's life."""
