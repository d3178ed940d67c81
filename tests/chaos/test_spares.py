"""Spares that the operator chooses, over the real engine in virtual time: counted before money is
divided, lost and replaced apart, kept over a crash, and never beyond the ceiling.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.offer import Offer, Requirements
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.core.vocabulary import CapacityType
from overspill.engine.context import Engine
from overspill.kube.resources import Kind, collection
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket
from overspill.testing.simulation import Simulation
from overspill.testing.virtualtime import START, LoopClock, run_virtual

from .test_copies import live, scale, service, watched

REGIONS = ("east", "north", "west")
HOURS = 72
CHAT = service(
    4,
    budget={"maxTotalUSD": "60", "maxHourlyUSD": "40"},
    placement={"burst": "Only", "burstAfterSeconds": 0},
)


@dataclass
class Regions(FakeMarket):
    """The market in three regions, where it takes back what it sold."""

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """One divisible offer in each."""
        (usual,) = await super().offers(requirements)
        return [
            replace(
                usual,
                offer_id=region,
                place=f"{self.name}/{region}",
                region=region,
                capacity_type=CapacityType.SPOT,
            )
            for region in REGIONS
        ]


def lived(offers: Sequence[Offer]) -> Past:
    """Days in which every region was there for four hours and away for as many."""
    found, steps = Past(), int(timedelta(hours=HOURS) / STEP)
    for step in range(-steps, 1):
        is_up = (step - 1) // 24 % 2
        shown = [o if is_up else replace(o, unavailable_reason="none free") for o in offers]
        found = found.looked(START + step * STEP, rooms_of(shown, frozenset()))
    return found


def simulation(**more: Any) -> Simulation:
    """A market that the operator has watched for days."""
    market = Regions(LoopClock(), klass=IdempotencyClass.A)

    def remembers(engine: Engine) -> None:
        offers = asyncio.get_running_loop().create_task(market.offers(None))
        offers.add_done_callback(lambda task: _keep(engine, lived(task.result())))

    return Simulation(market=market, prepare=remembers, **more)


def _keep(engine: Engine, past: Past) -> None:
    engine.memory.past = past


async def promise(sim: Simulation) -> None:
    """The class promises availability and says nothing of spares."""
    path = f"{collection(Kind.SLA_CLASS)}/standard"
    spec = {"availabilityTarget": "0.999", "capacityTypes": ["OnDemand", "Spot"]}
    await sim.api.patch(path, {"spec": spec})


def stands(sim: Simulation) -> list[str]:
    return [held.key for held in sim.market.live()]


async def told(sim: Simulation) -> dict[str, Any]:
    found: dict[str, Any] = (await sim.jobs())["chat"].get("status", {}).get("copies") or {}
    return found


async def serves(sim: Simulation, least: int) -> None:
    """Waits until all copies that are wanted run, and these are more than the replicas."""

    async def is_so() -> bool:
        copies = await told(sim)
        return least < copies.get("wanted", 0) == copies.get("ready") == live(sim)

    assert await sim.until(is_so, 2400), (await told(sim), live(sim))


async def regions(sim: Simulation) -> list[str]:
    open_ = [x for x in await sim.leases() if (x.get("status") or {}).get("state") == "Active"]
    return sorted(x["spec"]["offer"]["region"] for x in open_)


def lives(history: Callable[[], Any]) -> None:
    run_virtual(history())


def test_spares_are_counted_before_the_money_is_divided_and_stand_apart() -> None:
    sim = simulation()

    async def history() -> None:
        await sim.start()
        await promise(sim)
        watch = asyncio.create_task(watched(sim))
        await sim.apply("chat", CHAT)
        await serves(sim, 4)
        copies = await told(sim)
        assert copies["spares"] == copies["wanted"] - 4
        assert copies["message"].startswith(f"4 needed and {copies['spares']} to spare")
        parts = {Decimal(share["maxTotalUSD"]) for share in copies["shares"]}
        assert len(parts) == 1, "all alike: nobody had taken the whole before"
        found = await regions(sim)
        assert len(set(found)) > 1
        watch.cancel()
        await sim.stop()

    lives(history)


async def served(sim: Simulation) -> None:
    """Four copies serve, and the spares that were chosen."""
    await sim.start()
    await promise(sim)
    await sim.apply("chat", CHAT)
    await serves(sim, 4)


def test_a_lost_copy_is_replaced_and_after_a_crash_as_many_run_as_before() -> None:
    sim = simulation()

    async def history() -> None:
        await served(sim)
        wanted = (await told(sim))["wanted"]
        sim.market.vanish(stands(sim)[0])
        assert await sim.until(lambda: _is(sim, wanted - 1), 600, step_s=0.2)
        await serves(sim, 4)
        sim.engines["a"].memory.past = Past()
        sim.engines["a"].memory.spares.clear()
        await asyncio.sleep(300)
        assert (await told(sim))["wanted"] == wanted, "its status says how many were chosen"
        assert live(sim) == wanted
        await sim.stop()

    lives(history)


async def _is(sim: Simulation, count: int) -> bool:
    return live(sim) == count


def test_when_the_class_gives_a_number_again_it_is_that_number() -> None:
    sim = simulation()

    async def history() -> None:
        await served(sim)
        path = f"{collection(Kind.SLA_CLASS)}/standard"
        await sim.api.patch(path, {"spec": {"spareReplicas": 0}})
        await scale(sim, 4)
        assert await sim.until(lambda: _is(sim, 4), 1200)
        assert "spares" not in await told(sim)
        await sim.stop()

    lives(history)
