"""Offers: what a place could give, normalised. Written by adapters, read by placement."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.vocabulary import (
    CapacityType,
    InterconnectClass,
    InterconnectMode,
    TrustTier,
)


@dataclass(frozen=True, slots=True)
class GpuRequirements:
    """What one node of the job needs. `models` are canonical names, best first; empty: any."""

    count: int = 1
    models: tuple[str, ...] = ()
    memory_min_gib: Decimal | None = None
    compute_capability_min: tuple[int, int] | None = None
    interconnect: InterconnectClass = InterconnectClass.NONE
    interconnect_mode: InterconnectMode = InterconnectMode.PREFERRED


@dataclass(frozen=True, slots=True)
class Beside:
    """What one node of a job needs beside its GPUs."""

    cpu_units: Decimal = Decimal(0)
    memory_gib: Decimal = Decimal(0)
    disk_gib: Decimal = Decimal(0)

    def fits(self, room: "Beside | None") -> bool:
        """Whether there is so much; None: nobody knows, and nobody is refused for it."""
        return room is None or (
            self.cpu_units <= room.cpu_units and self.memory_gib <= room.memory_gib
        )

    def plus(self, freed: "Beside") -> "Beside":
        """With more CPU and memory."""
        return Beside(
            self.cpu_units + freed.cpu_units, self.memory_gib + freed.memory_gib, self.disk_gib
        )

    def less(self, taken: "Beside") -> "Beside":
        """What is left of CPU and memory."""
        return Beside(
            self.cpu_units - taken.cpu_units, self.memory_gib - taken.memory_gib, self.disk_gib
        )


NOTHING_BESIDE = Beside()


@dataclass(frozen=True, slots=True)
class BesideRates:
    """What a market charges for it, in USD per hour."""

    per_cpu_unit: Decimal
    per_memory_gib: Decimal
    per_disk_gib: Decimal

    def usd_per_hour(self, needed: Beside) -> Decimal:
        """The price of all of it on one node."""
        return (
            self.per_cpu_unit * needed.cpu_units
            + self.per_memory_gib * needed.memory_gib
            + self.per_disk_gib * needed.disk_gib
        )


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a job asks of a place. `None` passed to `offers` means: the whole catalogue."""

    gpu: GpuRequirements = field(default_factory=GpuRequirements)
    num_nodes: int = 1
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A place that could run work, priced in USD.

    `price_usd_per_hour` covers `gpu_count` GPUs on `node_count` nodes. When `is_divisible`, any
    smaller number of GPUs of one node may be taken at the proportional price, and several jobs
    may share it (home nodes; catalogue prices per GPU). `is_firm` is False where an auction
    decides the price later. `unavailable_reason` marks an offer that exists but cannot be had
    now; it is not hidden.
    """

    provider: str
    offer_id: str
    place: str
    capacity_type: CapacityType
    trust_tier: TrustTier
    gpu_model: str
    gpu_count: int
    price_usd_per_hour: Decimal
    as_of: datetime
    node_count: int = 1
    region: str = ""
    gpu_memory_gib: Decimal | None = None
    compute_capability: tuple[int, int] | None = None
    interconnect: InterconnectClass = InterconnectClass.NONE
    is_divisible: bool = False
    is_firm: bool = True
    reliability: Decimal | None = None
    verification: str = ""
    egress_usd_per_gib: Decimal = Decimal(0)
    cold_start: timedelta = timedelta(0)
    mtbf: timedelta | None = None
    min_billable: timedelta = timedelta(0)
    available_until: datetime | None = None
    unavailable_reason: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    least_gpus: int = 1
    """Fewest GPUs that may be taken of one node. Only placement reads it, no lease keeps it."""
    beside_rates: BesideRates | None = None
    """What a divisible offer charges beside its GPUs; None: it is in the price, as it is in a
    lease's."""
    beside_free: Beside | None = None
    """CPU and memory that are free on a home node; None: unknown. Only placement reads it."""
    beside_total: Beside | None = None
    """What that node has of them, free or taken."""

    @property
    def price_per_gpu_hour(self) -> Decimal:
        """USD for one GPU and hour; for comparing and for divisible offers only."""
        return self.price_usd_per_hour / self.gpu_count

    def attribute(self, name: str, default: str = "") -> str:
        """One of the adapter's own facts about the offer, carried through unread."""
        return dict(self.attributes).get(name, default)
