"""An account is deleted at any moment of a lease's life, and the operator dies at any call: the
GPUProvider goes only when the market holds nothing, and no lease is left that nobody can close.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from overspill.kube.resources import Kind, item
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simulation import Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

PROVIDER = item(Kind.PROVIDER, "", "market")
CLASSES = (IdempotencyClass.A, IdempotencyClass.B, IdempotencyClass.C)
SITES = 40
"""Passages of the gate in such a life, rounded up."""
MOMENTS_S = (1.0, 30.0)
"""Around the first send; while it runs. Other moments come with the seeds."""


async def life(sim: Simulation, deleted_after_s: float) -> list[int]:
    """The job runs, its account is deleted, then the job; what the market held as the account went.

    Ends when everything is gone, in virtual time.
    """
    held_as_it_went: list[int] = []

    def heard(change: str, obj: Mapping[str, Any]) -> None:
        if change == "DELETED" and obj.get("kind") == Kind.PROVIDER.value:
            held_as_it_went.append(len(sim.market.live()))
        tell(change, obj)

    await sim.start()
    tell, sim.api.on_write = sim.api.on_write, heard
    await sim.apply("job")
    await asyncio.sleep(deleted_after_s)
    await sim.api.delete(PROVIDER)
    await asyncio.sleep(40)
    await sim.delete("job")
    assert await sim.until(lambda: _is_all_gone(sim), 1200), "somebody waits for ever"
    leases = await sim.leases()
    await sim.stop()
    assert not [x for x in leases if x["status"].get("conditions")], "nobody was ever Stranded"
    return held_as_it_went


async def _is_all_gone(sim: Simulation) -> bool:
    providers = await sim.api.list_all("/apis/overspill.dev/v1alpha1/gpuproviders")
    settled = all(not x["metadata"].get("finalizers") for x in await sim.leases())
    return not providers and settled and not sim.market.live()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("deleted_after_s", MOMENTS_S)
@pytest.mark.parametrize("site", range(1, SITES + 1))
def test_the_account_goes_last(site: int, deleted_after_s: float, moment: str) -> None:
    market = FakeMarket(LoopClock(), klass=CLASSES[site % 3], lies=Lies())
    sim = Simulation(market=market, crash_at=site, crash_moment=moment)
    assert run_virtual(life(sim, deleted_after_s)) == [0]


@pytest.mark.parametrize("seed", range(20))
def test_it_does_at_a_market_that_lies_and_with_two_leaders(seed: int) -> None:
    lies = Lies(lose_answer=0.3, fail_before=0.2, fail_read=0.2, list_lag_s=10)
    market = FakeMarket(LoopClock(), klass=CLASSES[seed % 3], lies=lies)
    sim = Simulation(market=market, seed=seed, leaders=("a", "b"))
    assert run_virtual(life(sim, (seed % 7) / 2)) == [0]
