"""The only seams: Provider, Cluster, Clock, and the small ones that homes and reports need.

The docstrings here are binding. Adapters (`providers/`) and the Kubernetes side (`kube/`)
implement these; the engine knows nothing else of the world.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypeVar, runtime_checkable

from overspill.core.copies import Copy
from overspill.core.job import Job
from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease, Observation, Report
from overspill.core.offer import Offer, Requirements
from overspill.core.sla import Budget, SlaClass
from overspill.core.snapshot import ProviderAccount
from overspill.core.workload import PortableWorkload
from overspill.core.worst_case import NO_END, Ending

T = TypeVar("T")


class Clock(Protocol):
    """Time, injected. `monotonic` decides waiting, `now` is only ever written down or shown."""

    def now(self) -> datetime:
        """Wall time, UTC, aware."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Waits on the monotonic clock."""


class IdempotencyClass(StrEnum):
    """Lease protocol 2.4."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a market can do, declared by its adapter and checked by the conformance kit."""

    idempotency: IdempotencyClass
    lists_whole: bool = False
    """What `leases` shows of each lease is all that `observe` would tell of it."""
    list_lag: timedelta = timedelta(0)
    """For so long a new lease may be missing from `leases` and be unreadable.

    `open` with its handle waits by itself; who looks for a key (class A apart) or for a proof of
    absence waits before the list counts.
    """
    quarantine: timedelta = timedelta(seconds=60)
    request_timeout: timedelta = timedelta(seconds=10)
    permit_validity: timedelta = timedelta(seconds=20)
    can_set_command: bool = True
    restarts_exited: bool = False
    """The market restarts an exited command; a batch job needs a report URL there."""
    has_dead_mans_switch: bool = False
    ending: Ending = NO_END
    """How the bill ends when nobody closes the lease; the worst case is computed from it."""
    needs_permits: bool = True
    """False at home: the child's name is the key, nothing is paid to a third party."""
    offer_ttl: timedelta = timedelta(seconds=60)
    not_found_grace: timedelta = timedelta(seconds=60)
    """For so long LeaseNotFound of a lease is not believed: at least `list_lag`."""


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """Everything one `open` step needs. `secrets` are resolved values, never stored or logged.

    `secrets` maps the name of an environment variable to its value: one entry for every
    `workload.secret_env` that is not optional, and `OVERSPILL_REPORT_TOKEN` where reports are
    wanted.
    """

    key: str
    cluster_id: str
    offer: Offer
    gpu_count: int
    num_nodes: int
    max_usd_per_hour: Decimal
    max_total_usd: Decimal
    hard_deadline: datetime
    attempt: int
    lease: Lease
    workload: PortableWorkload | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    handle: Handle | None = None
    """What earlier steps recorded, or what was re-found by key."""


@dataclass(frozen=True, slots=True)
class OpenStep:
    """The outcome of one `open` step.

    `is_complete`: the lease exists and is ours; else call again after `retry_after`.
    `next_costs`: the next step sends something that costs, so the engine records `handle`
    together with a fresh permit first. A step without it may be repeated freely (polling bids).
    """

    handle: Handle
    is_complete: bool
    next_costs: bool = False
    retry_after: timedelta = timedelta(seconds=2)
    price_usd_per_hour: Decimal | None = None
    message: str = ""


class Provider(Protocol):
    """One market account, or home. One instance per GPUProvider; belongs to one event loop.

    Every call has a deadline, follows no redirect to another host, bounds what it reads, and
    raises only errors of `core/errors.py`.
    """

    name: str
    capabilities: Capabilities

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """Normalised offers; no side effects. Unavailable ones are marked, not hidden.

        `requirements` may narrow the question; None asks for the whole catalogue.
        Raises Unavailable, RateLimited, AuthRejected.
        """

    async def open(self, request: OpenRequest) -> OpenStep:
        """Takes the next safe step towards the lease and returns at once.

        Sends at most one request that costs, and that one without any retry. Idempotent by
        `request.key`: with the same key and handle a repeat never creates a second thing where
        the market lets us know. Raises NoCapacity, OfferRejected, InsufficientFunds, AuthRejected
        (definitive), RateLimited (not executed), OpenUncertain (anything else after the request
        left).
        """

    async def observe(self, handle: Handle) -> Observation:
        """Reads only. LeaseNotFound means the market says it does not exist (404 or terminal)."""

    async def close(self, handle: Handle) -> None:
        """Asks the market to end the lease by its billing-ending verb; silent when already gone.

        Only `observe` and `leases` prove the end.
        """

    async def leases(self) -> Sequence[HeldLease]:
        """Everything the account holds, complete (all pages) or an error. The sweep depends on it.

        `handle.key` is the key we gave it, "" where the thing carries none.
        """


