"""L2 and L6: one seed is one history of the real engine, with faults and people, in virtual time.

    .venv/bin/python -m benchmarks.chaos replay SEED

A history has a stormy part, then everything heals, and every job must reach its one end with
nothing billed that no open record names.
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from overspill.core.errors import OverspillError
from overspill.engine.context import Engine
from overspill.kube.resources import RESOLVE_ANNOTATION, Kind, item
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simulation import NAMESPACE, Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

from .oracles import Oracles
from .plans import STORM_S, Plan, planned

CALM_S = 3000.0


def run_seed(seed: int, prepare: Any = None) -> list[str]:
    """Lives one history; returns what was violated, [] when nothing was."""
    return run_plan(planned(seed), prepare)


def run_plan(plan: Plan, prepare: Any = None) -> list[str]:
    """As `run_seed`, for a plan made by hand."""
    with _quiet():
        return _lived(plan, prepare)


def _lived(plan: Plan, prepare: Any) -> list[str]:
    market = FakeMarket(
        LoopClock(),
        klass=plan.klass,
        lies=plan.lies,
        run_s=20 + plan.seed % 70,
        lists_whole=plan.seed % 2 == 0,
    )
    sim = Simulation(
        market=market,
        seed=plan.seed,
        wrongs=plan.wrongs,
        leaders=plan.leaders,
        crashes_at=plan.crashes,
        crash_moment=plan.moment,
        settings={**plan.settings, "read_each_up_to": 0},  # histories have few leases
        prepare=prepare or _as_it_is,
    )
    return run_virtual(_History(plan, sim).live())


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings of thousands of provoked faults are no news; others' tests want their own back."""
    log = logging.getLogger("overspill")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _as_it_is(_engine: Engine) -> None:
    return None


