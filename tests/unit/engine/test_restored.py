"""Records from before an attempt was sent, as after a restored backup: it is found, not doubled."""

import asyncio

import pytest

from overspill.kube.resources import Kind, item, status
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket
from overspill.testing.simulation import NAMESPACE, Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual


async def forget(sim: Simulation) -> None:
    """The lease was never recorded, and the job's status tells of no attempt."""
    (lease,) = await sim.leases()
    path = item(Kind.LEASE, NAMESPACE, lease["metadata"]["name"])
    await sim.api.patch(status(Kind.JOB, NAMESPACE, "job"), {"status": {"attempts": None}})
    await sim.api.patch(path, {"metadata": {"finalizers": None}})
    await sim.api.delete(path)
    await sim.api.patch(status(Kind.JOB, NAMESPACE, "job"), {"status": {"attempts": None}})


@pytest.mark.parametrize("klass", [IdempotencyClass.A, IdempotencyClass.B], ids=lambda k: k.value)
def test_an_attempt_planned_anew_adopts_what_its_key_holds(klass: IdempotencyClass) -> None:
    async def story() -> tuple[list[str], list[str]]:
        sim = Simulation(market=FakeMarket(LoopClock(), klass=klass))
        await sim.start()
        await sim.apply("job")

        async def is_active() -> bool:
            found = await sim.leases()
            return [x.get("status", {}).get("state") for x in found] == ["Active"]

        assert await sim.until(is_active, 600)
        before = [h.external_id for h in sim.market.live()]
        await forget(sim)
        assert await sim.until(is_active, 600)
        await asyncio.sleep(300)
        await sim.stop()
        return before, [h.external_id for h in sim.market.sold]

    before, after = run_virtual(story())
    assert after == before
