"""The status of a GPUProvider: what was observed of the account, for people and for restarts."""

from typing import Annotated

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.meta import Conditions
from overspill.api.rules import Merge
from overspill.api.scalars import (
    Count,
    ExactUSD,
    Generation,
    Instant,
    Line,
    Message,
    ReasonWord,
    Seconds,
    SignedUSD,
    Word,
)
from overspill.core.vocabulary import BillEnd, CapacityType, CircuitState


class Circuit(ApiModel):
    """Whether calls to the account are let through."""

    state: CircuitState
    """Closed (calls go through), Open (they do not) or HalfOpen (one is tried)."""
    failures: Count | None = None
    """Failures in a row."""
    open_until_time: Instant | None = None
    """When the next call is tried."""


class OfferSeen(ApiModel):
    """An offer as last seen; a sample for people, not what placement decides on."""

    offer_id: Line
    """The market's own identity of the offer."""
    place: Word | None = None
    """Provider and region, or provider and node."""
    gpu_model: Word | None = None
    """Canonical GPU model."""
    gpu_count: Count | None = None
    """GPUs of the offer."""
    price_per_gpu_hour_usd: ExactUSD | None = None
    """USD for one GPU and hour."""
    region: Word | None = None
    """The region of the place."""
    capacity_type: CapacityType | None = None
    """How firmly the place is ours."""
    available: bool | None = None
    """Whether it can be had now."""


class LastError(ApiModel):
    """The last thing that went wrong with the account."""

    reason: ReasonWord
    """What, one CamelCase word."""
    message: Message | None = None
    """What, in a sentence; never a secret, never the market's answer."""
    time: Instant | None = None
    """When."""


class Bound(ApiModel):
    """The most that can be billed if the operator never comes back, paid parts included."""

    usd: ExactUSD | None = None
    """The most in all, in USD; absent: nothing that is known bounds it."""
    within30days_usd: Annotated[ExactUSD, Field(alias="within30DaysUSD")]
    """The most within 30 days, in USD."""
    ends_time: Instant | None = None
    """When the market ends the bill by itself; absent: only money does, or nothing."""


class LeaseBound(Bound):
    """The most that one open lease can cost."""

    namespace: Word
    """The namespace of the GPULease."""
    lease_name: Word
    """The GPULease."""


class WorstCase(Bound):
    """The most that all open leases of the account can cost, and how their bills would end."""

    bill_end: BillEnd
    """What ends a bill without us: Deadline (the market's own switch), Prepaid, Balance (an empty
    account), Nothing, or Home (nothing is billed).
    """
    leases: Annotated[list[LeaseBound], Field(max_length=20), Merge("map", ("leaseName",))] = Field(
        default_factory=list
    )
    """The dearest of them; at most 20."""


class GPUProviderStatus(ApiModel):
    """What was observed of the account."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status speaks of."""
    conditions: Conditions = Field(default_factory=list)
    """Ready: the account can be used. BalanceLow: only while its money will not last. InUse: only
    while it is deleted and leases are open that only it can close.
    """
    circuit: Circuit | None = None
    """Whether calls to the account are let through."""
    leases: Count | None = None
    """Leases that are open now."""
    hourly_usd: ExactUSD | None = None
    """What they cost per hour together, in USD."""
    balance_usd: SignedUSD | None = None
    """Money left in the account, in USD."""
    runway_seconds: Seconds | None = None
    """How long the balance lasts at the present rate."""
    worst_case: WorstCase | None = None
    """What the open leases can cost at most if the operator never comes back."""
    offers_seen: Count | None = None
    """Offers that could be had when last asked."""
    offers: Annotated[list[OfferSeen], Field(max_length=100), Merge("map", ("offerID",))] = Field(
        default_factory=list
    )
    """The cheapest of them; at most 100."""
    offers_time: Instant | None = None
    """When they were asked for."""
    observed_mtbf_seconds: Seconds | None = None
    """Mean time between losses, as observed."""
    observed_cold_start_seconds: Seconds | None = None
    """Time from the request to a running workload, as observed."""
    last_error: LastError | None = None
    """The last thing that went wrong with the account."""
