"""A GPUProvider is kept while leases are open that only its account can close, and no longer."""

from dataclasses import replace

import pytest

from overspill.core.errors import ClusterUnavailable, Conflict
from overspill.core.lease import Handle, Lease, Permit
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ClosingReason, LeaseState, ProviderType
from overspill.engine import hold
from overspill.engine.opening import open_lease
from overspill.ports import HoldProvider, LeaseStatus, ReleaseProvider
from overspill.testing.market import FakeMarket
from overspill.testing.placing import NOW, make_job, make_lease, rent

from .world import World

JOB = make_job()
ACCOUNT = ProviderAccount("akash", ProviderType.AKASH, resource_version="7")
GOING = replace(ACCOUNT, suspended=True, deletion_requested=True)


@pytest.fixture
def market(world: World) -> FakeMarket:
    found = FakeMarket(world.clock, name="akash")
    world.providers["akash"] = found
    return found


def leased(world: World, state: LeaseState, **changes: object) -> Lease:
    lease = make_lease(JOB, rent("a1"), state, created_at=world.clock.now())
    world.put(JOB, replace(lease, **changes))  # type: ignore[arg-type]
    return world.cluster.leases["lease-train-1"]


async def driven(world: World) -> Lease:
    await open_lease(world.engine, world.cluster.leases["lease-train-1"])
    return world.cluster.leases["lease-train-1"]


async def test_it_is_kept_before_the_first_permit_is_written(
    world: World, market: FakeMarket
) -> None:
    await world.knows(ACCOUNT)
    leased(world, LeaseState.PLANNED)
    await driven(world)
    kinds = [type(change) for change in world.cluster.changes]
    assert kinds[:2] == [HoldProvider, LeaseStatus]
    assert len(market.creates) == 1


async def test_what_cannot_be_kept_is_sent_nothing(world: World, market: FakeMarket) -> None:
    await world.knows(ACCOUNT)
    leased(world, LeaseState.PLANNED)
    world.cluster.refuses = Conflict("GPUProvider akash is being deleted")
    with pytest.raises(Conflict):
        await driven(world)
    assert market.creates == []


async def test_a_lease_planned_a_moment_before_the_deletion_is_withdrawn_unsent(
    world: World, market: FakeMarket
) -> None:
    await world.knows(replace(GOING, is_held=True))
    leased(world, LeaseState.PLANNED)
    found = await driven(world)
    assert found.closing is not None
    assert found.closing.reason is ClosingReason.WITHDRAWN
    assert "is being deleted; nothing was sent" in found.closing.message
    assert market.creates == []


async def test_what_was_sent_before_the_deletion_is_opened_and_kept(
    world: World, market: FakeMarket
) -> None:
    await world.knows(replace(GOING, is_held=True))
    leased(world, LeaseState.OPENING, permit=Permit(1, "a", 1, NOW, NOW))
    world.engine.memory.first_read["gl-train-1", 1] = world.clock.monotonic() - 1000
    assert (await driven(world)).state is LeaseState.ACTIVE


async def test_open_leases_keep_it_and_the_last_closed_one_lets_it_go(world: World) -> None:
    world.put(ACCOUNT)
    lease = leased(world, LeaseState.ACTIVE)
    await hold.settle(world.engine)
    assert world.cluster.accounts["akash"].is_held
    await hold.settle(world.engine)
    assert len(world.cluster.changes) == 1, "a steady state is not written again"
    world.put(replace(lease, state=LeaseState.CLOSING, handle=Handle(lease.key, "42")))
    await hold.settle(world.engine)
    assert world.cluster.accounts["akash"].is_held
    world.put(replace(lease, state=LeaseState.CLOSED))
    await hold.settle(world.engine)
    assert not world.cluster.accounts["akash"].is_held


async def test_that_nothing_is_open_is_read_from_the_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(replace(ACCOUNT, is_held=True))
    unseen = make_lease(JOB, rent("a1"), LeaseState.ACTIVE)

    async def all_leases() -> list[Lease]:
        return [unseen]

    monkeypatch.setattr(world.cluster, "all_leases", all_leases)
    await hold.settle(world.engine)
    assert world.cluster.changes == []


async def test_a_server_that_does_not_answer_lets_nothing_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(replace(GOING, is_held=True))

    async def all_leases() -> list[Lease]:
        raise ClusterUnavailable("no answer")

    monkeypatch.setattr(world.cluster, "all_leases", all_leases)
    with pytest.raises(ClusterUnavailable):
        await hold.settle(world.engine)
    assert world.cluster.written(ReleaseProvider) == []


async def test_a_view_that_is_not_complete_lets_nothing_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(replace(ACCOUNT, is_held=True))
    whole = world.cluster.view()
    monkeypatch.setattr(world.cluster, "view", lambda: replace(whole, synced=False))
    await hold.settle(world.engine)
    assert world.cluster.changes == []


async def test_records_that_the_sweep_doubts_let_nothing_go(
    world: World, market: FakeMarket
) -> None:
    await world.knows(replace(ACCOUNT, is_held=True))
    world.engine.accounts.by_name["akash"].circuit.doubt = "3 leases are held but no GPULease"
    await hold.settle(world.engine)
    assert world.cluster.changes == []


async def test_a_finalizer_that_was_stripped_is_put_back_unless_it_is_too_late(
    world: World,
) -> None:
    world.put(GOING)
    leased(world, LeaseState.ACTIVE)
    await hold.settle(world.engine)
    assert world.cluster.changes == [], "the API server takes none on what is being deleted"
    world.put(ACCOUNT)
    await hold.settle(world.engine)
    assert [c.account.name for c in world.cluster.written(HoldProvider)] == ["akash"]
