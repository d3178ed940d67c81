"""A service of several copies over the real engine in virtual time: scaled, crashed, lied to.

The oracle is the market's own ledger: what the copies have cost and may cost, and under which keys.
"""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from overspill.kube.resources import Kind, item
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simfaults import Wrongs
from overspill.testing.simulation import NAMESPACE, Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

A, B, C = IdempotencyClass.A, IdempotencyClass.B, IdempotencyClass.C
BUDGET = Decimal(60)
SITES = 70
"""Passages of the gate until two copies run, rounded up."""


def service(replicas: int, **spec: Any) -> dict[str, Any]:
    return {
        "workload": "Inference",
        "replicas": replicas,
        "deadline": None,
        "budget": {"maxTotalUSD": f"{BUDGET}", "maxHourlyUSD": "9"},
        **spec,
    }


def simulation(klass: IdempotencyClass = A, lies: Lies | None = None, **more: Any) -> Simulation:
    market = FakeMarket(LoopClock(), klass=klass, lies=lies or Lies())
    return Simulation(market=market, **more)


def live(sim: Simulation) -> int:
    return len(sim.market.live())


async def runs(sim: Simulation, copies: int) -> None:
    """Waits until so many copies are held at the market and told as ready."""

    async def is_so() -> bool:
        told = (await sim.jobs())["chat"].get("status", {})
        ready = told.get("copies", {}).get("ready", told.get("replicas"))
        return live(sim) == copies == ready

    assert await sim.until(is_so, 2400), (copies, live(sim), await sim.jobs())


async def scale(sim: Simulation, replicas: int, **spec: Any) -> None:
    path = item(Kind.JOB, NAMESPACE, "chat")
    await sim.api.patch(path, {"spec": {"replicas": replicas, **spec}})


async def the_ceiling_holds(sim: Simulation) -> None:
    """What the market took, and what leases that are wanted may still cost, of all copies."""
    caps, now = {}, sim.clock.now()
    for lease in await sim.leases():
        if lease.get("status", {}).get("state") in ("Opening", "Active", "Uncertain"):
            caps[lease["metadata"]["name"]] = Decimal(lease["spec"]["maxTotalUSD"])
    taken = sum((h.cost_usd(now) for h in sim.market.sold if h.key not in caps), Decimal(0))
    assert taken + sum(caps.values(), Decimal(0)) <= BUDGET, (taken, caps)
    keys = [held.key for held in sim.market.sold]
    assert len(keys) == len(set(keys))


async def watched(sim: Simulation) -> None:
    """The ceiling is looked at every second of the history."""
    while True:
        await the_ceiling_holds(sim)
        await asyncio.sleep(1)


async def up_and_down(sim: Simulation) -> None:
    await sim.start()
    watch = asyncio.create_task(watched(sim))
    await sim.apply("chat", service(2))
    await runs(sim, 2)
    await scale(sim, 3)
    await scale(sim, 1)
    await runs(sim, 1)
    await scale(sim, 2)
    await runs(sim, 2)
    watch.cancel()
    await the_ceiling_holds(sim)
    await sim.stop()


def test_a_service_is_scaled_down_and_up_again_within_its_budget() -> None:
    sim = simulation()

    async def history() -> None:
        await up_and_down(sim)
        jobs = await sim.jobs()
        assert sorted(jobs) == ["chat", "chat-1"] or sorted(jobs) == ["chat", "chat-1", "chat-2"]
        copy = jobs["chat-1"]
        assert copy["metadata"]["labels"]["overspill.dev/service"] == "chat"
        assert copy["metadata"]["ownerReferences"][0]["uid"] == jobs["chat"]["metadata"]["uid"]
        assert copy["spec"]["replicas"] == 1
        assert "overspill.dev/service=chat" in jobs["chat"]["status"]["selector"]
        assert jobs["chat"]["status"]["copies"]["wanted"] == 2
        assert "service" not in copy["status"]["sla"]

    run_virtual(history())


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("site", range(1, SITES, 3))
def test_a_crash_at_any_call_doubles_nothing_and_breaks_no_ceiling(moment: str, site: int) -> None:
    sim = simulation([A, B, C][site % 3], crash_at=site, crash_moment=moment)
    run_virtual(up_and_down(sim))


@pytest.mark.parametrize("seed", range(12))
def test_two_leaders_and_a_lying_world_break_no_ceiling(seed: int) -> None:
    wrongs = Wrongs(api_fail=0.05, api_lose=0.05, api_late_s=5, ear_lag_s=5, ear_misses=0.2)
    lies = Lies(lose_answer=0.2, fail_read=0.1, list_lag_s=5)
    sim = simulation(A, lies, seed=seed, leaders=("a", "b"), wrongs=wrongs)
    run_virtual(up_and_down(sim))


