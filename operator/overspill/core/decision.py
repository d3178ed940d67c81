"""What placement decided, for whom, at what price, and why not otherwise."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from overspill.core.lease import JobRef
from overspill.core.offer import Offer


class Action(StrEnum):
    """The five answers of placement."""

    PLACE = "Place"
    WAIT = "Wait"
    MOVE = "Move"
    STAY = "Stay"
    REFUSE = "Refuse"


class CostLine(NamedTuple):
    """One line of the all-in price of an offer for a job, in USD for the remaining work."""

    name: str
    usd: Decimal


class Rejection(NamedTuple):
    """A group of offers that lost, with the one reason they share.

    A tuple, because a plan makes more of them than of anything else.
    """

    provider: str
    reason: str
    message: str
    offers: int = 1
    gpu_model: str = ""
    cheapest_usd_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one job. `offer` is the whole lease's offer (already cut to size)."""

    job: JobRef
    action: Action
    reason: str
    message: str
    decided_at: datetime
    offer: Offer | None = None
    price_usd_per_hour: Decimal | None = None
    cost_lines: tuple[CostLine, ...] = ()
    total_usd: Decimal | None = None
    expected_useful_usd_per_hour: Decimal | None = None
    rejected: tuple[Rejection, ...] = ()
    wait_until: datetime | None = None
    from_lease: str = ""
    saving_usd: Decimal | None = None
    max_total_usd: Decimal | None = None
    hard_deadline: datetime | None = None
    home_node: str = ""
    max_usd_per_hour: Decimal | None = None
    """What the lease may cost per hour at most; `hard_deadline` keeps the cap at this rate."""
    finish_at_risk: str = ""
    """Why only luck can keep the finish-by: the money does not buy the reliable way to it."""
    spares: int | None = None
    """Of copy 0 of a service whose spares the operator chooses: how many; None: nothing chosen."""
    spares_told: str = ""
    """Why so many."""
    generation: int | None = None
    """The generation of the job that it was made for; None: not known."""
