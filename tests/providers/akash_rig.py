"""Requests and accounts for the tests of the Akash adapter, and its rig for the contract."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from overspill.core.lease import JobRef, Lease, lease_name
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, ProviderType, TrustTier
from overspill.core.workload import LeaseRequest, PortableWorkload, SecretEnv
from overspill.ports import OpenRequest
from overspill.providers.akash import Akash
from overspill.providers.akash_config import config_of
from overspill.providers.akash_manifest import manifest
from overspill.testing.clock import ManualClock
from overspill.testing.contract import drive
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .akash_double import Console, gpu_line
from .akash_spec import Checked

API_KEY = "ac.sk.production.top-secret-key"
TOKEN = "report-token-nobody-may-see"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

H100 = Offer(
    provider="akash",
    offer_id="h100/80Gi/SXM5",
    place="akash",
    capacity_type=CapacityType.ON_DEMAND,
    trust_tier=TrustTier.AUDITED,
    gpu_model="h100",
    gpu_count=8,
    price_usd_per_hour=Decimal(20),
    as_of=NOW,
    is_divisible=True,
    is_firm=False,
    attributes=(("model", "h100"), ("ram", "80Gi"), ("interface", "sxm")),
)

WORKLOAD = PortableWorkload(
    image="registry.example/train:1",
    command=("/bin/sh", "-c", "echo <a> && true"),
    args=("012", "yes"),
    env=(("OVERSPILL_LEASE", "x"), ("GREETING", "grüße")),
    secret_env=(SecretEnv("OVERSPILL_REPORT_TOKEN", "s", "k"),),
    ports=(5000,),
    cpu_units=Decimal("1.5"),
    memory_gib=Decimal(4),
    disk_gib=Decimal("20.5"),
)


def account(**config: str) -> ProviderAccount:
    """An account whose settings suit tests."""
    settings = {"bidSettleSeconds": "0", "requestsPerSecond": "100", "listLagSeconds": "0"}
    return ProviderAccount(
        "akash", ProviderType.AKASH, endpoint="https://console.invalid", config=settings | config
    )


def request(attempt: int = 1, workload: PortableWorkload = WORKLOAD) -> OpenRequest:
    """A request for one H100 at no more than 3 USD per hour."""
    job = JobRef("team", "train", "0000-1111")
    key = lease_name("c1u5ter8", job.uid, attempt)
    deadline = NOW + timedelta(hours=10)
    lease = Lease(
        name=key,
        namespace="team",
        uid="u",
        resource_version="1",
        job=job,
        attempt=attempt,
        provider="akash",
        cluster_id="c1u5ter8",
        offer=H100,
        request=LeaseRequest(1, workload=workload),
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(20),
        hard_deadline=deadline,
        created_at=NOW,
    )
    return OpenRequest(
        key=key,
        cluster_id="c1u5ter8",
        offer=H100,
        gpu_count=1,
        num_nodes=1,
        max_usd_per_hour=Decimal(3),
        max_total_usd=Decimal(20),
        hard_deadline=deadline,
        attempt=attempt,
        lease=lease,
        workload=workload,
        secrets={"OVERSPILL_REPORT_TOKEN": TOKEN},
    )


LISTING = Listing(page=2)
"""Much less than we ask for: a console may give so little, and says that there is more."""


SHELF = Listing(why_whole="the file gives the price list as one answer, without parameters")


@dataclass
class DoubleRig:
    """The adapter on the double, on a clock that moves by hand."""

    wire: FaultyTransport
    console: Console
    clock: ManualClock = field(default_factory=ManualClock)
    account: ProviderAccount = field(default_factory=account)
    secrets: tuple[str, ...] = (API_KEY, TOKEN)
    listing: Listing = LISTING
    shelf: Listing = SHELF

    def __post_init__(self) -> None:
        self.provider = self.restarted()

    def restarted(self) -> Akash:
        config = config_of(self.account, {"apiKey": API_KEY})
        return Akash(self.account, config, self.clock, self.wire)

    def request(self, attempt: int = 1) -> OpenRequest:
        return request(attempt)

    async def pass_time(self, after: timedelta) -> None:
        self.clock.advance(after.total_seconds())

    async def open_things(self) -> int:
        return self.console.live()

    async def fill(self, count: int) -> list[str]:
        self.console.page = self.listing.page
        wanted = [self.request(attempt) for attempt in range(1, count + 1)]
        for asked in wanted:
            await drive(self, asked)
        return [asked.key for asked in wanted]

    async def stock(self, count: int) -> list[str]:
        added = [f"kind{n}" for n in range(len(self.console.models), count)]
        self.console.models += [gpu_line(model) for model in added]
        return added

    async def lag(self, after: timedelta) -> None:
        seconds = after.total_seconds()
        self.account = account(listLagSeconds=str(seconds))
        self.console.lags(seconds, self.clock.monotonic)
        self.provider = self.restarted()


def double_rig(folder: Path | None = None, **config: str) -> DoubleRig:
    """A fresh market and an adapter on it; `folder`: check each exchange against the spec there."""
    console = Console(manifest)
    inner = console.transport()
    checked = Checked(inner, folder) if folder else inner
    return DoubleRig(FaultyTransport(checked), console, account=account(**config))
