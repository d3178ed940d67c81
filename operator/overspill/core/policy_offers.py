"""From what the operator sees to the policy's question: offers, their past, a job and a clock.

The only step between a plan's candidates and `policy.choose`; money leaves Decimal and times
leave datetime here, because the policy compares expectations and never bills. Called by whoever
plans with the learnt policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.offer import Offer
from overspill.core.policy import Option, Question


@dataclass(frozen=True, slots=True)
class Seen:
    """An offer as it is now, with what was observed of it."""

    name: str
    """Stable over time, unlike many an offer's id: what the past was recorded under."""
    offer: Offer
    price_usd_per_hour: Decimal
    """Cut to the job's size."""
    since: datetime
    """When it last turned available, or unavailable."""
    moved_gib: Decimal = Decimal(0)
    """What must travel to get there; nothing for the place the job holds."""
    egress_usd_per_gib: Decimal = Decimal(0)
    is_reliable: bool = False
    """Never taken away; the operator of the cluster says so, no market is believed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The job's side of the question."""

    work: timedelta
    finish_by: datetime
    next_look: timedelta
    held: str | None = None
    start_left: timedelta = timedelta(0)
    at_risk: timedelta = timedelta(0)


def question_of(seen: Sequence[Seen], asked: Asked, now: datetime) -> Question:
    """The policy's question at this moment."""
    return Question(
        options=[_option(one, now) for one in seen],
        work=_hours(asked.work),
        time=_hours(asked.finish_by - now),
        until_next=_hours(asked.next_look),
        held=asked.held,
        start_left=_hours(asked.start_left),
        at_risk=_hours(asked.at_risk),
    )


def _option(seen: Seen, now: datetime) -> Option:
    return Option(
        name=seen.name,
        price=float(seen.price_usd_per_hour),
        entry=float(seen.moved_gib * seen.egress_usd_per_gib),
        is_reliable=seen.is_reliable,
        is_up=not seen.offer.unavailable_reason,
        age=0.0 if seen.is_reliable else _hours(now - seen.since),
    )


def _hours(span: timedelta) -> float:
    return span.total_seconds() / 3600
