"""The learnt policy inside a plan: waiting, choosing by life, moving, the net, and its silence."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.offer import Offer
from overspill.core.policy_past import Lived, Past, place_of
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import CapacityType, FailbackPolicy, Fencing, LeaseState
from overspill.testing.placing import (
    HOUR,
    MINUTE,
    NOW,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    usd,
)

from . import two_places
from .two_places import AWAY, CLOUD, SPOT, Shown, past, provider

CLASS = SlaClass(
    "standard",
    is_default=True,
    capacity_types=(CapacityType.OWN, CapacityType.ON_DEMAND, CapacityType.SPOT),
    heartbeat_grace=timedelta(0),
)
JOB = make_job(
    work=8 * HOUR,
    finish_by=NOW + 24 * HOUR,
    max_total_usd=usd(1000),
    checkpoint=make_checkpoint(size_gib=usd(0), interval=6 * MINUTE),
)


def always(*offers: Offer) -> Shown:
    return lambda _step: list(offers)


def now_and_then(*steady: Offer, every: int = 12) -> Shown:
    """The spot place is there half of the time, two hours at once."""
    return lambda step: [*steady, SPOT if step // every % 2 == 0 else AWAY]


FLAPPING = past(now_and_then(CLOUD))
BLINKING = past(now_and_then(CLOUD, every=1))
STEADY = past(always(CLOUD, SPOT))


def decided(job: Job, *offers: Offer, seen: Past, **changes: Any) -> Decision:
    changes = {"classes": {"standard": CLASS}, "past": seen, **changes}
    return two_places.decided(job, *offers, **changes)


def test_with_slack_it_waits_for_the_cheap_place_and_says_for_how_long() -> None:
    found = decided(JOB, CLOUD, AWAY, seen=FLAPPING)
    assert (found.action, found.reason) == (Action.WAIT, Reason.WAITING_PAYS), found.message
    assert found.wait_until is not None
    assert NOW + 12 * HOUR < found.wait_until < NOW + 16 * HOUR
    assert "waiting for a cheaper place is expected to cost" in found.message
    assert {r.reason for r in found.rejected} >= {Reason.WAITING_PAYS, Reason.UNAVAILABLE}


def test_without_slack_it_takes_the_reliable_place() -> None:
    tight = replace(JOB, finish_by=NOW + 8 * HOUR + 10 * MINUTE)
    assert provider(decided(tight, CLOUD, AWAY, seen=FLAPPING)) == "cloud"
    found = decided(tight, CLOUD, SPOT, seen=FLAPPING)
    assert provider(found) == "cloud"


def test_a_cheap_place_is_taken_against_the_order_of_types_where_the_net_holds() -> None:
    found = decided(JOB, CLOUD, SPOT, seen=STEADY)
    assert (found.action, provider(found)) == (Action.PLACE, "spots")
    dearer = next(r for r in found.rejected if r.provider == "cloud")
    assert dearer.reason == Reason.COSTS_MORE


SILENT: dict[str, tuple[Job, dict[str, Any]]] = {
    "no deadline": (replace(JOB, finish_by=None), {}),
    "no estimate": (replace(JOB, work=None), {}),
    "no past": (JOB, {"seen": Past()}),
    "a past of an hour": (JOB, {"seen": past(now_and_then(CLOUD), hours=1)}),
    "the job's own order of types": (
        replace(JOB, capacity_types=(CapacityType.ON_DEMAND, CapacityType.SPOT)), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("job", "changes"), SILENT.values(), ids=SILENT.keys())
def test_the_plain_rules_decide_with(job: Job, changes: dict[str, Any]) -> None:
    found = decided(job, CLOUD, SPOT, **{"seen": STEADY, **changes})
    assert provider(found) == "cloud"
    without = decided(job, CLOUD, SPOT, seen=Past())
    assert replace(found, rejected=()) == replace(without, rejected=())


def test_without_a_reliable_place_nothing_is_waited_for() -> None:
    other = replace(SPOT, offer_id="t1", provider="akash", price_usd_per_hour=usd(6))
    found = decided(JOB, other, AWAY, seen=past(now_and_then(other)))
    assert provider(found) == "akash"


def test_a_reliable_place_that_is_often_sold_out_is_not_stood_on() -> None:
    often = past(lambda step: [CLOUD, SPOT] if step % 3 else [AWAY])
    found = decided(JOB, CLOUD, SPOT, seen=often)
    assert provider(found) == "cloud"


def test_home_is_taken_at_once() -> None:
    found = decided(JOB, node("n1", 8), CLOUD, AWAY, seen=FLAPPING)
    assert found.reason is Reason.HOME_FITS


def test_a_busy_home_is_waited_for_longer_when_that_pays() -> None:
    free, busy = node("n1", 8, rate=usd("0.5")), node("n1", 0, rate=usd("0.5"))
    seen = past(lambda step: [CLOUD, free if step // 6 % 2 else busy])
    found = decided(JOB, busy, CLOUD, seen=seen)
    assert found.reason is Reason.WAITING_PAYS
    never = past(lambda _step: [CLOUD, busy])
    assert provider(decided(JOB, busy, CLOUD, seen=never)) == "cloud"


def test_beyond_a_patience_of_its_own_a_job_does_not_wait() -> None:
    job = replace(JOB, burst_after=timedelta(0))
    assert provider(decided(job, CLOUD, AWAY, seen=FLAPPING)) == "cloud"


def running(job: Job, on: Offer, *offers: Offer, seen: Past, **lease: Any) -> Decision:
    held = make_lease(job, on, LeaseState.ACTIVE, **{"active_since": NOW - 2 * HOUR, **lease})
    job = replace(job, durable_checkpoint_at=NOW - MINUTE, durable_checkpoint_uri="s3://team/1")
    return decided(job, *offers, seen=seen, leases=(held,))


TAKEN = replace(SPOT, unavailable_reason="rented")


def test_a_dear_place_is_left_for_a_cheap_one_that_lasts() -> None:
    found = running(JOB, CLOUD, CLOUD, SPOT, seen=STEADY)
    assert (found.action, found.reason) == (Action.MOVE, Reason.CHEAPER_ELSEWHERE), found.message
    assert provider(found) == "spots"
    assert found.saving_usd is not None
    assert found.saving_usd > usd(40)


def test_it_is_not_left_for_one_that_blinks() -> None:
    found = running(JOB, CLOUD, CLOUD, SPOT, seen=BLINKING)
    assert (found.action, provider(found)) == (Action.STAY, "cloud")


def test_what_runs_is_not_stopped_to_wait() -> None:
    found = running(JOB, CLOUD, CLOUD, AWAY, seen=FLAPPING)
    assert (found.action, provider(found)) == (Action.STAY, "cloud")


TIGHT = replace(JOB, finish_by=NOW + 8 * HOUR + 6 * MINUTE)


def test_the_net_moves_what_a_loss_would_make_late() -> None:
    found = running(TIGHT, SPOT, CLOUD, TAKEN, seen=STEADY)
    assert (found.action, found.reason) == (Action.MOVE, Reason.FINISH_BY_AT_RISK), found.message
    assert provider(found) == "cloud"


def test_the_net_does_not_wait_for_the_cooldown_nor_ask_the_failback_policy() -> None:
    job = replace(TIGHT, last_move_at=NOW - MINUTE, failback_policy=FailbackPolicy.NEVER)
    assert running(job, SPOT, CLOUD, TAKEN, seen=STEADY).reason is Reason.FINISH_BY_AT_RISK


def test_what_is_late_already_is_not_moved_for_its_deadline() -> None:
    late = replace(JOB, finish_by=NOW + 7 * HOUR)
    assert running(late, SPOT, CLOUD, TAKEN, seen=STEADY).action is Action.STAY


KEPT: dict[str, tuple[Job, Reason]] = {
    "two attempts may not overlap": (
        replace(TIGHT, fencing=Fencing.WAIT_FOR_POD), Reason.RUNNING_WELL,
    ),
    "too many moves": (replace(TIGHT, max_moves=0), Reason.TOO_MANY_MOVES),
    "both rates break the hourly cap": (
        replace(TIGHT, max_hourly_usd=usd(11)), Reason.RUNNING_WELL,
    ),
    "the money does not reach": (replace(TIGHT, max_total_usd=usd(60)), Reason.RUNNING_WELL),
}  # fmt: skip


@pytest.mark.parametrize(("job", "reason"), KEPT.values(), ids=KEPT.keys())
def test_even_the_net_keeps_it_where(job: Job, reason: Reason) -> None:
    found = running(job, SPOT, CLOUD, TAKEN, seen=STEADY)
    assert (found.action, found.reason) == (Action.STAY, reason), found.message


def test_the_cooldown_keeps_it_from_a_cheaper_place() -> None:
    job = replace(JOB, last_move_at=NOW - MINUTE)
    found = running(job, CLOUD, CLOUD, SPOT, seen=STEADY)
    assert (found.action, found.reason) == (Action.STAY, Reason.HYSTERESIS)


def test_it_comes_home_by_the_same_rule() -> None:
    seen = past(always(CLOUD, node("n1", 8)))
    found = running(JOB, CLOUD, CLOUD, node("n1", 8), seen=seen)
    assert (found.action, found.reason) == (Action.MOVE, Reason.REPATRIATION_PAYS)


def test_losses_of_our_own_leases_make_a_place_unattractive() -> None:
    dear = replace(SPOT, price_usd_per_hour=usd(8), cold_start=15 * MINUTE)
    seen = past(always(CLOUD, dear))
    assert provider(decided(JOB, CLOUD, dear, seen=seen)) == "spots"
    lost = tuple(Lived(seen.until - n, 0.1, was_lost=True) for n in range(20, 0, -1))
    seen = replace(seen, lives={place_of(dear, is_home=False): lost})
    assert provider(decided(JOB, CLOUD, dear, seen=seen)) == "cloud"


def test_the_same_snapshot_gets_the_same_decision() -> None:
    assert decided(JOB, CLOUD, AWAY, seen=FLAPPING) == decided(JOB, CLOUD, AWAY, seen=FLAPPING)
