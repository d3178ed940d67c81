"""R6: proof of absence before forgetting. No error ever leads to a removal."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import REGISTRY

from overspill.core.errors import Conflict, LeaseNotFound, ProviderError, Unavailable
from overspill.core.lease import Handle, Lease
from overspill.core.observation import Observation
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase, ProviderType
from overspill.engine.closing import LOOK_LAST_S, _next_look_s, end_lease, release
from overspill.ports import DeleteLease, ReleaseLease
from overspill.testing.market import FakeMarket, Held, Lies
from overspill.testing.placing import NOW, make_job, make_lease, rent

from .world import World, closing

JOB = make_job()
WAIT_S = 80.0
INTERVAL_S = 5.0


@pytest.fixture
async def market(world: World) -> FakeMarket:
    found = FakeMarket(world.clock, name="akash", lies=Lies())
    world.providers["akash"] = found
    await world.knows(ProviderAccount("akash", ProviderType.AKASH, is_held=True))
    return found


async def step(world: World) -> Lease:
    lease = world.cluster.leases["lease-train-1"]
    await end_lease(world.engine, lease)
    return world.cluster.leases["lease-train-1"]


async def test_it_is_closed_at_once_forgotten_only_after_the_last_permit_and_two_looks(
    world: World, market: FakeMarket
) -> None:
    market.sold.append(Held("42", "gl-train-1", NOW))
    closing(world)
    assert (await step(world)).state is LeaseState.CLOSING
    assert market.live() == [], "the bill ends early"
    world.clock.advance(WAIT_S)
    assert (await step(world)).state is LeaseState.CLOSING, "absent once proves nothing"
    world.clock.advance(INTERVAL_S - 1)
    assert (await step(world)).state is LeaseState.CLOSING
    world.clock.advance(1)
    found = await step(world)
    assert found.state is LeaseState.CLOSED
    assert found.has_finalizer, "that goes with the next step"


async def test_our_books_end_when_it_was_first_seen_gone_not_at_the_second_proof(
    world: World, market: FakeMarket
) -> None:
    market.sold.append(Held("42", "gl-train-1", NOW))
    closing(world, active_since=world.clock.now(), price_usd_per_hour=Decimal(3600))
    await step(world)
    world.clock.advance(WAIT_S)
    await step(world)
    world.clock.advance(INTERVAL_S)
    found = await step(world)
    assert found.state is LeaseState.CLOSED
    assert found.billed_usd == Decimal(int(WAIT_S))


async def test_what_turns_up_late_is_ended_and_the_proof_begins_anew(
    world: World, market: FakeMarket
) -> None:
    closing(world, handle=None)
    await step(world)
    world.clock.advance(WAIT_S)
    await step(world)
    market.sold.append(Held("43", "gl-train-1", NOW))  # a send that executed late
    world.clock.advance(INTERVAL_S)
    assert (await step(world)).state is LeaseState.CLOSING
    assert market.live() == []
    await step(world)
    world.clock.advance(INTERVAL_S)
    assert (await step(world)).state is LeaseState.CLOSED


async def test_everything_under_its_key_is_ended(world: World, market: FakeMarket) -> None:
    market.sold += [Held("42", "gl-train-1", NOW), Held("77", "gl-train-1", NOW)]
    closing(world)
    world.engine.memory.first_read["gl-train-1", 1] = 0.0
    await step(world)
    assert market.live() == []


@pytest.mark.parametrize("call", ["close", "leases", "observe"])
async def test_a_market_that_fails_is_asked_again_and_nothing_is_removed(
    world: World, market: FakeMarket, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    closing(world)
    world.clock.advance(WAIT_S)
    world.engine.memory.first_read["gl-train-1", 1] = 0.0
    world.engine.memory.absences["gl-train-1"] = 0.0

    async def fails(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(market, call, fails)
    with pytest.raises(ProviderError):
        await step(world)
    assert world.cluster.leases["lease-train-1"].state is LeaseState.CLOSING
    assert world.cluster.changes == []


async def test_an_account_that_cannot_be_built_keeps_the_lease(world: World) -> None:
    closing(world)
    found = await step(world)
    assert (found.state, found.has_finalizer) == (LeaseState.CLOSING, True)
    assert world.cluster.written(ReleaseLease) == []


async def test_a_late_word_of_its_runner_starts_nothing(world: World, market: FakeMarket) -> None:
    from overspill.serve.book import Event  # noqa: PLC0415  (used here alone)

    lease = closing(world)
    await step(world)
    assert world.hears(lease, Event.HELLO) == "hold"


async def test_the_finalizer_goes_after_closed_and_the_entry_after_its_time(
    world: World,
) -> None:
    ended = world.clock.now()
    lease = replace(
        make_lease(JOB, rent("a1"), LeaseState.CLOSED), closed_at=ended, billed_usd=Decimal(1)
    )
    world.put(lease)
    await release(world.engine, lease)
    assert [c.lease for c in world.cluster.written(ReleaseLease)] == [lease]
    free = replace(lease, has_finalizer=False)
    world.clock.advance(timedelta(days=7).total_seconds() - 1)
    await release(world.engine, free)
    assert world.cluster.written(DeleteLease) == []
    world.clock.advance(1)
    await release(world.engine, free)
    assert [c.lease for c in world.cluster.written(DeleteLease)] == [free]


async def test_the_ledger_is_kept_as_long_as_its_job(world: World) -> None:
    old = world.clock.now() - timedelta(days=30)
    lease = replace(
        make_lease(JOB, rent("a1"), LeaseState.CLOSED), closed_at=old, has_finalizer=False
    )
    world.put(JOB, lease)
    await release(world.engine, lease)
    assert world.cluster.written(DeleteLease) == []


async def test_the_bill_is_what_is_recorded_and_is_held_against_our_books(
    world: World,
    market: FakeMarket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One hour at 2 USD by our books, 3 by the market's."""

    async def gone(_: Handle) -> None:
        raise LeaseNotFound("gone", billed_usd=Decimal(3))

    def told(name: str) -> float:
        return REGISTRY.get_sample_value(f"overspill_{name}_usd_total", {"provider": "akash"}) or 0

    monkeypatch.setattr(market, "observe", gone)
    now = world.clock.now()
    begun = now - timedelta(hours=1, seconds=INTERVAL_S)  # absent for an interval already
    closing(world, active_since=begun, price_usd_per_hour=Decimal(2))
    world.engine.memory.first_read["gl-train-1", 1] = world.clock.monotonic() - WAIT_S
    world.engine.memory.absences["gl-train-1"] = world.clock.monotonic() - INTERVAL_S
    before = told("ledger"), told("billed")
    found = await step(world)
    assert (found.state, found.billed_usd) == (LeaseState.CLOSED, Decimal(3))
    assert (told("ledger") - before[0], told("billed") - before[1]) == (2.0, 3.0)
    assert "was billed 3 USD, by our books it cost 2" in caplog.text


