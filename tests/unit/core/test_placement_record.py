"""A recorded snapshot, through JSON and back, gets the same decisions."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from overspill.core.decision import Action
from overspill.core.placement import plan
from overspill.core.placement_record import Record, document, parsed
from overspill.core.placement_whatif import decided, what_if
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.core.sla import Budget
from overspill.core.snapshot import JobFacts, ProviderHealth, Snapshot
from overspill.core.vocabulary import Burst, CapacityType, ClosingReason, LeaseState, TrustTier
from overspill.testing.placing import (
    ACCOUNTS,
    AKASH,
    HOUR,
    NOW,
    STANDARD,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    rent,
    usd,
    world,
)

SPOT = rent("s1", "2", provider="spots", capacity_type=CapacityType.SPOT)
CLOUD = rent("c1", "10", region="eu")
OFFERS = [node("n1", 0), CLOUD, SPOT, rent("a2", "3.333333", gpu_model="a100-80gb")]


def past() -> Past:
    found = Past()
    for step in range(-300, 1):
        shown = [CLOUD, SPOT] if step // 12 % 2 else [CLOUD]
        found = found.looked(NOW + step * STEP, rooms_of(shown, frozenset({"home"})))
    return found


def crowd() -> Snapshot:
    """Jobs of many kinds, leases, budgets, facts and a past."""
    waiting = make_job("waiting", work=8 * HOUR, finish_by=NOW + 20 * HOUR, burst_after=None)
    running = make_job("running", work=9 * HOUR, checkpoint=make_checkpoint(), progress_percent=7)
    gone = make_job("gone", template={"spec": {"secret": "x"}}, status={"phase": "Waiting"})
    small = make_job("small", work=HOUR, burst=Burst.ONLY)
    jobs = [
        waiting,
        running,
        gone,
        small,
        make_job("never", burst=Burst.NEVER, max_hourly_usd=usd(3)),
    ]
    lost = make_lease(gone, CLOUD, LeaseState.CLOSED, ended=ClosingReason.LOST)
    return world(
        jobs,
        OFFERS,
        leases=(make_lease(running, CLOUD, LeaseState.ACTIVE), lost),
        budgets=(Budget("team", "month", usd("461.37")),),
        health={"akash": ProviderHealth(is_usable=True)},
        facts={
            "uid-running": JobFacts(last_checkpoint_at=NOW),
            "uid-gone": JobFacts(
                excluded_offers=frozenset({("akash", "a2")}),
                secret_tiers=frozenset({TrustTier.OWN, TrustTier.AUDITED}),
            ),
        },
        accounts={
            **ACCOUNTS,
            "akash": replace(AKASH, credentials_secret=("ns", "key"), max_leases=4),
        },
        past=past(),
    )


def through_json(record: Record) -> Record:
    return parsed(json.loads(json.dumps(document(record))))


def test_the_same_decisions_come_out_again() -> None:
    seen = crowd()
    again = through_json(Record("uid-waiting", NOW, seen)).snapshot
    assert plan(again, NOW) == plan(seen, NOW)
    assert {d.action for d in plan(seen, NOW)} >= {Action.WAIT, Action.PLACE}


def test_the_past_comes_back_with_names_that_memos_know() -> None:
    seen = crowd()
    again = through_json(Record("uid-waiting", NOW, seen)).snapshot
    assert again.past == seen.past
    marks = [track.marks for track in again.past.tracks.values()]
    assert marks == [track.marks for track in seen.past.tracks.values()]


def test_what_placement_does_not_look_at_is_left_out() -> None:
    text = json.dumps(document(Record("uid-gone", NOW, crowd())))
    for word in ('secret": "x', "key", "phase"):
        assert word not in text


@pytest.mark.parametrize("found", [{}, {"version": 2}, {"version": 1, "now": 3}])
def test_another_file_is_refused_with_a_sentence(found: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="record"):
        parsed(found)


def changes(snapshot: Snapshot, uid: str = "uid-train") -> dict[str, str]:
    return {
        found.change: found.decision.offer.place if found.decision.offer else ""
        for found in what_if(Record(uid, NOW, snapshot))
    }


CALM = replace(STANDARD, burst_after=timedelta(0))


def one(offers: list[object], **job: object) -> Snapshot:
    return world([make_job(**job)], offers, classes={"standard": CALM})  # type: ignore[arg-type]  # passed through


def test_an_allowed_region_is_told_with_its_name() -> None:
    seen = one(
        [rent("a1", "6"), rent("a2", "4", region="eu")], regions=("us-west",), work=10 * HOUR
    )
    found = what_if(Record("uid-train", NOW, seen))
    assert [w.change for w in found] == ["allow region eu"]
    (best,) = found
    assert best.saved_usd is not None
    assert usd(20) < best.saved_usd < usd(21)


def test_every_wall_has_its_sentence() -> None:
    refused = {
        "allow model h100": one([rent()], models=("l40s",)),
        "allow provider akash": one([rent()], providers=("vast",)),
        "raise budget.maxHourlyUSD to 2.00": one([rent()], max_hourly_usd=usd(1)),
        "allow burst": one([rent()], burst=Burst.NEVER),
        "a class that allows Community": one([rent(capacity_type=CapacityType.COMMUNITY)]),
        "finish a day later": one([rent()], work=9 * HOUR, finish_by=NOW + HOUR),
        "raise budget.maxTotalUSD above 18.10": one([rent()], work=9 * HOUR, max_total_usd=usd(9)),
    }
    for sentence, seen in refused.items():
        assert sentence in changes(seen), sentence


def test_patience_is_a_wall_too() -> None:
    seen = world([make_job()], [node("n1", 0), rent()])
    assert decided(Record("uid-train", NOW, seen)).action is Action.WAIT
    assert "do not wait for home (burstAfterSeconds 0)" in changes(seen)


def test_what_would_not_help_is_not_told() -> None:
    assert changes(one([rent()], regions=("us-west",), work=HOUR)) == {}


def test_a_job_that_is_not_in_the_record_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        decided(Record("uid-nobody", NOW, crowd()))
