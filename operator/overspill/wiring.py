"""Builds one operator process out of its parts and runs it: every seam is filled here, once.

`app.py` calls `Process.start` when kopf starts and `Process.stop` when it ends.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from overspill.clock import SystemClock
from overspill.core.errors import Gone
from overspill.core.snapshot import ProviderAccount
from overspill.credentials import AccountFactory
from overspill.engine import run as engine_run
from overspill.engine.accounts import Accounts
from overspill.engine.context import Engine
from overspill.engine.gate import EffectGate, GatedCluster, GatedKeepsake, killing_hook
from overspill.engine.requests import SecretProblem
from overspill.kube.answers import Refused
from overspill.kube.cluster import KubeCluster, cluster_id
from overspill.kube.ear import Ear
from overspill.kube.elector import Elector, Term
from overspill.kube.following import Source
from overspill.kube.home import HomeOptions, KubeHome
from overspill.kube.keepsake import ConfigMapKeepsake
from overspill.kube.resources import LEASE_LABEL, Kind, collection
from overspill.kube.store import MANY, Store
from overspill.kube.truth import Truth
from overspill.kube.verbs import Verbs
from overspill.kube.watchdog import end_process
from overspill.ports import NodeState, PodState
from overspill.providers._catalog import Catalog
from overspill.providers.in_cluster import Beside
from overspill.serve import app as serving
from overspill.serve import records
from overspill.serve.book import ReportBook
from overspill.serve.health import Pulse, old_watches
from overspill.settings import Settings

log = logging.getLogger(__name__)

SILENCE_S = 10.0
"""A watch that says nothing so long after the server should have ended it is dead."""
HOME_IDLE_S = 0.1
"""Pod events close together are observed together."""


class Process:
    """Everything one replica runs beside kopf itself."""

    def __init__(self, settings: Settings, verbs: Verbs) -> None:
        self.settings = settings
        self.verbs = verbs
        self.clock = SystemClock()
        self.store = Store()
        options = HomeOptions(
            heartbeat_poll_s=settings.heartbeat_poll_s,
            watch_s=settings.truth_period_s,
            inactivity_s=settings.truth_period_s + SILENCE_S,
        )
        self.home = KubeHome(verbs, self.clock, options)
        self.elector = Elector(verbs, self.clock, _term(settings))
        secret = settings.cluster_secret.get_secret_value().encode()
        self.book = ReportBook(secret, self.clock, settings.report_url, self._reported)
        self.pulse = Pulse()
        self._ears: dict[Kind, Ear] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._children: set[str] = set()
        self._home_moved = asyncio.Event()

    async def start(self) -> None:
        """Starts every loop as a task and returns; leadership gates the engine only."""
        self.engine = self._engine(await cluster_id(self.verbs))
        self.store.listen(lambda kind, uid: engine_run.changed(self.engine, kind.value, uid))
        self.home.listen(self._home_changed)
        period_s = self.settings.truth_period_s
        truth = Truth(self.verbs, self.store, self.clock, period_s, on_return=_hear_again)
        self._ears = {kind: self._ear(kind, truth) for kind in MANY}
        self.pulse.start(asyncio.get_running_loop())
        options = self._serve_options()
        door = serving.report_app(options, self.book, self, self.clock)
        self._serving = await serving.start(options, door, self.not_live, self.not_ready)
        self._records = await records.serve(
            self.settings.records_listen, self.engine.memory.shelf.find
        )
        self._run("truth", truth.run())
        for kind, ear in self._ears.items():
            self._run(f"the watch of {kind.plural}", ear.run())
        self._run("home", self.home.run())
        self._run("election", self.elector.run())
        self._run("children", self._observe_children())
        self._run("engine", self._lead())

    async def stop(self) -> None:
        """Stops acting, gives the election lease up, closes the sockets."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.elector.release()
        self.pulse.stop()
        await self._serving.stop()
        if self._records is not None:
            await self._records.cleanup()
        await self.verbs.close()

    def is_leader(self) -> bool:
        """For the report endpoint: whether this replica's book is the engine's."""
        return self.elector.is_leader

    def leader_url(self) -> str:
        """For the report endpoint: where the leader listens, from its identity."""
        _, _, address = self.elector.holder().partition("_")
        scheme = "https" if self.settings.report_tls_cert else "http"
        return f"{scheme}://{address}" if address else ""

    def not_live(self) -> list[str]:
        """What a restart would heal."""
        ages = {kind.plural: ear.last_event_age_s for kind, ear in self._ears.items()}
        ages["home"] = self.home.last_event_age_s
        return [*self.pulse.complaints(), *old_watches(ages)]

    def not_ready(self) -> list[str]:
        """What is still missing before this replica could act."""
        found = [] if self.store.synced else ["the store is not synced"]
        return found if self.home.synced else [*found, "nodes and pods are not synced"]

    def _ear(self, kind: Kind, truth: Truth) -> Ear:
        watch_s = self.settings.truth_period_s
        source = Source(collection(kind), watch_s=watch_s, inactivity_s=watch_s + SILENCE_S)
        return Ear(self.verbs, self.clock, source, kind, truth, self.store)

    def _engine(self, own_cluster: str) -> Engine:
        gate = EffectGate(self.clock, killing_hook(self.settings.failpoint))
        cluster = KubeCluster(
            self.verbs, self.store, self.clock, own_cluster, self.elector.identity
        )
        reread_s = self.settings.secret_reread_s
        catalog = Catalog(self.settings.price_catalog)
        beside = Beside(self._accounts, catalog)
        factory = AccountFactory(self.verbs, self.home, self.clock, own_cluster, reread_s, beside)
        return Engine(
            cluster=GatedCluster(cluster, gate),
            accounts=Accounts(factory, gate, self.clock),
            clock=self.clock,
            settings=_with_references(self.settings, catalog),
            reports=self.book,
            leader=self.elector,
            home=self.home,
            read_secret=self._secret,
            keepsake=GatedKeepsake(ConfigMapKeepsake(self.verbs, self.settings.namespace), gate),
        )

    def _accounts(self) -> Iterable[ProviderAccount]:
        return self.store.view().accounts.values()

    async def _secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        try:
            return await self.verbs.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except Gone:
            return None
        except Refused as error:
            if error.status != 403:
                raise
            raise SecretProblem(
                f"the operator may not read Secret {name!r} of namespace {namespace!r}; an admin "
                "must list the namespace in the chart's rbac.secretNamespaces",
                is_missing=True,
            ) from None

    def _serve_options(self) -> serving.ServeOptions:
        s = self.settings
        return serving.ServeOptions(
            s.report_listen, s.metrics_listen, s.report_tls_cert, s.report_tls_key
        )

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_crash)
        self._tasks.append(task)

    async def _lead(self) -> None:
        """The engine runs from the first moment of leadership; losing it ends the process."""
        await self.elector.wait_leader()
        while not self.store.synced or not self.home.synced:
            await self.clock.sleep(0.1)
        await engine_run.run(self.engine)

    def _reported(self, lease_name: str) -> None:
        lease = self.engine.index.named(lease_name)
        if lease is not None:
            self.engine.queue.add(self.engine.lease_key(lease))
            self.engine.tell(lease.job.uid)

    def _home_changed(self, what: NodeState | PodState) -> None:
        if isinstance(what, PodState) and LEASE_LABEL in what.labels:
            self._children.add(what.labels[LEASE_LABEL])
        self._home_moved.set()

    async def _observe_children(self) -> None:
        while True:
            await self._home_moved.wait()
            await self.clock.sleep(HOME_IDLE_S)
            self._home_moved.clear()
            names, self._children = self._children, set()
            if self.elector.is_leader:
                await engine_run.home_changed(self.engine, names)


