"""L2 and L3 in virtual time: the real engine, crashed at every outbound call, over lying markets.

The oracle is the market's own ledger. A failure names its parameters; run that one id again.
"""

import asyncio

import pytest

from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simulation import Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

A, B, C = IdempotencyClass.A, IdempotencyClass.B, IdempotencyClass.C
SITES = 34
"""Passages of the gate in one undisturbed life of a rented lease, rounded up."""


def market(klass: IdempotencyClass, lies: Lies | None = None) -> FakeMarket:
    return FakeMarket(LoopClock(), klass=klass, lies=lies or Lies())


async def one_life(sim: Simulation) -> None:
    """A job is applied, leased, runs, ends; its lease is closed for certain."""
    await sim.start()
    await sim.apply("job")
    assert await sim.until(lambda: _is_live(sim), 1200), "never leased"
    await asyncio.sleep(20)
    for held in sim.market.live():
        sim.market.finish(held.key)
    assert await sim.until(lambda: _is_over(sim), 1200), "never ended"
    await sim.stop()


async def _is_live(sim: Simulation) -> bool:
    return bool(sim.market.live())


async def _is_over(sim: Simulation) -> bool:
    jobs = (await sim.jobs()).values()
    done = all(j.get("status", {}).get("phase") == "Complete" for j in jobs)
    settled = all(not x["metadata"].get("finalizers") for x in await sim.leases())
    return done and settled and not sim.market.live()


def never_two(sim: Simulation) -> bool:
    """No two things under one key, ever, by the market's ledger."""
    keys = [held.key for held in sim.market.sold]
    return len(keys) == len(set(keys))


@pytest.mark.parametrize("klass", [A, B, C])
def test_an_undisturbed_life_costs_one_lease(klass: IdempotencyClass) -> None:
    sim = Simulation(market=market(klass))
    run_virtual(one_life(sim))
    assert len(sim.market.sold) == 1
    assert 10 < len(sim.sites) <= SITES


@pytest.mark.parametrize("klass", [A, B, C])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("site", range(1, SITES + 1))
def test_a_crash_at_any_call_leaks_and_doubles_nothing(
    klass: IdempotencyClass, moment: str, site: int
) -> None:
    sim = Simulation(market=market(klass), crash_at=site, crash_moment=moment)
    run_virtual(one_life(sim))
    assert never_two(sim)
    assert len(sim.market.sold) == 1


@pytest.mark.parametrize("seed", range(40))
def test_a_market_that_loses_answers_leaks_and_doubles_nothing(seed: int) -> None:
    lies = Lies(lose_answer=0.4, fail_before=0.2, fail_read=0.2, list_lag_s=20)
    sim = Simulation(market=market([A, B, C][seed % 3], lies), seed=seed)
    run_virtual(one_life(sim))
    assert never_two(sim)


@pytest.mark.parametrize("seed", range(20))
def test_a_call_executed_late_but_within_quarantine_is_never_doubled(seed: int) -> None:
    lies = Lies(late=0.6, late_s=45, fail_read=0.1)
    sim = Simulation(market=market(B, lies), seed=seed)
    run_virtual(one_life(sim))
    assert never_two(sim)


@pytest.mark.parametrize("site", range(1, SITES + 1, 3))
def test_a_deleted_job_leaves_nothing_even_when_the_operator_dies(site: int) -> None:
    async def life(sim: Simulation) -> None:
        await sim.start()
        await sim.apply("job")
        await sim.until(lambda: _is_live(sim), 1200)
        await sim.delete("job")
        assert await sim.until(lambda: _is_nothing_left(sim), 1200)
        await sim.stop()

    sim = Simulation(market=market(B), crash_at=site)
    run_virtual(life(sim))
    assert never_two(sim)


async def _is_nothing_left(sim: Simulation) -> bool:
    settled = all(not x["metadata"].get("finalizers") for x in await sim.leases())
    return settled and not sim.market.live()


@pytest.mark.parametrize("seed", range(10))
def test_a_vanished_host_means_a_new_attempt_and_not_a_failed_job(seed: int) -> None:
    async def life(sim: Simulation) -> None:
        await sim.start()
        await sim.apply("job")
        await sim.until(lambda: _is_live(sim), 1200)
        await asyncio.sleep(15 + seed)
        sim.market.vanish(sim.market.live()[0].key)
        assert await sim.until(lambda: _is_live(sim), 1200), "no second attempt"
        await asyncio.sleep(10)
        sim.market.finish(sim.market.live()[0].key)
        assert await sim.until(lambda: _is_over(sim), 1200)
        await sim.stop()

    sim = Simulation(market=market(B, Lies(fail_read=0.2)), seed=seed)
    run_virtual(life(sim))
    assert never_two(sim)
    assert len(sim.market.sold) == 2


def test_two_leaders_at_once_are_harmless_at_a_class_a_market() -> None:
    sim = Simulation(market=market(A, Lies(lose_answer=0.3)), leaders=("a", "b"), seed=3)
    run_virtual(one_life(sim))
    assert never_two(sim)
