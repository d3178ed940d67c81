"""The five kinds with what a CRD says beside their schema: names, columns, subresources.

Read by `crd` (the generator) and by tests; the order is the order of `crds/`.
"""

from dataclasses import dataclass, field

from overspill.api.budget import GPUBudget
from overspill.api.job import GPUJob
from overspill.api.lease import GPULease
from overspill.api.meta import Resource
from overspill.api.provider import GPUProvider
from overspill.api.sla_class import SLAClass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; those with priority 1 only with `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the API."""

    model: type[Resource]
    plural: str
    short_name: str
    is_namespaced: bool
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    scale: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`GPUJob`."""
        return self.model.__name__


AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was created.", "date")

JOB = Kind(
    GPUJob,
    "gpujobs",
    "gpj",
    is_namespaced=True,
    columns=(
        Column("Status", ".status.phase", "What it is doing."),
        Column("SLA", ".spec.slaClassName", "Its SLAClass."),
        Column("Place", ".status.placement.place", "Where it is."),
        Column("GPUs", ".status.placement.gpus", "How many of which GPU."),
        Column("USD/H", ".status.placement.pricePerHourUSD", "Its price per hour in USD."),
        Column("Spent", ".status.cost.spentUSD", "Spent in USD, as of the last write."),
        Column("Finish-By", ".status.finishByTime", "Its deadline."),
        AGE,
        Column("Ready", ".status.copies.ready", "Copies that run.", "integer", 1),
        Column("Attained", ".status.sla.attained", "What was kept of the promise.", priority=1),
        Column("Budget", ".status.sla.budgetRemaining", "What may still go wrong.", priority=1),
        Column("Reason", ".status.decision.reason", "Why, one word.", priority=1),
        Column("Lease", ".status.placement.leaseName", "Its GPULease.", priority=1),
        Column("Moves", ".status.moves", "How often it moved.", "integer", 1),
        Column("Message", ".status.decision.message", "Why, in a sentence.", priority=1),
    ),
    selectable=(".spec.slaClassName", ".status.phase", ".status.placement.provider"),
    scale={
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
)

LEASE = Kind(
    GPULease,
    "gpuleases",
    "gpl",
    is_namespaced=True,
    columns=(
        Column("Job", ".spec.jobRef.name", "The GPUJob it serves."),
        Column("Provider", ".spec.provider", "Its GPUProvider."),
        Column("State", ".status.state", "Where it is in its life."),
        Column("Reason", ".status.closing.reason", "Why it closes."),
        Column("GPU", ".spec.offer.gpuModel", "Its GPU model."),
        Column("USD/H", ".status.pricePerHourUSD", "Its real price per hour in USD."),
        Column("Billed", ".status.billedUSD", "Its final cost in USD."),
        AGE,
        Column("Attempt", ".spec.attempt", "Number of the attempt.", "integer", 1),
        Column("Place", ".spec.offer.place", "Where it is.", priority=1),
        Column("External-ID", ".status.handle.externalID", "The market's identity.", priority=1),
        Column("Deadline", ".spec.hardDeadlineTime", "Its end at the latest.", priority=1),
    ),
    selectable=(".spec.provider", ".status.state", ".spec.jobRef.name"),
)

PROVIDER = Kind(
    GPUProvider,
    "gpuproviders",
    "gpp",
    is_namespaced=False,
    columns=(
        Column("Type", ".spec.type", "The market."),
        Column(
            "Healthy",
            '.status.conditions[?(@.type=="Ready")].status',
            "Whether the account can be used.",
        ),
        Column("Leases", ".status.leases", "Leases that are open.", "integer"),
        Column("Balance", ".status.balanceUSD", "Money left in USD."),
        Column(
            "Worst-30d",
            ".status.worstCase.within30DaysUSD",
            "Most in USD that its leases can cost in 30 days if nobody closes them.",
        ),
        Column("Offers", ".status.offersSeen", "Offers that can be had.", "integer"),
        AGE,
        Column("Capacity", ".spec.capacityType", "How firmly its places are ours.", priority=1),
        Column("Trust", ".spec.trustTier", "How far it is trusted.", priority=1),
        Column("Circuit", ".status.circuit.state", "Whether calls go through.", priority=1),
        Column("USD/H", ".status.hourlyUSD", "What its leases cost per hour.", priority=1),
        Column("Worst", ".status.worstCase.usd", "The same for ever; empty: no bound.", priority=1),
        Column("Bill-End", ".status.worstCase.billEnd", "What ends bills then.", priority=1),
        Column("Error", ".status.lastError.reason", "What went wrong last.", priority=1),
    ),
    selectable=(".spec.type",),
)

CLASS = Kind(
    SLAClass,
    "slaclasses",
    "slac",
    is_namespaced=False,
    columns=(
        Column("Default", ".spec.isDefault", "Whether jobs that name no class get it.", "boolean"),
        Column("Capacity", ".spec.capacityTypes", "Allowed capacity, best first."),
        Column("Burst-After", ".spec.burstAfterSeconds", "Wait in seconds for home.", "integer"),
        Column("Kept", ".status.attained.promisesKept", "Finish-bys kept in 30 days.", "integer"),
        Column("Broken", ".status.attained.promisesBroken", "Finish-bys broken.", "integer"),
        Column("Available", ".status.attained.availability", "Share of time services were up."),
        AGE,
        Column("Target", ".spec.availabilityTarget", "The promised share of time.", priority=1),
        Column("Budget", ".status.attained.budgetRemaining", "Down-time left.", priority=1),
        Column("Failback", ".spec.failback.policy", "When jobs come home.", priority=1),
        Column("Priority", ".spec.priority", "Higher goes first.", "integer", 1),
    ),
)

BUDGET = Kind(
    GPUBudget,
    "gpubudgets",
    "gpb",
    is_namespaced=True,
    columns=(
        Column("Limit", ".spec.limitUSD", "USD per period."),
        Column("Period", ".spec.period", "The period."),
        Column("Spent", ".status.spentUSD", "Spent in USD."),
        Column("Committed", ".status.committedUSD", "What open leases can still cost in USD."),
        AGE,
        Column("Since", ".status.periodStartTime", "When the period began.", priority=1),
    ),
)

KINDS = (JOB, LEASE, PROVIDER, CLASS, BUDGET)
