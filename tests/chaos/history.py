"""L2 and L6: one seed is one history of the real engine, with faults and people, in virtual time.

    .venv/bin/python -m benchmarks.chaos replay SEED

A history has a stormy part, then everything heals, and every job must reach its one end with
nothing billed that no open record names.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from overspill.core.errors import OverspillError
from overspill.engine.context import Engine
from overspill.kube.resources import RESOLVE_ANNOTATION, Kind, item
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simfaults import Wrongs
from overspill.testing.simulation import NAMESPACE, Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

from .oracles import Oracles

A, B, C, D = IdempotencyClass
STORM_S = 240.0
CALM_S = 3000.0
ACTIONS = ("another", "delete", "suspend", "resume", "delete-lease", "vanish", "touch", "touch")


@dataclass
class Plan:
    """Everything that a seed decides."""

    seed: int
    klass: IdempotencyClass
    lies: Lies
    wrongs: Wrongs
    leaders: tuple[str, ...]
    crashes: frozenset[int]
    moment: str
    jobs: int
    actions: list[tuple[float, str]]
    settings: dict[str, Any]
    beyond: bool = False
    """The network or a process goes beyond what the class assumes."""


def planned(seed: int) -> Plan:
    """The history of a seed. Two in three seeds are mild in most ways, so that causes show."""
    dice = random.Random(seed)  # noqa: S311  (reproducible on purpose)
    klass = dice.choice([A, A, B, B, B, C, C, D])
    leaders = ("a", "b") if dice.random() < 0.35 else ("a",)
    wrongs = _wrongs(dice, leaders)
    return Plan(
        seed=seed,
        klass=klass,
        lies=_lies(dice),
        wrongs=wrongs,
        leaders=leaders,
        crashes=frozenset(dice.randint(1, 60) for _ in range(dice.choice([0, 0, 1, 1, 2, 2, 3]))),
        moment=dice.choice(["before", "after"]),
        jobs=dice.choice([1, 1, 2, 3]),
        actions=[
            (dice.uniform(2, STORM_S - 20), dice.choice(ACTIONS))
            for _ in range(dice.choice([0, 0, 1, 2, 4, 12]))
        ],
        settings={"sweep_period_s": dice.choice([30, 60])},
        beyond=bool(wrongs.pauses),
    )


def provoking(seed: int) -> Plan:
    """As `planned`, but every history is rough: for showing that a seeded bug is caught."""
    dice = random.Random(seed)  # noqa: S311  (reproducible on purpose)
    plan = planned(seed)
    plan.klass = [B, A, C, D, B][seed % 5]
    plan.beyond = False
    plan.leaders = ("a", "b") if seed % 2 else ("a",)
    plan.lies = Lies(
        lose_answer=dice.choice([0.3, 0.6]),
        late=dice.choice([0.3, 0.6]),
        late_s=dice.choice([15, 30, 50]),
        hang_s=dice.choice([0, 8]),
        list_lag_s=dice.choice([0, 5]),
        fail_read=dice.choice([0, 0.3]),
        fail_after=dice.choice([0, 0.3]),
    )
    skew = timedelta(seconds=dice.choice([0, 0, 3000]))
    plan.wrongs = Wrongs(
        api_lose=dice.choice([0, 0.1]),
        ear_lag_s=dice.choice([0.0, 5.0, 20.0]),
        ear_misses=dice.choice([0, 0.3]),
        stale_s=dice.choice([0, 60]),
        skews={x: skew for x in plan.leaders} if skew else {},
    )
    plan.jobs = dice.choice([1, 3, 6])
    plan.actions = [(dice.uniform(1, STORM_S / 2), dice.choice(ACTIONS)) for _ in range(6)]
    if seed % 6 == 5:
        plan.actions.append((dice.uniform(20, 40), "lose-records"))
    return plan


def deaf(seed: int) -> Plan:
    """Two leaders, of which one hears late of leases, or of jobs."""
    plan = planned(seed)
    kind = [Kind.JOB, Kind.LEASE][seed % 2]
    plan.klass, plan.leaders, plan.crashes, plan.beyond = A, ("a", "b"), frozenset(), False
    plan.lies, plan.actions = Lies(), [(20.0, "another")]
    plan.wrongs = Wrongs(deaf={"b": frozenset({kind.value})})
    return plan


def doubtful(seed: int) -> Plan:
    """Class D: every answer is lost, and the job is deleted while it is waited for."""
    plan = planned(seed)
    plan.klass, plan.leaders, plan.crashes, plan.beyond = D, ("a",), frozenset(), False
    plan.lies = Lies(late=1.0, late_s=30, hang_s=9)
    plan.wrongs, plan.actions = Wrongs(), [(3.0 + seed % 3, "delete")]
    plan.jobs = 1
    return plan


def losing(seed: int) -> Plan:
    """All records are lost while leases run."""
    plan = provoking(seed)
    plan.klass, plan.leaders, plan.lies, plan.wrongs = B, ("a",), Lies(), Wrongs()
    plan.crashes, plan.jobs, plan.actions = frozenset(), 3, [(15.0, "lose-records")]
    return plan


def skewed(seed: int) -> Plan:
    """A wall clock that is wrong by 50 minutes."""
    plan = losing(seed)
    plan.actions, plan.wrongs = [], Wrongs(skews={"a": timedelta(seconds=3000)})
    return plan


def sweeping(seed: int) -> Plan:
    """Sweeps without end, and questions that take their time."""
    plan = provoking(seed)
    plan.jobs, plan.klass = 6, B
    plan.wrongs = Wrongs(market_s=2)
    plan.settings = {"sweep_period_s": 0.5}
    return plan


def _maybe(dice: random.Random, top: float, chance: float = 0.4) -> float:
    return dice.uniform(0, top) if dice.random() < chance else 0.0


def _lies(dice: random.Random) -> Lies:
    """A late create and a lagging list together stay within the class's quarantine."""
    lag = _maybe(dice, 20)
    return Lies(
        lose_answer=_maybe(dice, 0.5),
        fail_before=_maybe(dice, 0.3),
        fail_read=_maybe(dice, 0.3),
        late=_maybe(dice, 0.6),
        late_s=dice.uniform(5, 55 - lag),
        list_lag_s=lag,
        fail_after=_maybe(dice, 0.4),
        refuse=_maybe(dice, 0.3, 0.2),
        throttle=_maybe(dice, 0.3, 0.2),
        hang_s=_maybe(dice, 12),
    )


