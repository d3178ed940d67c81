"""Runs the real engine over an API server and a market in memory, in virtual time.

One seed is one history. A crash is an exception no handler may catch, raised at the Effect gate:
everything in memory is gone, and a new engine starts from what was recorded.

    outcome = run_virtual(scenario(Simulation(seed=7)))
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from overspill.core.errors import OverspillError
from overspill.core.snapshot import ProviderAccount
from overspill.engine import run as engine_run
from overspill.engine.accounts import Accounts, Factory
from overspill.engine.context import Engine
from overspill.engine.gate import EffectGate, GatedCluster
from overspill.kube.cluster import KubeCluster
from overspill.kube.resources import Kind, collection
from overspill.kube.store import Store
from overspill.kube.truth import Truth
from overspill.ports import NodeState, PodState, Provider
from overspill.serve.book import ReportBook
from overspill.settings import Settings
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simfaults import FarMarket, FaultyApi, Line, SimApi, Wrongs
from overspill.testing.virtualtime import LoopClock

CLUSTER_ID = "0c1u5ter-0000-4000-8000-000000000000"
NAMESPACE = "team"


class Crash(BaseException):
    """The process ends here: kill -9."""


class NoHome:
    """`ports.HomeView` of a cluster without GPU nodes."""

    def nodes(self) -> Sequence[NodeState]:
        """None."""
        return ()

    def pods(self) -> Sequence[PodState]:
        """None."""
        return ()

    def pods_of(self, lease: str) -> Sequence[PodState]:
        """None."""
        return ()

    async def fetch_pods_of(self, lease: str) -> Sequence[PodState]:
        """None."""
        return ()

    def heartbeat_age_s(self, node: str) -> float | None:
        """Never seen."""
        return None

    def is_stale(self) -> bool:
        """Fresh."""
        return False


@dataclass
class Leader:
    """Leadership that is simply given; `leads` may be taken away."""

    identity: str = "a"
    epoch: int = 1
    leads: bool = True

    @property
    def is_leader(self) -> bool:
        """Whether this engine may act."""
        return self.leads

    def remaining_s(self) -> float:
        """Long enough while it leads."""
        return 60.0 if self.leads else 0.0


@dataclass
class Simulation:
    """One cluster, one market, one engine at a time (or two, for split brains)."""

    market: FakeMarket = field(default_factory=lambda: FakeMarket(LoopClock(), lies=Lies()))
    crash_at: int = 0
    crash_moment: str = "after"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    sites: list[str] = field(default_factory=list)
    crashes: int = 0
    is_over: bool = False
    """Nothing crashes any more."""
    leaders: tuple[str, ...] = ("a",)
    """More than one: a split brain, each believing that it leads."""
    wrongs: Wrongs = field(default_factory=Wrongs)
    crashes_at: frozenset[int] = frozenset()
    """More crashes, by the number of the passage, counted over all processes."""
    prepare: Callable[[Engine], None] = lambda _engine: None
    """Changes an engine before it runs: the harness of seeded bugs."""

    def __post_init__(self) -> None:
        self.api = SimApi()
        self.clock = LoopClock()
        self.random = random.Random(self.seed)  # noqa: S311  (seeded, reproducible on purpose)
        self.market.dice = self.random
        self._settings = _settings(tuple(sorted(self.settings.items())))
        self._engines: list[asyncio.Task[None]] = []
        self._stores: dict[str, Store] = {}
        self.engines: dict[str, Engine] = {}

    async def start(self) -> None:
        """Writes the provider, then runs the engine; restarts it after every crash."""
        await self.api.put(f"{collection(Kind.PROVIDER)}/market", _provider())
        await self.api.put(f"{collection(Kind.SLA_CLASS)}/standard", _class())
        for identity in self.leaders:
            self._engines.append(asyncio.create_task(self._keep_running(identity)))
        self.api.on_write = self._heard

    async def stop(self) -> None:
        """Ends every engine."""
        for task in self._engines:
            task.cancel()
        await asyncio.gather(*self._engines, return_exceptions=True)

    async def apply(self, name: str, spec: Mapping[str, Any] | None = None) -> None:
        """kubectl apply of a small burst-only job."""
        body = {
            "apiVersion": "overspill.dev/v1alpha1",
            "kind": Kind.JOB.value,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {**_job(), **(spec or {})},
        }
        await self.api.create(collection(Kind.JOB, NAMESPACE), body)

    async def delete(self, name: str) -> None:
        """kubectl delete."""
        await self.api.delete(f"{collection(Kind.JOB, NAMESPACE)}/{name}")

    async def jobs(self) -> dict[str, dict[str, Any]]:
        """Every GPUJob by name, as the API server has it."""
        found = await self.api.list_all(collection(Kind.JOB))
        return {obj["metadata"]["name"]: obj for obj in found}

    async def leases(self) -> list[dict[str, Any]]:
        """Every GPULease, as the API server has it."""
        return await self.api.list_all(collection(Kind.LEASE))

    async def until(
        self, what: Callable[[], Awaitable[bool]], limit_s: float = 3600, step_s: float = 1
    ) -> bool:
        """Lets virtual time pass until `what` holds; False when it never did."""
        end = self.clock.monotonic() + limit_s
        while self.clock.monotonic() < end:
            if await what():
                return True
            await asyncio.sleep(step_s)
        return False

    async def _keep_running(self, identity: str) -> None:
        while True:
            try:
                await self._run_engine(Leader(identity))
            except BaseExceptionGroup as group:
                # An API server that does not answer the first LIST ends the process too.
                ended, rest = group.split((Crash, OverspillError))
                if rest is not None or ended is None:
                    raise
                self.crashes += 1
                await asyncio.sleep(2)

    async def _run_engine(self, leader: Leader) -> None:
        store, line = Store(), Line(leader.identity, self.wrongs, self.random)
        clock = LoopClock(self.wrongs.skews.get(leader.identity, timedelta(0)))
        gate = EffectGate(clock, self._failpoint)
        api = FaultyApi(self.api, line)
        cluster = KubeCluster(api, store, clock, CLUSTER_ID, leader.identity)
        engine = Engine(
            cluster=GatedCluster(cluster, gate),
            accounts=Accounts(self._adapter_on(line), gate, clock),
            clock=clock,
            settings=self._settings,
            reports=ReportBook(b"secret", clock),
            leader=leader,
            home=NoHome(),
            read_secret=self._no_secret,
            off_loop=_in_place,
        )
        store.listen(lambda kind, uid: engine_run.changed(engine, kind.value, uid))
        self._stores[leader.identity], self.engines[leader.identity] = store, engine
        self.prepare(engine)
        async with asyncio.TaskGroup() as group:
            truth = Truth(api, store, clock)  # type: ignore[arg-type]  # it lists and never watches
            await truth.list_once()
            api.is_first_list = False
            group.create_task(truth.run())
            group.create_task(engine_run.run(engine))

    def _heard(self, change: str, obj: Mapping[str, Any]) -> None:
        for identity, store in self._stores.items():
            if obj.get("kind") in self.wrongs.deaf.get(identity, ()):
                continue
            if self.wrongs.ear_misses and self.random.random() < self.wrongs.ear_misses:
                continue
            lag = self.wrongs.ear_lag_s and self.random.random() * self.wrongs.ear_lag_s
            if lag:
                loop = asyncio.get_running_loop()
                loop.call_later(lag, self._heard_late, identity, store, change, obj)
            else:
                _hear(store, change, obj)

    def _heard_late(self, identity: str, store: Store, change: str, obj: Mapping[str, Any]) -> None:
        if self._stores[identity] is store:  # else that process has died meanwhile
            _hear(store, change, obj)

    def _failpoint(self, site: str, moment: str) -> None:
        if moment != self.crash_moment or self.is_over:
            return
        self.sites.append(site)
        if len(self.sites) == self.crash_at or len(self.sites) in self.crashes_at:
            raise Crash

    def _adapter_on(self, line: Line) -> Factory:
        async def adapter(account: ProviderAccount) -> tuple[Provider, str]:
            return FarMarket(self.market, line), "same"

        return adapter

    async def _no_secret(self, namespace: str, name: str) -> None:
        return None


@cache
def _settings(changes: tuple[tuple[str, Any], ...]) -> Settings:
    """Asking the environment for each of them takes longer than some histories."""
    return Settings(**{"poll_period_s": 5, "drain_s": 0, **dict(changes)})


async def _in_place(work: Callable[..., Any], *args: Any) -> Any:
    return work(*args)


def _hear(store: Store, change: str, obj: Mapping[str, Any]) -> None:
    kind = next((k for k in Kind if k.value == obj.get("kind")), None)
    if kind is None:
        return
    if change == "DELETED":
        store.drop(kind, obj["metadata"]["uid"])
    else:
        store.put(kind, obj)


def _provider() -> dict[str, Any]:
    return {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": Kind.PROVIDER.value,
        "metadata": {"name": "market"},
        "spec": {"type": "Vast", "capacityType": "OnDemand", "trustTier": "Cloud"},
    }


def _class() -> dict[str, Any]:
    return {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": Kind.SLA_CLASS.value,
        "metadata": {"name": "standard"},
        "spec": {
            "isDefault": True,
            "capacityTypes": ["OnDemand"],
            "burstAfterSeconds": 0,
            "verification": "None",
        },
    }


def _job() -> dict[str, Any]:
    container = {"name": "work", "image": "busybox:1", "command": ["/bin/true"]}
    return {
        "workload": "Batch",
        "gpu": {"count": 1, "models": ["h100"]},
        "budget": {"maxTotalUSD": "50"},
        "deadline": {"workSeconds": 600},
        "placement": {
            "burst": "Only",
            "burstAfterSeconds": 0,
            "capacityTypes": ["OnDemand"],
        },
        "template": {"spec": {"containers": [container]}},
    }