NEVER_ACTIVE: dict[str, Any] = {"active_since": None, "price_usd_per_hour": None}


async def ended_after(world: World, seconds: float) -> Lease:
    """Nothing is left at the market, and after so long it is seen; then the proof is complete."""
    world.engine.memory.first_read["gl-train-1", 1] = world.clock.monotonic() - WAIT_S
    world.clock.advance(seconds)
    await step(world)
    world.clock.advance(INTERVAL_S)
    return await step(world)


def told(world: World, usd: int, phase: Phase = Phase.RUNNING) -> None:
    seen = Observation(phase, billed_usd=Decimal(usd))
    world.engine.memory.note("gl-train-1", seen, world.clock.monotonic())


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.FAILED])
async def test_a_running_bill_is_not_the_final_one(
    world: World, market: FakeMarket, phase: Phase
) -> None:
    """What has exited bills until it is ended."""
    closing(world, active_since=NOW, price_usd_per_hour=Decimal(3600))
    told(world, 7, phase)
    assert (await ended_after(world, 10)).billed_usd == Decimal(17)


async def test_after_a_restart_our_books_hold_from_the_start(
    world: World, market: FakeMarket
) -> None:
    now = world.clock.now()
    closing(world, active_since=now, price_usd_per_hour=Decimal(3600))
    assert (await ended_after(world, 10)).billed_usd == Decimal(10)


async def test_the_bill_of_what_is_gone_stands(
    world: World, market: FakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: Handle) -> Observation:
        return Observation(Phase.TERMINATED, billed_usd=Decimal(3))

    monkeypatch.setattr(market, "observe", gone)
    closing(world, active_since=NOW, price_usd_per_hour=Decimal(3600))
    told(world, 7)
    assert (await ended_after(world, 10)).billed_usd == Decimal(3)


