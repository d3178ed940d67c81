"""What the simulated chain remembers: deployments with their orders, bids, leases and escrow.

Written by `chain.py` only; `wire.py` turns it into the API's JSON. Money is uact.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.markets.akash.sdl import Group, Sdl
from overspill.sandbox.supply import Host

BLOCK_S = 6
BLOCKS_PER_HOUR = 600
UACT_PER_USD = 1_000_000
GENESIS_HEIGHT = 20_000_000
"""Height of the chain at the sandbox's start; only its growth means anything."""


def usd(uact: Decimal) -> Decimal:
    """uact as USD."""
    return uact / UACT_PER_USD


def usd_per_hour(uact_per_block: Decimal) -> Decimal:
    """A price per block as USD per hour."""
    return uact_per_block * BLOCKS_PER_HOUR / UACT_PER_USD


@dataclass(slots=True)
class Escrow:
    """The money put aside for one deployment; drained block by block while leases run."""

    deposited: Decimal
    funds: Decimal
    settled_height: int
    transferred: Decimal = Decimal(0)
    state: str = "open"


@dataclass(slots=True)
class Bid:
    """One host's answer to one order."""

    gseq: int
    host: Host
    provider: str
    price: Decimal
    height: int
    state: str = "open"


@dataclass(slots=True)
class Lease:
    """A bid taken. `charged` is what the host got so far."""

    gseq: int
    host: Host
    provider: str
    price: Decimal
    height: int
    gpu: Gpu | None
    state: str = "active"
    closed_height: int = 0
    reason: str = ""
    charged: Decimal = Decimal(0)
    manifest_received: bool = False
    hides_endpoints: bool = False

    @property
    def is_running(self) -> bool:
        """Still bills."""
        return self.state in {"active", "reclaiming"}


@dataclass(slots=True)
class Order:
    """A group of the deployment and what came of it."""

    gseq: int
    group: Group
    state: str = "open"


@dataclass(slots=True)
class Deployment:
    """One escrow and the orders it pays for. `key` is the name of its first placement."""

    dseq: str
    owner: str
    key: str
    sdl: Sdl
    manifest: str
    hash: str
    height: int
    created_at: float
    listed_at: float
    escrow: Escrow
    orders: list[Order]
    state: str = "active"
    bids: list[Bid] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    auto_top_up: bool = False

    @property
    def running(self) -> list[Lease]:
        """The leases that bill."""
        return [lease for lease in self.leases if lease.is_running]

    def order(self, gseq: int) -> Order | None:
        """One of its orders."""
        return next((order for order in self.orders if order.gseq == gseq), None)

    def lease_name(self, lease: Lease) -> str:
        """How the executor knows the lease."""
        return f"{self.dseq}-{lease.gseq}"
