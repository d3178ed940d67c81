"""Polling: one listing confirms many leases; whatever it does not confirm is read by itself."""

from dataclasses import replace

import pytest

from overspill.core.errors import Unavailable
from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease, Observation
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import LeaseState, Phase, ProviderType
from overspill.engine.watch import watch_once
from overspill.testing.market import FakeMarket, Held
from overspill.testing.placing import NOW, make_job, make_lease, rent

from .world import World

ACCOUNT = ProviderAccount("market", ProviderType.VAST)


class Counted(FakeMarket):
    """Counts what it is asked."""

    listings = 0
    reads: list[str]
    is_down = False

    async def leases(self) -> list[HeldLease]:
        self.listings += 1
        if self.is_down:
            raise Unavailable("no list today", provider=self.name)
        return list(await super().leases())

    async def observe(self, handle: Handle) -> Observation:
        self.reads.append(handle.external_id)
        return await super().observe(handle)


def rented(number: int) -> Lease:
    offer = replace(rent(f"a{number}"), provider="market")
    made = make_lease(make_job(name=f"job-{number}"), offer, LeaseState.ACTIVE)
    name = f"gl-{number}"
    return replace(made, name=name, uid=name, handle=Handle(name, str(number)))


async def polled(world: World, *, whole: bool, count: int = 5) -> Counted:
    market = Counted(world.clock, lists_whole=whole)
    market.reads = []
    world.providers["market"] = market
    await world.knows(ACCOUNT)
    for number in range(count):
        world.put(rented(number))
        market.sold.append(Held(str(number), f"gl-{number}", NOW))
    await watch_once(world.engine)
    assert len(market.reads) == count, "what was never seen is read"
    market.reads.clear()
    market.listings = 0
    return market


@pytest.mark.parametrize("whole", [True, False])
async def test_many_steady_leases_cost_one_listing(world: World, whole: bool) -> None:
    market = await polled(world, whole=whole)
    await watch_once(world.engine)
    assert (market.listings, market.reads) == (1, [])


@pytest.mark.parametrize("whole", [True, False])
async def test_what_is_missing_from_the_list_is_read(world: World, whole: bool) -> None:
    market = await polled(world, whole=whole)
    market.vanish("gl-3")
    await watch_once(world.engine)
    assert market.reads == ["3"]
    assert "gl-3" in world.engine.memory.missing_since


@pytest.mark.parametrize("whole", [True, False])
async def test_what_a_read_did_not_find_is_read_again_whatever_the_list_says(
    world: World, whole: bool
) -> None:
    market = await polled(world, whole=whole)
    world.engine.memory.missing_since["gl-1"] = world.clock.monotonic()
    await watch_once(world.engine)
    assert market.reads == ["1"]
    assert "gl-1" not in world.engine.memory.missing_since


async def test_news_in_the_list_are_read_before_they_count(world: World) -> None:
    market = await polled(world, whole=True)
    market.finish("gl-2", exit_code=7)
    await watch_once(world.engine)
    assert market.reads == ["2"]
    assert world.engine.memory.seen["gl-2"].observation.exit_code == 7


async def test_where_lists_tell_less_each_is_read_now_and_then(world: World) -> None:
    market = await polled(world, whole=False)
    market.finish("gl-2")
    await watch_once(world.engine)
    assert market.reads == []
    world.clock.advance(world.engine.settings.detail_period_s)
    await watch_once(world.engine)
    assert sorted(market.reads) == ["0", "1", "2", "3", "4"]
    assert world.engine.memory.phase("gl-2") is Phase.SUCCEEDED


async def test_without_a_list_all_are_read(world: World) -> None:
    market = await polled(world, whole=True)
    market.is_down = True
    await watch_once(world.engine)
    assert len(market.reads) == 5


async def test_a_listing_that_works_again_counts_for_the_account(world: World) -> None:
    market = await polled(world, whole=True)
    account = world.engine.accounts.by_name["market"]
    world.engine.accounts.note("market", Unavailable("no answer", provider="market"))
    assert account.circuit.failures == 1
    await watch_once(world.engine)
    assert (market.listings, market.reads) == (1, [])
    assert account.circuit.failures == 0


async def test_few_are_read_without_a_listing(world: World) -> None:
    market = await polled(world, whole=True, count=2)
    await watch_once(world.engine)
    assert (market.listings, len(market.reads)) == (0, 2)
