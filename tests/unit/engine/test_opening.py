"""R1 to R5, one by one: a permit before each send, and an unknown outcome is looked up by key."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core.errors import (
    AuthRejected,
    Conflict,
    InsufficientFunds,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
    RateLimited,
    WorkloadRejected,
)
from overspill.core.job import Job
from overspill.core.lease import Handle, Lease
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ClosingReason, LeaseState, ProviderType
from overspill.engine.gather import _portability
from overspill.engine.opening import open_lease
from overspill.ports import IdempotencyClass, LeaseStatus, OpenRequest, OpenStep
from overspill.testing.market import FakeMarket, Held, Lies
from overspill.testing.placing import NOW, make_job, make_lease, rent

from .world import World

A, B, D = IdempotencyClass.A, IdempotencyClass.B, IdempotencyClass.D
JOB: Job = make_job()
WAIT_S = 80.0
"""T_permit + T_quarantine of the market."""


class Market(FakeMarket):
    """Notes what the record said at the moment of each send, and fails as told."""

    def __init__(self, world: World, klass: IdempotencyClass) -> None:
        super().__init__(world.clock, name="akash", klass=klass)
        self.world = world
        self.recorded: list[tuple[LeaseState, int]] = []
        self.fails: ProviderError | None = None

    async def open(self, request: OpenRequest) -> OpenStep:
        """One send."""
        lease = next(iter(self.world.cluster.leases.values()))
        self.recorded.append((lease.state, lease.permit.seq if lease.permit else 0))
        if self.fails is not None:
            raise self.fails
        return await super().open(request)


async def opened(world: World, klass: IdempotencyClass = B) -> Market:
    """A Planned lease of a wanted job at a market of that class."""
    market = Market(world, klass)
    world.providers["akash"] = market
    await world.knows(ProviderAccount("akash", ProviderType.AKASH, is_held=True))
    now = world.clock.now()
    world.put(JOB, make_lease(JOB, rent("a1"), LeaseState.PLANNED, created_at=now))
    return market


def lease_of(world: World) -> Lease:
    return world.cluster.leases["lease-train-1"]


async def step(world: World) -> Lease:
    await open_lease(world.engine, lease_of(world))
    return lease_of(world)


async def test_a_permit_is_recorded_before_the_send(world: World) -> None:
    market = await opened(world)
    found = await step(world)
    assert market.recorded == [(LeaseState.OPENING, 1)]
    assert (found.state, found.price_usd_per_hour) == (LeaseState.ACTIVE, Decimal("2.00"))


async def test_whose_permit_is_refused_sends_nothing(world: World) -> None:
    market = await opened(world)
    world.cluster.refuses = Conflict("another leader was faster")
    with pytest.raises(Conflict):
        await step(world)
    assert market.recorded == []


@pytest.mark.parametrize("left", [0.0, 9.0])
async def test_who_is_about_to_lose_the_election_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, left: float
) -> None:
    market = await opened(world)
    monkeypatch.setattr(world.leader, "remaining_s", lambda: left)
    assert (await step(world)).state is LeaseState.PLANNED
    assert (market.recorded, world.cluster.changes) == ([], [])


@pytest.mark.parametrize(
    "error",
    [
        NoCapacity("sold out"),
        OfferRejected("bad request"),
        InsufficientFunds("no money"),
        AuthRejected("wrong key"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_definitive_no_closes_it_and_leaves_the_offer_out(
    world: World, error: ProviderError
) -> None:
    market = await opened(world)
    market.fails = error
    found = await step(world)
    assert found.closing is not None
    assert (found.state, found.closing.reason) == (LeaseState.CLOSING, ClosingReason.REJECTED)
    assert (JOB.ref.uid, "akash", "a1") in world.engine.memory.excluded


async def test_what_was_made_and_is_not_as_offered_is_closed_by_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = await opened(world)
    told = iter([OpenStep(Handle("gl-train-1", "x7"), False), OfferRejected("another GPU")])

    async def tells(_: OpenRequest) -> OpenStep:
        answer = next(told)
        if isinstance(answer, OfferRejected):
            raise answer
        return answer

    monkeypatch.setattr(market, "open", tells)
    await step(world)
    found = await step(world)
    assert found.closing is not None
    assert (found.state, found.closing.reason) == (LeaseState.CLOSING, ClosingReason.REJECTED)
    assert found.handle is not None
    assert found.handle.external_id == "x7", "its bill is asked for by that"


async def test_a_workload_that_no_offer_takes_is_refused_once_and_not_offer_by_offer(
    world: World,
) -> None:
    market = await opened(world)
    market.fails = WorkloadRejected("spec.template is no pod")
    await step(world)
    (known,) = world.engine.memory.portability.values()
    assert "spec.template is no pod" in known.invalid
    edited = replace(JOB, generation=JOB.generation + 1)
    assert _portability(world.engine, edited) is known, "an edit does not change the template"


async def test_a_rate_limit_was_not_executed_and_the_next_send_has_a_new_permit(
    world: World,
) -> None:
    market = await opened(world)
    market.fails = RateLimited("slower", retry_after=timedelta(seconds=3))
    assert (await step(world)).state is LeaseState.OPENING
    market.fails = None
    await step(world)
    assert [seq for _, seq in market.recorded] == [1, 2]
    assert len(market.sold) == 1


async def unknown(world: World, klass: IdempotencyClass) -> Market:
    """A send whose outcome is not known."""
    market = await opened(world, klass)
    market.fails = OpenUncertain("the connection broke")
    assert (await step(world)).state is LeaseState.OPENING
    market.fails = None
    return market


async def test_an_unknown_outcome_is_never_repeated_before_the_quarantine_is_over(
    world: World,
) -> None:
    market = await unknown(world, B)
    await step(world)
    world.clock.advance(WAIT_S - 1)
    await step(world)
    assert len(market.recorded) == 1
    world.clock.advance(1)
    assert (await step(world)).state is LeaseState.ACTIVE
    assert [seq for _, seq in market.recorded] == [1, 2]


async def test_a_class_a_market_may_be_asked_again_at_once(world: World) -> None:
    market = await unknown(world, A)
    assert (await step(world)).state is LeaseState.ACTIVE
    assert [seq for _, seq in market.recorded] == [1, 2]
    assert len(market.sold) == 1


async def test_what_came_of_it_is_adopted_by_its_key(world: World) -> None:
    market = await unknown(world, B)
    market.sold.append(Held("42", lease_of(world).key, NOW))
    found = await step(world)
    assert found.handle is not None
    assert (found.state, found.handle.external_id) == (LeaseState.ACTIVE, "42")
    assert len(market.sold) == 1


async def test_what_is_adopted_is_charged_since_the_market_made_it(world: World) -> None:
    market = await unknown(world, B)
    world.clock.advance(3)
    made = world.clock.now()
    market.sold.append(Held("42", lease_of(world).key, made))
    world.clock.advance(20)
    assert (await step(world)).active_since == made


async def test_it_is_charged_since_it_was_asked_for_not_since_the_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = await opened(world)
    asked, sell = world.clock.now(), market._sell

    def slow(request: OpenRequest) -> Held:
        held = sell(request)
        world.clock.advance(3)
        return held

    monkeypatch.setattr(market, "_sell", slow)
    assert (await step(world)).active_since == asked


@pytest.mark.parametrize("forgets", [False, True], ids=["remembered", "after a restart"])
@pytest.mark.parametrize(("lag", "late"), [(60, 0), (2, 3)], ids=["a late list", "a quick list"])
async def test_what_a_class_a_market_recognises_costs_since_it_may_have_been_made(
    world: World, forgets: bool, lag: float, late: float
) -> None:
    """The answer to the first create was lost, and five seconds later no list shows it."""
    market = await opened(world, A)
    gated = world.engine.accounts.provider("akash")
    assert gated is not None
    gated.capabilities = replace(market.capabilities, list_lag=timedelta(seconds=lag))
    market.lies = Lies(lose_answer=1, list_lag_s=60)
    asked = world.clock.now()
    await step(world)
    market.lies = Lies()
    if forgets:
        world.engine.memory = type(world.engine.memory)()
    world.clock.advance(5 - (world.clock.now() - asked).total_seconds())
    found = await step(world)
    assert found.state is LeaseState.ACTIVE
    assert found.active_since == asked + timedelta(seconds=late)
    assert len(market.sold) == 1


async def throttled(world: World, market: Market) -> None:
    market.fails = RateLimited("slower", retry_after=timedelta(seconds=3))
    await step(world)
    market.fails = None
    world.clock.advance(3)


async def test_what_is_adopted_costs_since_it_was_made_though_it_could_not_be_read_at_once(
    world: World,
) -> None:
    market = await unknown(world, B)
    made = world.clock.now()
    market.sold.append(Held("42", lease_of(world).key, made))
    world.clock.advance(2)
    await throttled(world, market)
    assert (await step(world)).active_since == made


async def test_what_was_made_costs_since_then_though_it_could_not_be_read_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = await opened(world)
    made, whole = world.clock.now(), market._complete

    def partly(request: OpenRequest, held: Held) -> OpenStep:
        return replace(whole(request, held), is_complete=request.handle is not None)

    monkeypatch.setattr(market, "_complete", partly)
    await step(world)
    await throttled(world, market)
    assert (await step(world)).active_since == made
    assert [seq for _, seq in market.recorded] == [1, 1, 1], "a read that was refused costs nothing"


async def test_a_market_whose_clock_is_slow_charges_nothing_before_the_plan(world: World) -> None:
    market = await unknown(world, B)
    planned = lease_of(world).created_at
    market.sold.append(Held("42", lease_of(world).key, planned - timedelta(hours=1)))
    world.clock.advance(20)
    assert (await step(world)).active_since == planned


async def test_of_several_the_oldest_is_adopted_and_none_is_ended_yet(world: World) -> None:
    market = await unknown(world, B)
    key = lease_of(world).key
    market.sold += [Held("9", key, NOW + timedelta(seconds=5)), Held("7", key, NOW)]
    found = await step(world)
    assert found.handle is not None
    assert found.handle.external_id == "7"
    assert market.closed_while_active == []


async def test_a_market_that_cannot_be_asked_waits_for_a_person(world: World) -> None:
    await unknown(world, D)
    assert (await step(world)).state is LeaseState.UNCERTAIN


async def test_a_restart_looks_up_first_and_waits_again_in_full(world: World) -> None:
    market = await unknown(world, B)
    world.clock.advance(WAIT_S + 1)
    world.engine.memory = type(world.engine.memory)()
    await step(world)
    assert len(market.recorded) == 1
    world.clock.advance(WAIT_S)
    await step(world)
    assert len(market.sold) == 1


async def test_what_nobody_wants_is_not_opened(world: World) -> None:
    market = await opened(world)
    world.put(replace(JOB, suspend=True))
    found = await step(world)
    assert found.closing is not None
    assert found.closing.reason is ClosingReason.SUSPENDED
    assert market.recorded == []


async def test_an_open_that_does_not_succeed_is_given_up(world: World) -> None:
    market = await unknown(world, B)
    world.clock.advance(601)
    found = await step(world)
    assert found.closing is not None
    assert found.closing.reason is ClosingReason.WITHDRAWN
    assert len(market.recorded) == 1


async def test_every_send_is_preceded_by_exactly_one_permit(world: World) -> None:
    market = await unknown(world, A)
    await step(world)
    writes = [c.lease.permit.seq for c in world.cluster.written(LeaseStatus) if c.lease.permit]
    assert sorted(set(writes)) == [1, 2]
    assert [seq for _, seq in market.recorded] == [1, 2]