def _wrongs(dice: random.Random, leaders: tuple[str, ...]) -> Wrongs:
    skewed = dice.random() < 0.3
    windows = []
    if dice.random() < 0.25:
        start = dice.uniform(3, 120)
        windows.append((start, start + dice.uniform(5, 90)))
    pauses = {}
    if len(leaders) > 1 and dice.random() < 0.4:
        start = dice.uniform(1, 40)
        pauses["a"] = (start, start + dice.uniform(20, 150))
    return Wrongs(
        api_fail=_maybe(dice, 0.15, 0.25),
        api_lose=_maybe(dice, 0.2, 0.3),
        api_late_s=_maybe(dice, 30),
        api_down=windows,
        ear_lag_s=_maybe(dice, 5),
        ear_misses=_maybe(dice, 0.2, 0.2),
        stale_s=_maybe(dice, 60, 0.3),
        skews={x: timedelta(seconds=dice.uniform(-3600, 3600)) for x in leaders if skewed},
        pauses=pauses,
        deaf=_deaf(dice, leaders),
        market_s=_maybe(dice, 3),
    )


def _deaf(dice: random.Random, leaders: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """One of two leaders does not hear of one kind of our objects for a while."""
    if len(leaders) < 2 or dice.random() < 0.7:
        return {}
    return {"b": frozenset({dice.choice([Kind.JOB.value, Kind.LEASE.value])})}


def run_seed(seed: int, prepare: Any = None) -> list[str]:
    """Lives one history; returns what was violated, [] when nothing was."""
    return run_plan(planned(seed), prepare)


def run_plan(plan: Plan, prepare: Any = None) -> list[str]:
    """As `run_seed`, for a plan made by hand."""
    logging.getLogger("overspill").setLevel(logging.CRITICAL)
    market = FakeMarket(LoopClock(), klass=plan.klass, lies=plan.lies, run_s=20 + plan.seed % 70)
    sim = Simulation(
        market=market,
        seed=plan.seed,
        wrongs=plan.wrongs,
        leaders=plan.leaders,
        crashes_at=plan.crashes,
        crash_moment=plan.moment,
        settings=plan.settings,
        prepare=prepare or _as_it_is,
    )
    return run_virtual(_History(plan, sim).live())


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
        for name in self.names:
            await self.sim.apply(name)
        person = asyncio.create_task(self._resolving())
        await self._storm()
        await self._heal()
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
        for name, job in (await self.sim.jobs()).items():
            if job["spec"].get("suspend"):
                await self._patch(Kind.JOB, name, {"spec": {"suspend": False}})

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
