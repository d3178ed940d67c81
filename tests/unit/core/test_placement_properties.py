"""What holds for every plan over every world: caps, budgets, capacity, gangs, determinism."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.cost import spent_usd
from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.placement import plan
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.core.pricing import hours
from overspill.core.sla import Budget
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.vocabulary import Burst, CapacityType, ClosingReason, LeaseState
from overspill.testing.placing import (
    ACCOUNTS,
    AKASH,
    HOUR,
    NOW,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    rent,
    usd,
    world,
)

MODELS = ("h100", "a100-80gb")
HOMES = frozenset({"home"})
rates = st.sampled_from(("0.2", "0.7", "1", "1.37", "5")).map(Decimal)
spans = st.integers(0, 48).map(lambda n: n * HOUR / 2)


@st.composite
def jobs(draw: st.DrawFn, number: int) -> Job:
    """Most of them fit somewhere, so that they compete."""
    models = draw(st.sampled_from(((), ("h100",), ("a100-80gb", "h100"))))
    finish = draw(st.sampled_from((None, None, 2 * HOUR, 30 * HOUR, -HOUR)))
    return replace(
        make_job(f"j{number}"),
        gpu=GpuRequirements(draw(st.sampled_from((1, 2, 4, 4, 8))), models),
        num_nodes=draw(st.sampled_from((1, 1, 1, 1, 2, 3))),
        burst=draw(st.sampled_from((Burst.ONLY, Burst.ALLOWED, Burst.ALLOWED, Burst.NEVER))),
        created_at=NOW - draw(spans),
        burst_after=draw(st.sampled_from((None, timedelta(0)))),
        max_total_usd=draw(st.sampled_from((usd(200), usd(200), usd(40), usd(3), None))),
        max_hourly_usd=draw(st.sampled_from((None, None, None, usd(6), usd(20)))),
        work=draw(st.sampled_from((None, timedelta(0), HOUR, 3 * HOUR, 20 * HOUR))),
        finish_by=None if finish is None else NOW + finish,
        active_deadline=draw(st.sampled_from((None, None, 2 * HOUR))),
        checkpoint=draw(st.sampled_from((None, make_checkpoint()))),
        progress_percent=draw(st.sampled_from((None, 0, 50, 100))),
    )


@st.composite
def offers(draw: st.DrawFn) -> list[Offer]:
    found = []
    for i in range(draw(st.sampled_from((0, 0, 2, 4)))):
        free, rate = draw(st.sampled_from((0, 3, 4, 8, 8))), draw(rates)
        model = draw(st.sampled_from(MODELS))
        found.append(node(f"n{i}", free, gpu_model=model, rate=rate))
    for i in range(draw(st.integers(0, 3))):
        size = draw(st.sampled_from((1, 4, 8, 16)))
        found.append(
            rent(
                f"a{i}",
                str(draw(rates) * size),
                size,
                gpu_model=draw(st.sampled_from(MODELS)),
                capacity_type=draw(st.sampled_from((CapacityType.ON_DEMAND, CapacityType.SPOT))),
                node_count=draw(st.sampled_from((1, 1, 2))),
                is_divisible=draw(st.booleans()),
                is_firm=draw(st.booleans()),
                egress_usd_per_gib=draw(st.sampled_from((usd(0), usd("0.05")))),
                mtbf=draw(st.sampled_from((None, 20 * HOUR))),
                min_billable=draw(st.sampled_from((timedelta(0), HOUR, 5 * HOUR))),
                unavailable_reason=draw(st.sampled_from(("", "", "", "rented"))),
            )
        )
    return found


@st.composite
def pasts(draw: st.DrawFn, choice: list[Offer]) -> Past:
    """Nothing seen, or two days in which what is spot or home came and went in some rhythm."""
    if not draw(st.integers(0, 2)):
        return Past()
    rhythm, found = draw(st.sampled_from((1, 6, 40))), Past()
    steady = [o for o in choice if o.capacity_type is CapacityType.ON_DEMAND]
    shown = (rooms_of(steady, HOMES), rooms_of(choice, HOMES))
    for step in range(-288, 1):
        found = found.looked(NOW + step * STEP, shown[step // rhythm % 2])
    return found


@st.composite
def leases(draw: st.DrawFn, job: Job, choice: list[Offer]) -> list[Lease]:
    if not choice or draw(st.integers(0, 3)):
        return []
    offer = draw(st.sampled_from(choice))
    state = draw(st.sampled_from(LeaseState))
    is_over = state in (LeaseState.CLOSING, LeaseState.CLOSED)
    ended = draw(st.sampled_from(ClosingReason)) if is_over else None
    return [make_lease(job, offer, state, ended=ended)]


@st.composite
def worlds(draw: st.DrawFn) -> Snapshot:
    listed = [draw(jobs(i)) for i in range(draw(st.integers(1, 8)))]
    choice = draw(offers())
    held = [lease for job in listed for lease in draw(leases(job, choice))]
    limit = draw(st.sampled_from((usd(5), usd(60), usd(250))))
    budgets = [Budget("team", "month", limit, committed_usd=draw(rates))]
    accounts = dict(ACCOUNTS)
    accounts["akash"] = replace(
        AKASH,
        max_leases=draw(st.sampled_from((None, None, 2))),
        max_hourly_usd=draw(st.sampled_from((None, None, usd(10)))),
    )
    ran = {le.job.uid for le in held if le.state is LeaseState.ACTIVE}
    return world(
        listed,
        choice,
        leases=tuple(held),
        accounts=accounts,
        budgets=tuple(draw(st.sampled_from(([], budgets)))),
        facts={uid: JobFacts(last_checkpoint_at=NOW) for uid in ran},
        past=draw(pasts(choice)),
        stop_failover=draw(st.sampled_from(("", "", "", "blind"))),
    )


def new(found: tuple[Decision, ...]) -> list[Decision]:
    return [d for d in found if d.action in (Action.PLACE, Action.MOVE)]


def rented(found: tuple[Decision, ...]) -> list[Decision]:
    return [d for d in new(found) if d.offer and d.offer.provider != "home"]


@st.composite
def patient_worlds(draw: st.DrawFn) -> Snapshot:
    """Deadlines, a reliable market, cheap places that come and go: the policy is asked."""
    cloud = rent("c1", "8", 8, is_divisible=True, node_count=draw(st.sampled_from((1, 2))))
    cheap = [
        rent(f"s{i}", str(draw(rates)), capacity_type=CapacityType.SPOT, region=f"r{i}")
        for i in range(draw(st.integers(1, 3)))
    ]
    choice = [cloud, *cheap, node("n0", draw(st.sampled_from((0, 0, 2))))]
    listed = []
    for i in range(draw(st.integers(1, 5))):
        work = draw(st.sampled_from((1, 6, 20))) * HOUR
        job = replace(
            draw(jobs(i)),
            gpu=GpuRequirements(1),
            num_nodes=1,
            work=work,
            finish_by=NOW + work * draw(st.sampled_from((1.01, 1.2, 3))),
            burst=draw(st.sampled_from((Burst.ONLY, Burst.ALLOWED))),
            created_at=NOW - 2 * HOUR,
            max_total_usd=draw(st.sampled_from((usd(15), usd(200)))),
        )
        listed.append(job)
    held = [
        make_lease(job, draw(st.sampled_from(choice[:2])), LeaseState.ACTIVE)
        for job in listed
        if draw(st.booleans())
    ]
    away = draw(st.sets(st.sampled_from(cheap)))
    now = [replace(o, unavailable_reason="gone") if o in away else o for o in choice]
    return world(
        listed,
        now,
        leases=tuple(held),
        budgets=tuple(draw(st.sampled_from(([], [Budget("team", "month", usd(250))])))),
        facts={le.job.uid: JobFacts(last_checkpoint_at=NOW) for le in held},
        past=draw(pasts(choice)),
    )


@settings(deadline=None, max_examples=300)  # two cores shared by everything else that runs
@given(st.one_of(worlds(), patient_worlds()))
def test_every_plan_keeps_its_promises(seen: Snapshot) -> None:
    found = plan(seen, NOW)
    assert found == plan(seen, NOW)
    assert len({d.job.uid for d in found}) == len(found)
    jobs_by_uid = {job.ref.uid: job for job in seen.jobs}
    for decision in new(found):
        job = jobs_by_uid[decision.job.uid]
        mine = [le for le in seen.leases if le.job.uid == job.ref.uid]
        never_two_attempts(decision, mine)
        never_over_a_cap(decision, job, mine)
        never_splits_a_gang(decision, job)
        never_against_burst(decision, job)
    never_more_than_is_free(found, seen)
    never_more_than_the_budget(found, seen)
    never_beyond_the_account(found, seen)


def never_two_attempts(decision: Decision, leases_: list[Lease]) -> None:
    states = {le.state for le in leases_}
    assert not states & {LeaseState.PLANNED, LeaseState.OPENING, LeaseState.UNCERTAIN}
    assert (LeaseState.ACTIVE in states) == (decision.action is Action.MOVE)


def never_over_a_cap(decision: Decision, job: Job, leases_: list[Lease]) -> None:
    price, ceiling = decision.price_usd_per_hour, decision.max_usd_per_hour
    assert price is not None
    assert ceiling is not None
    assert price <= ceiling
    if job.max_hourly_usd is not None:
        assert ceiling <= job.max_hourly_usd
    if job.max_total_usd is None:
        assert decision.offer is not None
        assert decision.offer.provider == "home"
        return
    left = job.max_total_usd - spent_usd(job, leases_, NOW)
    assert decision.max_total_usd is not None
    assert decision.max_total_usd <= left
    assert decision.hard_deadline is not None
    worst = ceiling * Decimal("1.01") * hours(decision.hard_deadline - NOW)
    assert worst <= decision.max_total_usd
    if decision.total_usd is not None:
        assert decision.total_usd <= left


def never_splits_a_gang(decision: Decision, job: Job) -> None:
    offer = decision.offer
    assert offer is not None
    assert offer.gpu_count >= job.gpus_total
    if offer.provider == "home":
        nodes = offer.attribute("nodes").split(",") if job.num_nodes > 1 else [offer.offer_id]
        assert len(set(nodes)) == job.num_nodes
    else:
        assert offer.node_count >= job.num_nodes


def never_against_burst(decision: Decision, job: Job) -> None:
    assert decision.offer is not None
    is_home = decision.offer.provider == "home"
    assert job.burst is not (Burst.ONLY if is_home else Burst.NEVER)


def never_more_than_is_free(found: tuple[Decision, ...], seen: Snapshot) -> None:
    sizes = {job.ref.uid: job for job in seen.jobs}
    taken: Counter[str] = Counter()
    for decision in new(found):
        assert decision.offer is not None
        job, names = sizes[decision.job.uid], decision.offer.attribute("nodes").split(",")
        if decision.offer.provider == "home":
            for name in names if job.num_nodes > 1 else [decision.offer.offer_id]:
                taken[name] += job.gpu.count
        else:
            taken[decision.offer.offer_id] += decision.offer.gpu_count
    free = {o.offer_id: 0 if o.unavailable_reason else o.gpu_count for o in seen.offers}
    assert all(taken[name] <= free[name] for name in taken)


def never_more_than_the_budget(found: tuple[Decision, ...], seen: Snapshot) -> None:
    caps = [d.max_total_usd for d in rented(found) if d.max_total_usd is not None]
    for budget in seen.budgets:
        assert not caps or sum(caps) <= budget.free_usd


def never_beyond_the_account(found: tuple[Decision, ...], seen: Snapshot) -> None:
    held = [le for le in seen.leases if le.state is not LeaseState.CLOSED]
    in_use: dict[str, list[Decimal]] = defaultdict(list)
    for lease in held:
        in_use[lease.provider].append(lease.offer.price_usd_per_hour)
    for decision in rented(found):
        assert decision.offer is not None
        in_use[decision.offer.provider].append(decision.offer.price_usd_per_hour)
    account = seen.accounts["akash"]
    if rented(found) and account.max_leases is not None:
        assert len(in_use["akash"]) <= account.max_leases
    if rented(found) and account.max_hourly_usd is not None:
        assert sum(in_use["akash"]) <= account.max_hourly_usd


@settings(deadline=None, max_examples=100)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_does_not_matter(seen: Snapshot, order: object) -> None:
    shuffled = [list(seen.jobs), list(seen.offers), list(seen.leases)]
    for items in shuffled:
        order.shuffle(items)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    again = replace(
        seen, jobs=tuple(shuffled[0]), offers=tuple(shuffled[1]), leases=tuple(shuffled[2])
    )
    first = {d.job.uid: d for d in plan(seen, NOW)}
    assert {d.job.uid: d for d in plan(again, NOW)} == first


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_every_answer_has_its_sentence_and_its_losers_stay_few(seen: Snapshot) -> None:
    for decision in plan(seen, NOW):
        assert decision.message
        assert len(decision.rejected) <= 32
        if decision.action in (Action.WAIT, Action.REFUSE) and seen.offers:
            settled = decision.reason in {
                "FailoverStopped", "TooManyMoves", "DeadlinePassed", "ActiveDeadlineExceeded",
            }  # fmt: skip
            assert decision.rejected or settled
