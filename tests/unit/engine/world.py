"""The smallest world an engine module can be tested in: what is written is kept and shown again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from overspill.core.job import Job
from overspill.core.lease import Closing, Handle, Lease, Permit
from overspill.core.observation import Observation
from overspill.core.sla import Budget, SlaClass
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase
from overspill.engine.accounts import Accounts
from overspill.engine.context import Engine
from overspill.engine.gate import EffectGate, GatedCluster
from overspill.ports import (
    BudgetStatus,
    Change,
    Cluster,
    HoldProvider,
    JobStatus,
    LeaseStatus,
    PlanLease,
    Provider,
    ReleaseProvider,
    View,
)
from overspill.serve.book import Event, ReportBook, Told
from overspill.settings import Settings
from overspill.testing.clock import ManualClock
from overspill.testing.placing import NOW, make_job, make_lease, rent
from overspill.testing.simulation import CLUSTER_ID, Leader, NoHome


class MemoryCluster:
    """`ports.Cluster` without an API server: changes are kept, statuses shown at once."""

    cluster_id = CLUSTER_ID

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.jobs: dict[str, Job] = {}
        self.leases: dict[str, Lease] = {}
        self.budgets: list[Budget] = []
        self.classes: dict[str, SlaClass] = {}
        self.accounts: dict[str, ProviderAccount] = {}
        self.refuses: Exception | None = None

    def view(self) -> View:
        """Everything, synced."""
        return View(True, self.jobs, self.leases, self.accounts, self.classes, self.budgets)

    async def job(self, namespace: str, name: str) -> Job | None:
        """By name."""
        return next((j for j in self.jobs.values() if j.ref.name == name), None)

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """By name."""
        return next((x for x in self.leases.values() if x.name == name), None)

    async def all_leases(self) -> Sequence[Lease]:
        """All."""
        return list(self.leases.values())

    async def record(self, change: Change) -> Lease | None:
        """Keeps the change; raises what a test wants refused."""
        if self.refuses is not None:
            raise self.refuses
        self.changes.append(change)
        if isinstance(change, LeaseStatus | PlanLease):
            self.leases[change.lease.uid] = change.lease
            return change.lease
        if isinstance(change, HoldProvider | ReleaseProvider):
            is_held = isinstance(change, HoldProvider)
            self.accounts[change.account.name] = replace(change.account, is_held=is_held)
        return None

    def written(self, kind: type[Change]) -> list[Any]:
        """The changes of one kind, oldest first."""
        return [change for change in self.changes if isinstance(change, kind)]


@dataclass
class World:
    """An engine and everything around it."""

    cluster: MemoryCluster = field(default_factory=MemoryCluster)
    clock: ManualClock = field(default_factory=ManualClock)
    providers: dict[str, Provider | Exception] = field(default_factory=dict)
    prints: dict[str, str] = field(default_factory=dict)
    leader: Leader = field(default_factory=Leader)
    engine: Engine = field(init=False)
    book: ReportBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = ReportBook(b"a secret of this test alone", self.clock)
        self.gate = EffectGate(self.clock)
        self.engine = Engine(
            cluster=GatedCluster(cast("Cluster", self.cluster), self.gate),
            accounts=Accounts(self._adapter, self.gate, self.clock),
            clock=self.clock,
            settings=Settings(drain_s=60),
            reports=self.book,
            leader=self.leader,
            home=NoHome(),
            read_secret=self._no_secret,
        )

    def settle(self, **settings: Any) -> None:
        """Other settings from now on."""
        self.engine.settings = Settings(**settings)

    def put(self, *things: Job | Lease | Budget | SlaClass | ProviderAccount) -> None:
        """Shows objects to the engine."""
        for thing in things:
            match thing:
                case Job():
                    self.cluster.jobs[thing.ref.uid] = thing
                case Lease():
                    self.cluster.leases[thing.uid] = thing
                    self.engine.index.note(thing.uid)
                case Budget():
                    others = [b for b in self.cluster.budgets if b.name != thing.name]
                    self.cluster.budgets = [*others, thing]
                case SlaClass():
                    self.cluster.classes[thing.name] = thing
                case ProviderAccount():
                    self.cluster.accounts[thing.name] = thing

    async def knows(self, *accounts: ProviderAccount) -> None:
        """Shows accounts and builds their adapters."""
        self.put(*accounts)
        await self.engine.accounts.follow(list(accounts))

    def sees(self, lease: Lease, phase: Phase) -> None:
        """The last observation of a lease."""
        self.engine.memory.note(lease.name, Observation(phase), self.clock.monotonic())

    def hears(self, lease: Lease, event: Event = Event.HEARTBEAT, **told: Any) -> str:
        """A report of the lease's runner; the answer it gets."""
        return self.book.receive(Told(lease.name, lease.attempt, event, **told))

    def statuses(self) -> list[JobStatus]:
        """Every status of a job that was written."""
        return self.cluster.written(JobStatus)

    def apply_budgets(self) -> None:
        """What was written of budgets is what the next look sees."""
        for change in cast("list[BudgetStatus]", self.cluster.written(BudgetStatus)):
            self.put(replace(change.budget, **_budget(change)))
        self.cluster.changes.clear()

    async def _adapter(self, account: ProviderAccount) -> tuple[Provider, str]:
        found = self.providers[account.name]
        if isinstance(found, Exception):
            raise found
        return found, self.prints.get(account.name, "same")

    async def _no_secret(self, namespace: str, name: str) -> None:
        return None


def closing(world: World, **changes: Any) -> Lease:
    """A suspended job's lease on its way out, with its permit and its market's id."""
    job = make_job()
    lease = replace(
        make_lease(job, rent("a1"), LeaseState.CLOSING),
        permit=Permit(1, "a", 1, NOW, NOW),
        handle=Handle("gl-train-1", "42"),
        closing=Closing(ClosingReason.SUSPENDED, NOW),
    )
    world.put(job, replace(lease, **changes))
    return lease


def _budget(change: BudgetStatus) -> dict[str, Any]:
    from decimal import Decimal  # noqa: PLC0415  (used here alone)

    from overspill.core.sla import Reservation  # noqa: PLC0415

    status = change.status
    held = [
        Reservation(r["leaseName"], r["jobUID"], Decimal(r["usd"])) for r in status["reservations"]
    ]
    return {
        "spent_usd": Decimal(status["spentUSD"]),
        "committed_usd": Decimal(status["committedUSD"]),
        "reservations": tuple(held),
    }