class LogSource(Protocol):
    """Optional: markets that give logs."""

    def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """Lines of the workload's output without their ends, oldest first."""


@runtime_checkable
class Treasury(Protocol):
    """Optional: markets that tell the balance."""

    async def balance_usd(self) -> Decimal:
        """Money left in the account."""


@runtime_checkable
class Exposure(Protocol):
    """Optional: markets where more than the balance can be spent without us (escrows)."""

    async def at_stake_usd(self) -> Decimal:
        """All that the account could still lose: the balance and what stands in escrow."""


class KubeVerbs(Protocol):
    """Raw JSON verbs on the API server, each with its own deadline, none retried.

    `path` is the absolute resource path ("/apis/batch/v1/namespaces/x/jobs"). Raises Gone (404,
    410, uid or rv precondition on a vanished object), Conflict (409), ClusterUnavailable
    (no answer, 5xx, 429), `kube.verbs.Refused` (other 4xx, with the server's message).
    """

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET of an object, or one consistent LIST page."""

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST."""

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        content_type: str = "application/merge-patch+json",
    ) -> dict[str, Any]:
        """PATCH; put metadata.resourceVersion into `body` for an optimistic lock."""

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """DELETE with preconditions and propagation in `body`."""

    async def list_all(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """A complete quorum LIST, all pages, or an error."""

    async def list_kept(
        self,
        path: str,
        keep: Callable[[dict[str, Any]], T],
        params: Mapping[str, str] | None = None,
    ) -> list[T]:
        """The same, of which only what `keep` makes of each object stays, page by page: thousands
        of raw objects at once would be most of the memory."""


@dataclass(frozen=True, slots=True)
class View:
    """The store's content as core values. `synced` only after every kind was listed once.

    `jobs` and `leases` by uid, `accounts` and `classes` by name.
    """

    synced: bool
    jobs: Mapping[str, Job]
    leases: Mapping[str, Lease]
    accounts: Mapping[str, ProviderAccount]
    classes: Mapping[str, SlaClass]
    budgets: Sequence[Budget]
    invalid: Mapping[str, str] = field(default_factory=dict)
    """uid → why an object could not be read; such objects are shown, never acted on."""


class Cluster(Protocol):
    """Our five kinds on the API server. Every write carries the version it was decided on.

    Raises Conflict, Gone, ClusterUnavailable as in `core/errors.py`.
    """

    cluster_id: str

    def view(self) -> View:
        """The cached view; may be stale. Never destroy on its evidence."""

    async def job(self, namespace: str, name: str) -> Job | None:
        """Quorum read; None when absent."""

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """Quorum read; None when absent."""

    async def all_leases(self) -> Sequence[Lease]:
        """Quorum LIST of every GPULease, complete or an error."""

    async def record(self, change: "Change") -> Lease | None:
        """Applies one change; returns the written lease for lease changes."""


@dataclass(frozen=True, slots=True)
class PlanLease:
    """POST of a GPULease with our finalizer in the same request (R1). AlreadyExists → Conflict."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Status write of `lease` (all status fields as they now are) on `lease.resource_version`."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Removes our finalizer from a Closed lease, on its resource_version."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class DeleteLease:
    """Deletes a Closed ledger entry after its retention."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Status write of a GPUJob: `status` is the whole new status document (camelCase JSON)."""

    job: Job
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Deletes a finished GPUJob whose ttl passed, uid and rv checked."""

    job: Job


@dataclass(frozen=True, slots=True)
class MakeCopy:
    """POST of a copy's GPUJob, owned by copy 0 and with its spec as of the generation seen.

    A GPUJob of that name, whosever, or another generation → Conflict; copy 0 deleted → Gone.
    """

    service: Job
    copy: Copy


@dataclass(frozen=True, slots=True)
class ChangeCopy:
    """Brings the spec of a copy's GPUJob in line, on the resource_version it was decided on."""

    service: Job
    known: Job
    copy: Copy


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """Status write of a GPUProvider."""

    account: ProviderAccount
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HoldProvider:
    """Puts our finalizer on a GPUProvider before anything is sent to its account.

    Raises Conflict when it is being deleted: then nothing may be sent.
    """

    account: ProviderAccount


@dataclass(frozen=True, slots=True)
class ReleaseProvider:
    """Takes it off, on the resource_version it was decided on: no open lease needs the account."""

    account: ProviderAccount


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """Status write of a GPUBudget by compare-and-swap: reservations of open leases, spent."""

    budget: Budget
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClassStatus:
    """Status write of an SLAClass: what was attained of its promises."""

    klass: SlaClass
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """An events.k8s.io event on a GPUJob for its user; aggregated, best effort."""

    job: Job
    reason: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """The same on a GPUProvider, for whoever keeps the account."""

    account: ProviderAccount
    reason: str
    message: str
    is_warning: bool = False


Change = (
    PlanLease
    | LeaseStatus
    | ReleaseLease
    | DeleteLease
    | JobStatus
    | DeleteJob
    | MakeCopy
    | ChangeCopy
    | ProviderStatus
    | HoldProvider
    | ReleaseProvider
    | BudgetStatus
    | ClassStatus
    | Event
    | AccountEvent
)


class Keepsake(Protocol):
    """A small thing that outlives the process; losing it must cost nothing but comfort.

    Raises ClusterUnavailable when it could not be asked; whether a write happened may be unknown.
    """

    async def read(self) -> bytes | None:
        """What was kept last; None: nothing."""

    async def write(self, content: bytes) -> None:
        """Keeps this instead. At most half a MiB."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """A home node as the informer last saw it. GPUs are whole ones of `nvidia.com/gpu`."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]
    unschedulable: bool
    allocatable: Mapping[str, str]
    conditions: Mapping[str, str]
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod that holds or asks for GPUs, or carries our labels."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    gpus: int
    labels: Mapping[str, str]
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    deletion_requested: bool = False
    ends_by: datetime | None = None
    """When it must have ended, once its deletion was asked for: its grace period is over."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    requests: Mapping[str, str] = field(default_factory=dict)
    bound_at: datetime | None = None
    """When the scheduler bound it to its node."""


class HomeView(Protocol):
    """Nodes and pods from the informer, and how long each node's heartbeat has stood still."""

    def nodes(self) -> Sequence[NodeState]:
        """GPU nodes of the cluster."""

    def pods(self) -> Sequence[PodState]:
        """GPU pods, our own pods, and what else takes CPU and memory of GPU nodes."""

    def pods_of(self, lease: str) -> Sequence[PodState]:
        """Our own pods of one lease, by its name; asked at every look at a child."""

    async def fetch_pods_of(self, lease: str) -> Sequence[PodState]:
        """The same, read anew from the API server (a quorum LIST), for when the view is behind."""

    def heartbeat_age_s(self, node: str) -> float | None:
        """Seconds since the node's Lease last moved, on our monotonic clock; None: never seen."""

    def is_stale(self) -> bool:
        """True when our own view is too old to judge nodes (API server away, watch silent)."""


class Reports(Protocol):
    """What runners told us; filled by `serve/`, read by the engine."""

    def latest(self, lease: str) -> Report | None:
        """The newest report of a lease, by lease name."""

    def command(self, lease: str, verb: str) -> None:
        """Queues `checkpoint` or `stop` as the reply to the lease's next report."""

    def report_url(self) -> str:
        """Public base URL of reports for rented leases; "" when none is configured."""

    def token(self, lease: str) -> str:
        """The lease's report token: HMAC(cluster secret, lease name)."""
