"""What placement sees: everything it may use, gathered once by the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.offer import NOTHING_BESIDE, Beside, Offer
from overspill.core.policy_past import Past
from overspill.core.sla import Budget, SlaClass
from overspill.core.vocabulary import CapacityType, ProviderType, TrustTier


@dataclass(frozen=True, slots=True)
class GrownPool:
    """Nodes of this cluster that an autoscaler adds when pods wait for them, and takes away."""

    node_selector: tuple[tuple[str, str], ...]
    """Labels of its nodes; a pod that demands them makes the autoscaler add one."""
    gpu_model: str
    gpu_count: int = 1
    """GPUs of one node."""
    max_nodes: int = 1
    boot: timedelta = timedelta(minutes=5)
    """From a waiting pod to a node that takes it."""
    instance_type: str = ""
    usd_per_node_hour: Decimal | None = None
    """None: the mounted price list says, by instance type and region."""


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """A GPUProvider: one market account, or home. No secrets in here."""

    name: str
    type: ProviderType | str
    """A market that is not shipped with us has a word of its own."""
    resource_version: str = ""
    generation: int = 1
    endpoint: str = ""
    credentials_secret: tuple[str, str] | None = None
    """(namespace, name) of the Secret with the account's credentials."""
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    trust_tier: TrustTier = TrustTier.COMMUNITY
    regions: tuple[str, ...] = ()
    max_leases: int | None = None
    max_hourly_usd: Decimal | None = None
    max_exposure_usd: Decimal | None = None
    mtbf: timedelta | None = None
    cold_start: timedelta = timedelta(minutes=2)
    egress_usd_per_gib: Decimal = Decimal(0)
    rates_usd: Mapping[str, Decimal] = field(default_factory=dict)
    """Internal USD per GPU-hour by canonical model (home); key "*" is the rest."""
    config: Mapping[str, str] = field(default_factory=dict)
    suspended: bool = False
    status: Mapping[str, object] = field(default_factory=dict)
    reference_rates_usd: Mapping[str, Decimal] = field(default_factory=dict)
    """USD per GPU-hour on demand at a hyperscaler by canonical model (home); "*" is the rest."""
    unhealthy_conditions: tuple[tuple[str, str], ...] = ()
    """(condition type, status) of a home node that mean: not healthy (`nodeHealth`)."""
    uid: str = ""
    pool: GrownPool | None = None
    """Home only: the account sells this pool alone, and home proper does not sell it."""
    suspect_after: timedelta = timedelta(seconds=20)
    lost_after: timedelta = timedelta(seconds=40)
    is_held: bool = False
    """Our finalizer keeps the object: leases are open that only this account can close."""
    deletion_requested: bool = False
    """Somebody deleted it. Nothing new is placed there (`suspended` is True as well)."""


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """What the engine knows of an account now. A closed circuit means usable."""

    is_usable: bool = True
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is known of one job beside its own object, derived by the engine."""

    not_portable: tuple[str, ...] = ()
    """Fields of the template that keep the job at home; empty: it can travel."""
    missing: str = ""
    """A thing that must exist first (a Secret…), in words; empty: nothing is missing."""
    excluded_offers: frozenset[tuple[str, str]] = frozenset()
    """(provider, offer_id) refused or withdrawn lately for this job."""
    running_lease: str = ""
    """Name of the lease the job runs on now."""
    last_checkpoint_at: datetime | None = None
    waiting_since: datetime | None = None
    not_portable_reason: str = ""
    """`Portability.reason` that goes with `not_portable`; empty: TemplateNotPortable."""
    template_invalid: str = ""
    """Why the template can run nowhere at all (`portability.malformed`); empty: it can."""
    secret_tiers: frozenset[TrustTier] | None = None
    """Tiers that every Secret of the workload may reach; None: it uses no Secret."""
    beside: Beside = NOTHING_BESIDE
    """What is rented beside the GPUs of one node, where the job can travel."""
    served_h: float = 0.0
    """Hours of the last 30 days that the service was wanted, as its status records."""
    missed_h: float = 0.0
    """Of these, hours in which it was down."""
    spares: int | None = None
    """Copies of the service beyond its replicas that are counted with now; None: not chosen yet."""
    requests: Beside = NOTHING_BESIDE
    """CPU and memory that the scheduler keeps for one pod of the job at home."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent view. `offers` are whole catalogues of all usable and unusable accounts."""

    jobs: tuple[Job, ...]
    leases: tuple[Lease, ...]
    offers: tuple[Offer, ...]
    accounts: Mapping[str, ProviderAccount]
    classes: Mapping[str, SlaClass]
    budgets: tuple[Budget, ...] = ()
    health: Mapping[str, ProviderHealth] = field(default_factory=dict)
    facts: Mapping[str, JobFacts] = field(default_factory=dict)
    """By job uid."""
    reference_usd_per_gpu_hour: Mapping[str, Decimal] = field(default_factory=dict)
    """USD per GPU-hour of that model at the reference (hyperscaler on demand); "*" is the rest."""
    stop_failover: str = ""
    """Not empty: many things look lost at once; nothing moves until a person or time clears it."""
    report_url_missing: frozenset[str] = frozenset()
    """Accounts whose market restarts what exits, while no report URL is known: no batch there."""
    rtt_ms: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Measured round trips to this cluster by (provider, region)."""
    past: Past = field(default_factory=Past)
    """What was seen of every place before; empty: nothing is predicted."""
