"""What must hold of every plan and of every moment of L1's world; `planner_machine` asks.

Each check raises AssertionError with the objects it is about.
"""

from collections import Counter
from decimal import Decimal

from overspill.core.cost import spent_usd
from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.outcome import outcome
from overspill.core.pricing import hours
from overspill.core.reasons import Reason
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import Burst, LeaseState

from .planner_world import World, nodes_of

NEW = (Action.PLACE, Action.MOVE)
IN_FLIGHT = (LeaseState.PLANNED, LeaseState.OPENING, LeaseState.UNCERTAIN)
SELF_EXPLAINING = frozenset(
    {
        Reason.SUSPENDED_BY_USER, Reason.FAILOVER_STOPPED, Reason.CHILD_PENDING_TOO_LONG,
        Reason.FENCED_BY_POD, Reason.UNKNOWN_SLA_CLASS, Reason.ACTIVE_DEADLINE_EXCEEDED,
        Reason.DEADLINE_PASSED, Reason.TOO_MANY_MOVES,
    }
)  # fmt: skip
"""Answers that need no offer to have lost."""
WORST_RATE = Decimal("1.01")
"""`core/recovery` bears so much above the hourly ceiling."""


def check_plan(world: World, found: tuple[Decision, ...]) -> None:
    """Everything that one plan owes."""
    _nobody_is_forgotten(world, found)
    for decision in found:
        _explains_itself(world, decision)
        if decision.action in NEW:
            job = world.jobs[decision.job.uid]
            _is_the_only_attempt(world, job, decision)
            _is_usable(world, job, decision)
            _is_within_caps(world, job, decision)
    _fits_what_is_free(world, found)
    _fits_budget_and_account(world, found)


def check_world(world: World) -> None:
    """Everything that holds between plans."""
    for job in world.jobs.values():
        _one_unfenced_attempt(world, job)
    for lease in world.leases.values():
        assert lease.cost_usd(world.now) <= lease.max_total_usd, (lease, world.now)
    for name, node in world.nodes.items():
        held = sum(le.request.gpu_count for le in world.on_node(name))
        assert held <= node.total, f"{name} has {node.total} GPUs, leases hold {held}"


def _nobody_is_forgotten(world: World, found: tuple[Decision, ...]) -> None:
    open_jobs = {
        uid
        for uid, job in world.jobs.items()
        if not job.is_finished and outcome(job, world.of(job)) is None
    }
    assert {d.job.uid for d in found} == open_jobs, "forgotten, or decided although ended"
    assert len(found) == len(open_jobs), "two decisions about one job"


def _explains_itself(world: World, decision: Decision) -> None:
    assert decision.message, decision
    assert decision.reason in set(Reason), decision
    assert decision.decided_at == world.now
    if decision.action in (Action.WAIT, Action.REFUSE):
        told = decision.rejected or decision.reason in SELF_EXPLAINING
        assert told or not (world.nodes or world.offers), decision
    else:
        assert decision.offer is not None or decision.reason == Reason.MANAGED_ELSEWHERE, decision


def _is_the_only_attempt(world: World, job: Job, decision: Decision) -> None:
    states = [le.state for le in world.of(job)]
    assert not any(state in IN_FLIGHT for state in states), (decision, states)
    running = states.count(LeaseState.ACTIVE)
    assert running == (1 if decision.action is Action.MOVE else 0), (decision, states)


def _is_usable(world: World, job: Job, decision: Decision) -> None:
    offer = decision.offer
    assert offer is not None
    account = world.accounts[offer.provider]
    assert not account.suspended, decision
    health = world.health.get(offer.provider)
    assert health is None or health.is_usable, decision
    assert not job.suspend, decision
    assert not (world.stop_failover and decision.action is Action.MOVE), decision
    if offer.provider == "home":
        assert job.burst is not Burst.ONLY
        names = nodes_of(offer)
        assert len(set(names)) == job.num_nodes, "a gang is split or stacked"
        assert all(world.nodes[name].is_healthy for name in names), decision
        out = [(job.ref.uid, "home", name) for name in names]
        assert not any(key in world.excluded for key in out), decision
        return
    assert job.burst is not Burst.NEVER
    assert not world.offers[offer.offer_id].unavailable_reason, decision
    assert offer.gpu_count >= job.gpus_total, decision
    assert (job.ref.uid, offer.provider, offer.offer_id) not in world.excluded, decision


def _is_within_caps(world: World, job: Job, decision: Decision) -> None:
    price, ceiling = decision.price_usd_per_hour, decision.max_usd_per_hour
    assert price is not None
    assert ceiling is not None
    assert price <= ceiling
    assert job.max_hourly_usd is None or ceiling <= job.max_hourly_usd
    if job.max_total_usd is None:
        assert decision.offer is not None
        assert decision.offer.provider == "home", "rented without a cap"
        return
    left = job.max_total_usd - spent_usd(job, world.of(job), world.now)
    assert decision.max_total_usd is not None
    assert decision.hard_deadline is not None
    assert decision.max_total_usd <= left, decision
    worst = ceiling * WORST_RATE * hours(decision.hard_deadline - world.now)
    assert worst <= decision.max_total_usd, decision


def _fits_what_is_free(world: World, found: tuple[Decision, ...]) -> None:
    taken: Counter[str] = Counter()
    for decision in found:
        if decision.action not in NEW or decision.offer is None:
            continue
        job, offer = world.jobs[decision.job.uid], decision.offer
        if offer.provider == "home":
            taken.update(dict.fromkeys(nodes_of(offer), job.gpu.count))
        else:
            taken[offer.offer_id] += offer.gpu_count
    for name, count in taken.items():
        if name in world.nodes:
            held = sum(le.request.gpu_count for le in world.on_node(name))
            assert held + count <= world.nodes[name].total, (name, held, count)
        else:
            unseen = sum(le.offer.gpu_count for le in _unseen(world, name))
            assert unseen + count <= world.offers[name].gpu_count, (name, unseen, count)


def _unseen(world: World, offer_id: str) -> list[Lease]:
    """Leases that the catalogue cannot have taken off: on their way, or begun after it was read."""
    as_of = world.offers[offer_id].as_of
    return [
        le
        for le in world.in_state(*WANTED_STATES)
        if le.offer.offer_id == offer_id
        and (le.active_since is None or le.active_since >= as_of or le.state in IN_FLIGHT)
    ]


def _fits_budget_and_account(world: World, found: tuple[Decision, ...]) -> None:
    rented = [
        d for d in found if d.action in NEW and d.offer is not None and d.offer.provider != "home"
    ]
    if world.budget is not None and rented:
        asked = sum((d.max_total_usd or Decimal(0) for d in rented), Decimal(0))
        assert asked <= world.budget.free_usd, rented
    for name, account in world.accounts.items():
        mine = [d for d in rented if d.offer is not None and d.offer.provider == name]
        if not mine or account.max_leases is None:
            continue
        held = [x for x in world.leases.values() if x.provider == name]
        open_ones = sum(1 for x in held if x.state is not LeaseState.CLOSED)
        assert open_ones + len(mine) <= account.max_leases, mine


def _one_unfenced_attempt(world: World, job: Job) -> None:
    """R9: one wanted attempt, or two while a planned move overlaps."""
    mine = sorted(world.wanted(job), key=lambda le: le.attempt)
    assert len(mine) <= 2, mine
    if len(mine) == 2:
        assert mine[0].state is LeaseState.ACTIVE, mine
        assert not mine[0].is_home, "nobody is moved away from home"
        assert mine[1].is_home, mine