async def test_what_never_became_active_is_charged_since_it_was_made(
    world: World, market: FakeMarket
) -> None:
    now = world.clock.now()
    market.sold.append(Held("43", "gl-train-1", now, usd_per_hour=Decimal(3600)))
    closing(world, handle=None, created_at=now, **NEVER_ACTIVE)
    world.clock.advance(WAIT_S)
    world.engine.memory.first_read["gl-train-1", 1] = 0.0
    found = await step(world)
    assert market.live() == []
    assert found.handle is not None
    assert found.handle.external_id == "43", "its end is proven by that, its bill asked for"
    assert (found.state, found.active_since) == (LeaseState.CLOSING, None)
    assert (await ended_after(world, 0)).billed_usd == Decimal(int(WAIT_S))


async def test_what_is_found_is_on_record_before_it_is_ended(
    world: World, market: FakeMarket
) -> None:
    market.sold.append(Held("43", "gl-train-1", NOW))
    closing(world, handle=None, **NEVER_ACTIVE)
    world.engine.memory.first_read["gl-train-1", 1] = world.clock.monotonic() - WAIT_S
    world.cluster.refuses = Conflict("somebody was faster")
    with pytest.raises(Conflict):
        await step(world)
    assert len(market.live()) == 1


async def test_what_was_made_is_charged_since_the_plan_when_nobody_remembers(
    world: World, market: FakeMarket
) -> None:
    now = world.clock.now()
    closing(world, created_at=now - timedelta(hours=1), **NEVER_ACTIVE)
    found = await ended_after(world, 0)
    assert found.billed_usd == Decimal(2), "an hour at the offer's price"


async def test_what_was_never_made_costs_nothing(world: World, market: FakeMarket) -> None:
    closing(world, handle=None, created_at=NOW, **NEVER_ACTIVE)
    assert (await ended_after(world, 0)).billed_usd == 0


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 2), (10, 2), (60, 12), (3600, 30), (-3600, 2)])
def test_a_child_on_a_node_that_is_gone_for_good_is_asked_after_less_and_less(
    world: World, age_s: float, wait_s: float
) -> None:
    """Its pod cannot end before somebody comes; every look asks the API server to delete it."""
    lease = closing(world)
    assert lease.closing is not None
    asked = replace(lease.closing, requested_at=world.clock.now() - timedelta(seconds=age_s))
    assert _next_look_s(world.engine, replace(lease, closing=asked)) == wait_s


async def finished_at_home(world: World, phase: Phase) -> FakeMarket:
    """A place without permits, as home is; its child is shown in `phase`."""
    home = FakeMarket(world.clock, name="akash", lies=Lies())
    home.capabilities = replace(home.capabilities, needs_permits=False)
    world.providers["akash"] = home
    await world.knows(ProviderAccount("akash", ProviderType.AKASH, is_held=True))
    code = 0 if phase is Phase.SUCCEEDED else None
    home.sold.append(Held("42", "gl-train-1", NOW, phase=phase, exit_code=code))
    lease = closing(world)
    assert lease.closing is not None
    world.put(replace(lease, closing=replace(lease.closing, reason=ClosingReason.FINISHED)))
    return home


async def test_after_a_restart_a_child_that_had_finished_is_left_for_its_log(
    world: World,
) -> None:
    home = await finished_at_home(world, Phase.SUCCEEDED)
    assert (await step(world)).state is LeaseState.CLOSED
    assert home.closed_while_active == []


async def test_after_a_restart_into_the_past_a_finished_child_is_left_for_its_log_too(
    world: World,
) -> None:
    """Its pod is shown running for a while; the record of its end is newer."""
    home = await finished_at_home(world, Phase.RUNNING)
    assert (await step(world)).state is LeaseState.CLOSING
    world.clock.advance(LOOK_LAST_S - 1)
    assert (await step(world)).state is LeaseState.CLOSING
    home.sold[0].phase, home.sold[0].exit_code = Phase.SUCCEEDED, 0
    assert (await step(world)).state is LeaseState.CLOSED
    assert home.closed_while_active == []


async def test_what_runs_on_though_it_is_recorded_as_finished_is_ended(world: World) -> None:
    home = await finished_at_home(world, Phase.RUNNING)
    await step(world)
    world.clock.advance(LOOK_LAST_S)
    assert (await step(world)).state is LeaseState.CLOSED
    assert home.live() == []