def test_scaled_to_nothing_all_are_suspended_and_the_users_spec_is_not_written() -> None:
    sim = simulation()

    async def history() -> None:
        await sim.start()
        await sim.apply("chat", service(2))
        await runs(sim, 2)
        await scale(sim, 0)
        assert await sim.until(lambda: _is_empty(sim), 1200)
        jobs = await sim.jobs()
        assert not jobs["chat"]["spec"].get("suspend")
        assert jobs["chat-1"]["spec"]["suspend"]
        assert jobs["chat"]["status"]["phase"] == "Suspended"
        await scale(sim, 2)
        await runs(sim, 2)
        await sim.stop()

    run_virtual(history())


async def _is_empty(sim: Simulation) -> bool:
    told = (await sim.jobs())["chat"].get("status", {}).get("phase")
    return live(sim) == 0 and told == "Suspended"


def test_what_runs_keeps_its_money_and_a_new_copy_says_that_none_is_left() -> None:
    sim = simulation()

    async def history() -> None:
        await sim.start()
        await sim.apply("chat", service(1))
        await runs(sim, 1)
        await scale(sim, 2)
        assert await sim.until(lambda: _says(sim, "CopiesUnfunded"), 600)
        assert live(sim) == 1
        await scale(sim, 2, budget={"maxTotalUSD": "120", "maxHourlyUSD": "9"})
        await runs(sim, 2)
        await sim.stop()

    run_virtual(history())


def test_a_copy_that_is_deleted_by_hand_is_made_anew_within_the_budget() -> None:
    sim = simulation()

    async def history() -> None:
        await sim.start()
        watch = asyncio.create_task(watched(sim))
        await sim.apply("chat", service(2))
        await runs(sim, 2)
        was = (await sim.jobs())["chat-1"]["metadata"]["uid"]
        await sim.delete("chat-1")
        assert await sim.until(lambda: _is_another(sim, was), 1200)
        await runs(sim, 2)
        told = (await sim.jobs())["chat"]["status"]["copies"]
        assert [one["uid"] for one in told["gone"]] == [was]
        assert Decimal(told["gone"][0]["maxTotalUSD"]) < 1
        watch.cancel()
        await sim.stop()

    run_virtual(history())


async def _is_another(sim: Simulation, was: str) -> bool:
    found = (await sim.jobs()).get("chat-1")
    return found is not None and found["metadata"]["uid"] != was


def test_where_the_budget_buys_one_copy_one_runs() -> None:
    sim = simulation()

    async def history() -> None:
        await sim.start()
        await sim.apply("chat", service(3, budget={"maxTotalUSD": "60", "maxHourlyUSD": "3"}))
        assert await sim.until(lambda: _says(sim, "CopiesMissing"), 600)
        await asyncio.sleep(120)
        assert live(sim) == 1
        shares = (await sim.jobs())["chat"]["status"]["copies"]["shares"]
        assert Decimal(shares[0]["maxHourlyUSD"]) >= 2
        await sim.stop()

    run_virtual(history())


def test_a_strangers_gpujob_of_the_name_is_left_alone() -> None:
    sim = simulation()

    async def history() -> None:
        await sim.start()
        await sim.apply("chat-1", {"suspend": True})
        before = (await sim.jobs())["chat-1"]["spec"]
        await sim.apply("chat", service(2))
        assert await sim.until(lambda: _says(sim, "CopyNameTaken"), 600)
        await asyncio.sleep(60)
        assert (await sim.jobs())["chat-1"]["spec"] == before
        await sim.stop()

    run_virtual(history())


async def _says(sim: Simulation, reason: str) -> bool:
    told = (await sim.jobs())["chat"].get("status", {}).get("conditions", [])
    return any(c["type"] == "Degraded" and c["reason"] == reason for c in told)


async def many(sim: Simulation) -> None:
    await sim.start()
    await sim.apply("chat", service(120, budget={"maxTotalUSD": "900", "maxHourlyUSD": "900"}))

    async def is_made() -> bool:
        return len(await sim.jobs()) == 120

    async def is_told() -> bool:
        told = (await sim.jobs())["chat"].get("status", {}).get("conditions", [])
        return any(c["type"] == "Reconciling" and c["message"] for c in told)

    assert await sim.until(is_told, 60)
    assert len(await sim.jobs()) < 120, "all were made before anything was told"
    assert await sim.until(is_made, 600)
    await sim.stop()


def test_a_service_of_many_copies_is_told_of_while_they_are_made() -> None:
    run_virtual(many(simulation()))
