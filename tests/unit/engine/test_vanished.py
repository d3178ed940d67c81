"""Records taken away by force: what they held is looked for before anything is rented anew."""

import asyncio

import pytest

from overspill.kube.resources import Kind, item
from overspill.testing.simulation import NAMESPACE, Simulation
from overspill.testing.virtualtime import run_virtual

SWEEP_S = 60.0


async def running(sim: Simulation, jobs: int) -> None:
    """So many jobs, each Active on a lease of its own."""
    await sim.start()
    for number in range(jobs):
        await sim.apply(f"job-{number}")

    async def all_active() -> bool:
        leases = await sim.leases()
        states = [x.get("status", {}).get("state") for x in leases]
        return states == ["Active"] * jobs

    assert await sim.until(all_active, 600)
    await asyncio.sleep(SWEEP_S)  # their statuses tell of the attempts


async def take_away(sim: Simulation) -> None:
    """Every GPULease, finalizer or not, as by a deleted CRD."""
    for lease in await sim.leases():
        path = item(Kind.LEASE, NAMESPACE, lease["metadata"]["name"])
        await sim.api.patch(path, {"metadata": {"finalizers": None}})
        await sim.api.delete(path)


@pytest.mark.parametrize("jobs", [1, 5], ids=lambda n: f"{n} jobs")
def test_when_every_record_is_gone_nothing_is_ended_and_nothing_rented_anew(jobs: int) -> None:
    async def story() -> tuple[set[str], set[str], str]:
        sim = Simulation()
        await running(sim, jobs)
        before = {h.external_id for h in sim.market.live()}
        await take_away(sim)
        await asyncio.sleep(10 * SWEEP_S)
        after = {h.external_id for h in sim.market.live()}
        health = sim.engines["a"].accounts.health()["market"]
        await sim.stop()
        return before, after, health.reason

    before, after, reason = run_virtual(story())
    assert (len(before), after, reason) == (jobs, before, "SweepStopped")


def test_a_single_record_gone_costs_one_sweep_and_then_the_job_goes_on() -> None:
    async def story() -> tuple[set[str], set[str]]:
        sim = Simulation()
        await running(sim, 2)
        lost, other = sorted(h.key for h in sim.market.live())
        path = item(Kind.LEASE, NAMESPACE, lost)
        await sim.api.patch(path, {"metadata": {"finalizers": None}})
        await sim.api.delete(path)
        await asyncio.sleep(5 * SWEEP_S)
        await sim.stop()
        return {lost, other}, {h.key for h in sim.market.live()}

    before, after = run_virtual(story())
    assert len(after) == 2
    assert len(after & before) == 1