class _History:
    """One run of a plan."""

    def __init__(self, plan: Plan, sim: Simulation) -> None:
        self.plan = plan
        self.sim = sim
        self.dice = random.Random(plan.seed + 1)  # noqa: S311  (reproducible on purpose)
        self.names = [f"job-{n}" for n in range(plan.jobs)]

    async def live(self) -> list[str]:
        """Storm, calm, verdict."""
        await self.sim.start()
        self.oracles = oracles = Oracles(self.sim)
        self.sim.market.tells_bill = self.plan.seed % 3 == 0
        for name in self.names:
            await self.sim.apply(name)
        person = asyncio.create_task(self._resolving())
        await self._storm()
        await self._heal()
        ended = await self.sim.until(self._is_over, CALM_S, step_s=5)
        if (self.plan.lies.empty_list or self.plan.lies.partial_list) and not await self._keyed():
            await self._compare_by_hand()  # no record at all: the breaker holds and calls a person
            ended = await self.sim.until(self._is_over, CALM_S, step_s=5)
        # What the market holds beyond its class's assumptions is ended within two sweeps.
        await asyncio.sleep(2 * self.plan.settings["sweep_period_s"] + 10)
        person.cancel()
        found = [*oracles.never, *oracles.at_rest(), *oracles.shown]
        if not self.plan.beyond:
            found += oracles.bounded
        if not ended and not oracles.never:
            found.append(f"I7: not every job ended: {await self._phases()}")
        await self.sim.stop()
        return found

    async def _storm(self) -> None:
        for at, action in sorted(self.plan.actions):
            await self._pass(at)
            await self._act(action)
        await self._pass(STORM_S)

    async def _pass(self, until_s: float) -> None:
        """Time passes, unless something was violated: then the rest would show nothing new."""
        left = until_s - self.sim.clock.monotonic()
        await self.sim.until(self._is_broken, max(0.0, left), step_s=min(1.0, max(0.01, left)))

    async def _is_broken(self) -> bool:
        return bool(self.oracles.never)

    async def _heal(self) -> None:
        lag = self.plan.lies.list_lag_s
        self.sim.is_over = True
        self.sim.wrongs.heal()
        self.sim.market.lies = Lies(list_lag_s=lag)
        if not self.oracles.strict:
            await self._compare_by_hand()
        for name, job in (await self.sim.jobs()).items():
            if job["spec"].get("suspend"):
                await self._patch(Kind.JOB, name, {"spec": {"suspend": False}})

    async def _compare_by_hand(self) -> None:
        """The person whom the breaker called: closes at the market what no record names."""
        known = await self._keyed()
        for held in self.sim.market.live():
            if held.key not in known:
                held.ended_at = self.sim.clock.now()

    async def _act(self, action: str) -> None:
        name = self.dice.choice(self.names)
        match action:
            case "delete":
                if name in await self.sim.jobs():
                    await self.sim.delete(name)
            case "suspend" | "resume":
                await self._patch(Kind.JOB, name, {"spec": {"suspend": action == "suspend"}})
            case "vanish":
                for held in self.sim.market.live()[:1]:
                    self.sim.market.vanish(held.key)
            case "another":
                self.names.append(f"job-{len(self.names)}")
                await self.sim.apply(self.names[-1])
            case "lose-records":
                await self._lose_records()
            case "touch" | "delete-lease":
                await self._meddle(action)

    async def _lose_records(self) -> None:
        """The CRDs are deleted: every GPUJob and GPULease is gone, whatever is running."""
        self.oracles.records_are_lost()
        for kind, found in ((Kind.JOB, await self.sim.jobs()), (Kind.LEASE, await self._keyed())):
            for name in found:
                await self.sim.api.remove(item(kind, NAMESPACE, name))

    async def _keyed(self) -> dict[str, Any]:
        return {x["metadata"]["name"]: x for x in await self.sim.leases()}

    async def _meddle(self, action: str) -> None:
        """Somebody else writes our objects: versions move, or a record is deleted by hand."""
        for lease in await self.sim.leases():
            path = item(Kind.LEASE, NAMESPACE, lease["metadata"]["name"])
            if action == "delete-lease":
                await self.sim.api.delete(path)
                return
            await self._patch(Kind.LEASE, lease["metadata"]["name"], self._note())
        for name in self.names:
            await self._patch(Kind.JOB, name, self._note())

    def _note(self) -> dict[str, Any]:
        return {"metadata": {"annotations": {"touched": str(self.dice.random())}}}

    async def _patch(self, kind: Kind, name: str, body: dict[str, Any]) -> None:
        try:
            await self.sim.api.patch(item(kind, NAMESPACE, name), body)
        except OverspillError:
            return  # it is gone: a person sees that too

    async def _resolving(self) -> None:
        """The person who looks at Uncertain leases (class D), and finds what is there."""
        while True:
            await asyncio.sleep(30)
            for lease in await self.sim.leases():
                if (lease.get("status") or {}).get("state") == "Uncertain":
                    await self._resolve(lease["metadata"]["name"])

    async def _resolve(self, key: str) -> None:
        await asyncio.sleep(60)  # a person waits until nothing can be under way any more
        live = [h for h in self.sim.market.live() if h.key == key]
        for surplus in live[1:]:
            surplus.ended_at = self.sim.clock.now()
        word = f"adopt={live[0].external_id}" if live else "absent"
        note = {"metadata": {"annotations": {RESOLVE_ANNOTATION: word}}}
        await self._patch(Kind.LEASE, key, note)

    async def _is_over(self) -> bool:
        if self.oracles.never:
            return True
        jobs = (await self.sim.jobs()).values()
        ended = all(j.get("status", {}).get("phase") in ("Complete", "Failed") for j in jobs)
        settled = all(not x["metadata"].get("finalizers") for x in await self.sim.leases())
        return ended and settled

    async def _phases(self) -> dict[str, Any]:
        jobs = {n: j.get("status", {}).get("phase") for n, j in (await self.sim.jobs()).items()}
        return jobs | {
            x["metadata"]["name"]: (x.get("status") or {}).get("state")
            for x in await self.sim.leases()
        }
