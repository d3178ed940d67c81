"""GPUBudget: dollars of one namespace over time."""

from typing import Annotated, Literal

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.meta import Conditions, Resource
from overspill.api.rules import Merge
from overspill.api.scalars import SET, ExactUSD, Generation, Instant, ObjectName, PositiveUSD, Uid
from overspill.core.vocabulary import BudgetPeriod


class GPUBudgetSpec(ApiModel):
    """How many dollars per period."""

    limit_usd: PositiveUSD
    """Spent, committed and forecast together stay below this per period, in USD ("5000")."""
    period: BudgetPeriod = BudgetPeriod.MONTHLY
    """Daily, Weekly (from Monday) or Monthly, in UTC. What is spent starts anew with each period;
    what open leases may still cost stays reserved.
    """
    warn_percents: Annotated[
        list[Annotated[int, Field(ge=1, le=100)]], Field(max_length=16), SET
    ] = Field(default_factory=list)
    """Warn when so many percent are spent or committed. Not acted on in this version."""


class Reservation(ApiModel):
    """Money that an open lease can still cost, set aside before the lease is planned."""

    lease_name: ObjectName
    """The GPULease."""
    job_uid: Uid
    """The uid of its GPUJob."""
    usd: ExactUSD
    """USD."""


class GPUBudgetStatus(ApiModel):
    """What is spent and spoken for. Written by compare-and-swap, so no dollar is promised twice."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status speaks of."""
    conditions: Conditions = Field(default_factory=list)
    """Observations about the budget."""
    period_start_time: Instant | None = None
    """When the present period began."""
    spent_usd: ExactUSD | None = None
    """Spent in this period in USD."""
    committed_usd: ExactUSD | None = None
    """What open leases can still cost, in USD."""
    forecast_usd: ExactUSD | None = None
    """What running services are expected to cost until the period ends, in USD."""
    reservations: Annotated[
        list[Reservation], Field(max_length=2048), Merge("map", ("leaseName",))
    ] = Field(default_factory=list)
    """One entry per open lease."""


class GPUBudget(Resource):
    """Dollars that the jobs of a namespace may spend per period, at markets and on pools that an
    autoscaler grows. A job is placed only when its cost fits beside what is spent and spoken for.
    """

    kind: Literal["GPUBudget"] = "GPUBudget"
    spec: GPUBudgetSpec
    """How many dollars per period."""
    status: GPUBudgetStatus = Field(default_factory=GPUBudgetStatus)
    """What is spent and spoken for."""