def _with_references(settings: Settings, catalog: Catalog) -> Settings:
    """What savings are told against: the price list, overridden by what was set."""
    return settings.model_copy(
        update={"reference_usd": {**catalog.reference(), **settings.reference_usd}}
    )


def _term(settings: Settings) -> Term:
    port = settings.report_listen.rpartition(":")[2]
    own = settings.identity or f"{socket.gethostname()}.{os.getpid()}"
    address = f"{os.environ.get('POD_IP') or '127.0.0.1'}:{port}"
    return Term(
        namespace=settings.namespace,
        identity=f"{own}_{address}",
        lease_s=settings.lease_duration_s,
        renew_deadline_s=settings.renew_deadline_s,
        retry_s=settings.retry_period_s,
    )


def _hear_again(kind: Kind) -> None:
    """kopf looks for the CRDs once, at its start: one that came later is heard after a new one."""
    end_process(f"the CRD of {kind.plural} is there again")


def _crash(task: asyncio.Task[None]) -> None:
    """Crash-only: a loop that ended by itself ends the process, and the kubelet starts it anew."""
    if task.cancelled():
        return
    error = task.exception()
    log.critical("the loop %r ended: %r", task.get_name(), error, exc_info=error)
    end_process(f"the loop {task.get_name()!r} ended")
