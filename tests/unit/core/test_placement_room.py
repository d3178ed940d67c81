"""Who leaves home so that a job with more of a promise need not rent, and who is left in peace."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Attempt, Job
from overspill.core.lease import Closing, Lease
from overspill.core.placement import plan
from overspill.core.placement_room import MOST_LEAVING, ROOM_TIME, SPARE
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts
from overspill.core.vocabulary import (
    CapacityType,
    ClosingReason,
    FailbackPolicy,
    Fencing,
    LeaseState,
    Workload,
)
from overspill.testing.placing import (
    HOUR,
    MINUTE,
    NOW,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    rent,
    usd,
    world,
)

ANY = (CapacityType.OWN, CapacityType.ON_DEMAND, CapacityType.SPOT)
GOLD = SlaClass("gold", capacity_types=ANY[:2], priority=100, availability_target=usd("0.999"))
PLAIN = SlaClass("plain", is_default=True, capacity_types=ANY, availability_target=usd("0.99"))
NONE = SlaClass("none", capacity_types=ANY, priority=-100, burst_after=8 * HOUR,
                failover_within=8 * HOUR)  # fmt: skip
CLASSES = {c.name: c for c in (GOLD, PLAIN, NONE)}

COMES = make_job(
    "comes", 8, sla_class="gold", work=4 * HOUR, finish_by=NOW + 6 * HOUR, max_total_usd=usd(10000)
)
RUNS = make_job(
    "runs", 8, sla_class="none", work=10 * HOUR, checkpoint=make_checkpoint(),
    created_at=NOW - HOUR,
)  # fmt: skip
FULL = node("n1", 0)
DEAR = rent("a1", "88", 8)


def held(job: Job, **changes: Any) -> Lease:
    """What the job holds at home since an hour ago."""
    return make_lease(job, replace(FULL, unavailable_reason=""), LeaseState.ACTIVE, **changes)


def found(
    *jobs: Job, leases: tuple[Lease, ...] | None = None, saved: timedelta = MINUTE, **changes: Any
) -> Mapping[str, Decision]:
    """The decisions by job, where `COMES` meets jobs that saved a moment ago."""
    if leases is None:
        leases = tuple(held(job) for job in jobs)
    facts = {job.ref.uid: JobFacts(last_checkpoint_at=NOW - saved) for job in jobs}
    wanted = changes.pop("comes", COMES)
    offers = changes.pop("offers", [FULL, DEAR])
    snapshot = world([wanted, *jobs], offers, leases=leases, facts=facts,
                     classes=changes.pop("classes", CLASSES), **changes)  # fmt: skip
    return {d.job.name: d for d in plan(snapshot, NOW)}


def test_who_promises_nothing_leaves_for_who_would_rent_dear() -> None:
    decisions = found(RUNS)
    comes, runs = decisions["comes"], decisions["runs"]
    assert (comes.action, comes.reason) == (Action.WAIT, Reason.WAITING_FOR_ROOM)
    assert comes.wait_until == NOW + ROOM_TIME
    assert (runs.action, runs.reason, runs.from_lease) == (
        Action.WAIT, Reason.MAKES_ROOM, "gl-runs-1",
    )  # fmt: skip
    assert "comes" not in runs.message  # tenants learn nothing of each other


LEFT_IN_PEACE: dict[str, tuple[Job, dict[str, Any]]] = {
    "it cannot resume": (replace(RUNS, checkpoint=None), {}),
    "its class is better": (
        RUNS, {"classes": {**CLASSES, "none": replace(NONE, priority=200)}},
    ),
    "its class keeps it available": (
        RUNS, {"classes": {**CLASSES, "none": replace(NONE, availability_target=usd("0.9"))}},
    ),
    "its finish-by is near": (replace(RUNS, finish_by=NOW + 11 * HOUR), {}),
    "its finish-by has no estimate": (replace(RUNS, work=None, finish_by=NOW + 48 * HOUR), {}),
    "its promise could not be kept outside": (
        replace(RUNS, finish_by=NOW + 48 * HOUR, max_total_usd=usd(1)), {},
    ),
    "it serves": (replace(RUNS, workload=Workload.INFERENCE), {}),
    "it must be fenced": (replace(RUNS, fencing=Fencing.WAIT_FOR_POD), {}),
    "it is never to be moved": (replace(RUNS, failback_policy=FailbackPolicy.NEVER), {}),
    "it came a moment ago": (RUNS, {"leases": (held(RUNS, active_since=NOW - MINUTE),)}),
    "it left often enough": (
        replace(RUNS, max_moves=2, attempts=tuple(
            Attempt(n, f"gl-{n}", "home", "home/n1", reason=ClosingReason.PREEMPTED)
            for n in (1, 2)
        )),
        {"leases": (held(RUNS, attempt=3),)},
    ),
    "too much work would be lost": (
        RUNS, {"saved": HOUR, "classes": {**CLASSES, "none": replace(NONE, max_loss_usd=usd(1))}},
    ),
    "renting is cheap": (RUNS, {"offers": [FULL, rent("a1", "8", 8)]}),
    "the newcomer has a patience of its own": (
        RUNS, {"comes": replace(COMES, burst_after=timedelta(0))},
    ),
    "the newcomer has no time": (
        RUNS, {"comes": replace(COMES, finish_by=NOW + 4 * HOUR + 5 * MINUTE)},
    ),
    "many places look lost": (RUNS, {"stop_failover": "many places look lost"}),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_IN_PEACE)
def test_it_is_left_in_peace(case: str) -> None:
    job, changes = LEFT_IN_PEACE[case]
    decisions = found(job, **changes)
    assert decisions["runs"].action is Action.STAY
    assert decisions["comes"].action is Action.PLACE
    assert decisions["comes"].offer is not None
    assert decisions["comes"].offer.provider == "akash"


def test_a_promise_with_hours_to_spare_leaves_where_renting_is_cheap_for_it() -> None:
    slow = replace(RUNS, sla_class="plain", work=10 * HOUR, finish_by=NOW + 10 * HOUR
                   + 2 * SPARE, max_total_usd=usd(10000))  # fmt: skip
    cheap = rent("s1", "8", 8, provider="spots", capacity_type=CapacityType.SPOT)
    by_price = {**CLASSES, "plain": replace(PLAIN, capacity_types=(ANY[0], ANY[2], ANY[1]))}
    assert found(slow)["runs"].action is Action.STAY  # it would pay the same
    decisions = found(slow, offers=[FULL, DEAR, cheap], classes=by_price)
    assert decisions["runs"].reason == Reason.MAKES_ROOM
    assert decisions["comes"].reason == Reason.WAITING_FOR_ROOM


def test_no_more_leave_than_have_to_and_the_cheapest_first() -> None:
    short = [replace(RUNS, ref=replace(RUNS.ref, name=n, uid=f"uid-{n}"),
                     gpu=replace(RUNS.gpu, count=4)) for n in ("new", "old")]  # fmt: skip
    small = replace(COMES, gpu=replace(COMES.gpu, count=4))
    lost = {job.ref.uid: JobFacts(last_checkpoint_at=NOW - t)
            for job, t in zip(short, (50 * MINUTE, MINUTE), strict=True)}  # fmt: skip
    snapshot = world([small, *short], [FULL, DEAR], classes=CLASSES, facts=lost,
                     leases=tuple(held(j) for j in short))  # fmt: skip
    decisions = {d.job.name: d for d in plan(snapshot, NOW)}
    assert decisions["old"].reason == Reason.MAKES_ROOM
    assert decisions["new"].action is Action.STAY


def left(job: Job, ago: timedelta, state: LeaseState = LeaseState.CLOSING) -> Lease:
    """A lease that was left so long ago."""
    closing = Closing(ClosingReason.PREEMPTED, NOW - ago)
    return replace(held(job), state=state, closing=closing)


def test_room_on_its_way_is_waited_for_and_nobody_else_has_to_leave() -> None:
    other = make_job("other", 8, sla_class="none", work=HOUR, checkpoint=make_checkpoint())
    elsewhere = make_lease(other, replace(FULL, offer_id="n2", unavailable_reason=""),
                           LeaseState.ACTIVE)  # fmt: skip
    decisions = found(RUNS, other, leases=(left(RUNS, MINUTE), elsewhere),
                      offers=[FULL, replace(FULL, offer_id="n2"), DEAR])  # fmt: skip
    assert decisions["comes"].reason == Reason.WAITING_FOR_ROOM
    assert decisions["other"].action is Action.STAY


def test_room_that_did_not_come_in_time_is_not_waited_for() -> None:
    assert found(RUNS, leases=(left(RUNS, ROOM_TIME),))["comes"].action is Action.PLACE


def test_room_that_somebody_got_is_not_waited_for_twice() -> None:
    closed = left(RUNS, MINUTE, LeaseState.CLOSED)
    got = make_job("got", 8, sla_class="gold", work=HOUR)
    follower = held(got, created_at=NOW, active_since=NOW)
    assert found(RUNS, got, leases=(closed, follower))["comes"].action is Action.PLACE


def test_the_room_is_kept_from_whoever_comes_later() -> None:
    """Half of the node is free: who comes behind would otherwise take what is cleared for."""
    half = replace(RUNS, gpu=replace(RUNS.gpu, count=4))
    later = make_job("later", 4, sla_class="none", work=HOUR)
    lease = held(half)
    snapshot = world([COMES, later, half], [node("n1", 4), DEAR], classes=CLASSES,
                     leases=(lease,),
                     facts={half.ref.uid: JobFacts(last_checkpoint_at=NOW)})  # fmt: skip
    decisions = {d.job.name: d for d in plan(snapshot, NOW)}
    assert decisions["runs"].reason == Reason.MAKES_ROOM
    assert decisions["later"].action is Action.WAIT


def test_a_gang_gets_all_its_nodes_or_nobody_leaves() -> None:
    gang = replace(COMES, num_nodes=2)
    rented = rent("a1", "176", 16, node_count=2)
    other = make_job("other", 8, sla_class="gold", work=HOUR, checkpoint=make_checkpoint())
    second = replace(FULL, offer_id="n2")
    for tenant, expected in ((other, Action.STAY), (None, Action.WAIT)):
        jobs = [RUNS] if tenant is None else [RUNS, tenant]
        leases = [held(RUNS)]
        if tenant is not None:
            leases.append(make_lease(tenant, replace(second, unavailable_reason=""),
                                     LeaseState.ACTIVE))  # fmt: skip
        free = second if tenant is not None else node("n2", 8)
        decisions = found(*jobs, comes=gang, leases=tuple(leases), offers=[FULL, free, rented])
        assert decisions["runs"].action is expected


def test_one_plan_asks_only_so_many_to_leave() -> None:
    many = [replace(RUNS, ref=replace(RUNS.ref, name=f"j{n}", uid=f"uid-{n}"),
                    gpu=replace(RUNS.gpu, count=1)) for n in range(MOST_LEAVING + 8)]  # fmt: skip
    nodes = [replace(FULL, offer_id=f"n{n}") for n in range(len(many) // 8)]
    leases = [make_lease(j, replace(nodes[n // 8], unavailable_reason=""), LeaseState.ACTIVE)
              for n, j in enumerate(many)]  # fmt: skip
    comes = [replace(COMES, ref=replace(COMES.ref, name=f"c{n}", uid=f"uid-c{n}"))
             for n in range(len(nodes))]  # fmt: skip
    dear = [rent(f"a{n}", "88", 8) for n in range(len(nodes))]
    snapshot = world([*comes, *many], [*nodes, *dear], classes=CLASSES, leases=tuple(leases),
                     facts={j.ref.uid: JobFacts(last_checkpoint_at=NOW) for j in many})  # fmt: skip
    decisions = plan(snapshot, NOW)
    assert sum(d.reason == Reason.MAKES_ROOM for d in decisions) == MOST_LEAVING
    assert sum(d.action is Action.PLACE for d in decisions) == 1


def test_without_any_promise_it_waits_as_long_as_the_work_would_take() -> None:
    patient = make_job("comes", 8, sla_class="none", work=20 * HOUR, max_total_usd=usd(10000))
    decision = found(comes=patient)["comes"]
    assert (decision.action, decision.wait_until) == (Action.WAIT, NOW + 20 * HOUR)
    hasty = replace(patient, burst_after=MINUTE)
    assert found(comes=hasty)["comes"].wait_until == NOW + MINUTE
