"""Money is kept for the reliable way to a finish-by: what that forbids, says, and ensures."""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.jobstatus import Facts, status_document
from overspill.core.offer import Offer
from overspill.core.policy_past import Past
from overspill.core.reasons import Reason
from overspill.core.sla import Budget, SlaClass
from overspill.core.vocabulary import CapacityType, LeaseState
from overspill.testing.placing import (
    HOUR,
    MINUTE,
    NOW,
    make_checkpoint,
    make_job,
    make_lease,
    usd,
)

from . import two_places
from .two_places import AWAY, CLOUD, SPOT, past, provider

CLASS = SlaClass(
    "standard",
    is_default=True,
    capacity_types=(CapacityType.OWN, CapacityType.SPOT, CapacityType.ON_DEMAND),
    heartbeat_grace=timedelta(0),
)
JOB = make_job(
    work=8 * HOUR,
    finish_by=NOW + 48 * HOUR,
    max_total_usd=usd(1000),
    checkpoint=make_checkpoint(size_gib=usd(0), interval=HOUR),
)


def dearer(*dear: Offer) -> Past:
    """Both places always there; yesterday the reliable one cost as `dear` did."""
    return past(lambda step: [SPOT, *(dear if dear and -200 < step < -100 else (CLOUD,))])


STEADY = dearer()


def decided(job: Job, *offers: Offer, seen: Past = STEADY, **changes: Any) -> Decision:
    changes = {"classes": {"standard": CLASS}, "past": seen, **changes}
    return two_places.decided(job, *(offers or (CLOUD, SPOT)), **changes)


def with_cap(amount: str, **changes: Any) -> Job:
    return replace(JOB, max_total_usd=usd(amount), **changes)


def kept(found: Decision) -> str:
    """What the decision says of the place that would risk the finish."""
    return next((r.message for r in found.rejected if r.reason == Reason.KEPT_FOR_FINISH), "")


def test_with_money_for_both_ways_the_cheap_place_is_taken() -> None:
    found = decided(with_cap("100"))
    assert (provider(found), kept(found), found.finish_at_risk) == ("spots", "", "")


def test_where_a_loss_could_cost_the_finish_the_reliable_place_is_taken_and_says_why() -> None:
    found = decided(with_cap("86"))
    assert provider(found) == "cloud"
    assert kept(found) == (
        "a loss there could cost 2.12 USD, and up to 85.15 USD are kept to finish at cloud/c1 in "
        "time; 86.00 USD may be spent"
    )


def test_without_checkpoints_a_loss_costs_everything_so_both_must_be_paid() -> None:
    bare = replace(JOB, checkpoint=None)
    assert provider(decided(replace(bare, max_total_usd=usd("100")))) == "cloud"
    assert provider(decided(replace(bare, max_total_usd=usd("103")))) == "spots"


def test_the_highest_price_of_the_week_counts() -> None:
    dear = dearer(replace(CLOUD, price_usd_per_hour=usd(15)))
    assert provider(decided(with_cap("100"))) == "spots"
    found = decided(with_cap("100"), seen=dear)
    assert provider(found) == "cloud"
    assert "up to 127.72 USD are kept" in kept(found)
    assert provider(decided(with_cap("131"), seen=dear)) == "spots"


def test_a_place_that_would_be_refused_is_not_waited_for() -> None:
    found = decided(with_cap("86"), CLOUD, AWAY)
    assert (found.action, provider(found)) == (Action.PLACE, "cloud")
    assert kept(found)


def test_what_the_namespace_has_left_is_the_money_there_is() -> None:
    budget = Budget("team", "gpu", usd(86))
    found = decided(with_cap("1000"), budgets=(budget,))
    assert provider(found) == "cloud"
    assert "86.00 USD may be spent" in kept(found)


def test_a_cap_below_the_reliable_way_leaves_luck_and_says_so() -> None:
    job = with_cap("60")
    found = decided(job)
    assert provider(found) == "spots"
    assert found.finish_at_risk == (
        "finishing at cloud/c1 costs 83.48 USD with its reserve, 60.00 USD may be spent: the "
        "finish-by depends on a cheaper place"
    )
    document = status_document(Facts(job, (), found), NOW)
    (told,) = [c for c in document["conditions"] if c["type"] == "DeadlineAtRisk"]
    assert (told["status"], told["reason"]) == ("True", "FinishNotCovered")
    assert told["message"] == found.finish_at_risk


def test_the_warning_outlives_a_restart_and_goes_with_the_place() -> None:
    job = with_cap("60")
    first = status_document(Facts(job, (), decided(job)), NOW)
    job = replace(job, status=first, conditions=tuple(first["conditions"]))
    lease = make_lease(job, SPOT, LeaseState.ACTIVE)
    restarted = status_document(Facts(job, (lease,), None), NOW)
    assert "DeadlineAtRisk" in {c["type"] for c in restarted["conditions"]}
    moved = status_document(Facts(job, (lease,), decided(with_cap("1000"))), NOW)
    assert "DeadlineAtRisk" not in {c["type"] for c in moved["conditions"]}


NOT_ASKED: dict[str, tuple[Job, dict[str, Any]]] = {
    "no finish-by": (with_cap("86", finish_by=None), {}),
    "no estimate": (with_cap("86", work=None), {}),
    "no past": (JOB, {"seen": Past()}),
    "late already": (with_cap("86", finish_by=NOW + HOUR, attempts=()), {}),
}


@pytest.mark.parametrize("case", NOT_ASKED, ids=str)
def test_nothing_is_kept_with(case: str) -> None:
    job, changes = NOT_ASKED[case]
    assert kept(decided(job, **changes)) == ""


def test_no_reliable_place_nothing_to_keep_for() -> None:
    found = decided(with_cap("86"), SPOT)
    assert (provider(found), kept(found), found.finish_at_risk) == ("spots", "", "")


def test_what_runs_is_not_stopped_for_it() -> None:
    job = with_cap("86", durable_checkpoint_at=NOW - MINUTE, durable_checkpoint_uri="s3://team/1")
    lease = make_lease(job, SPOT, LeaseState.ACTIVE, active_since=NOW - HOUR)
    found = decided(job, CLOUD, replace(SPOT, unavailable_reason="ours"), leases=(lease,))
    assert found.action is Action.STAY


@pytest.mark.parametrize("seed", range(12))
def test_however_often_it_loses_the_finish_can_always_be_paid(seed: int) -> None:
    """Each loss takes the start, and up to an interval of work; what was durable stays."""
    dice = random.Random(seed)  # noqa: S311  (seeded on purpose)
    money, work, interval_h = Decimal(dice.randrange(84, 130)), Decimal(8), Decimal(1)
    start_h = Decimal(3) / 60
    spots = 0
    for _ in range(60):
        job = with_cap(str(money), work=timedelta(hours=float(work)))
        found = decided(job, now_and_then(dice), CLOUD)
        assert found.action is Action.PLACE, found.message
        assert not found.finish_at_risk
        if provider(found) == "cloud":
            break
        spots += 1
        ran_h = Decimal(str(round(dice.uniform(0, 3), 3)))
        done_h = min(work, max(Decimal(0), ran_h - start_h) // interval_h * interval_h)
        money -= 2 * min(ran_h, start_h + done_h + interval_h)
        work -= done_h
        if work <= 0:
            break
    else:
        pytest.fail("it neither ended nor went where it is safe")
    assert money > 0
    assert spots or money < 90


def now_and_then(dice: random.Random) -> Offer:
    """The spot place, at a price that moves a little below what it was."""
    return replace(SPOT, price_usd_per_hour=usd(str(round(dice.uniform(1, 2), 2))))
