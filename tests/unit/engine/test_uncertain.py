"""What nobody can look up waits for a person, and does exactly what the person said."""

from dataclasses import replace

import pytest

from overspill.core.lease import Lease, Permit
from overspill.core.observation import Observation
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase, ProviderType
from overspill.engine.drive import step
from overspill.testing.market import FakeMarket, Held
from overspill.testing.placing import NOW, make_job, make_lease, rent

from .world import World

JOB = make_job()


@pytest.fixture
async def market(world: World) -> FakeMarket:
    found = FakeMarket(world.clock, name="akash")
    world.providers["akash"] = found
    await world.knows(ProviderAccount("akash", ProviderType.AKASH, is_held=True))
    return found


async def driven(world: World, word: str) -> Lease:
    lease = make_lease(JOB, rent("a1"), LeaseState.UNCERTAIN, active_since=None)
    world.put(JOB, replace(lease, permit=Permit(1, "a", 1, NOW, NOW), resolution=word))
    await step(world.engine, ("lease", lease.uid))
    return world.cluster.leases[lease.uid]


async def test_without_a_word_nothing_is_done(world: World, market: FakeMarket) -> None:
    market.sold.append(Held("7", "", NOW))
    assert (await driven(world, "")).state is LeaseState.UNCERTAIN
    assert world.cluster.changes == []
    assert market.closed_while_active == []


async def test_absent_closes_it_so_that_the_next_offer_may_be_tried(
    world: World, market: FakeMarket
) -> None:
    found = await driven(world, "absent")
    assert found.state is LeaseState.CLOSING
    assert found.closing is not None
    assert found.closing.reason is ClosingReason.REJECTED


async def test_adopt_takes_over_what_the_person_found(world: World, market: FakeMarket) -> None:
    market.sold.append(Held("7", "", NOW))
    found = await driven(world, "adopt=7")
    assert found.state is LeaseState.ACTIVE
    assert found.handle is not None
    assert found.handle.external_id == "7"
    assert found.active_since == NOW, "it has cost money since it may have been opened"
    assert world.engine.memory.seen[found.name].observation == Observation(Phase.RUNNING)


async def test_an_id_that_the_market_does_not_know_is_not_adopted(
    world: World, market: FakeMarket
) -> None:
    assert (await driven(world, "adopt=8")).state is LeaseState.UNCERTAIN
