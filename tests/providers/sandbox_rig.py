"""An adapter on a sandbox in this process, over real HTTP, and a request for one H100."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx

from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.ports import OpenRequest, Provider
from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.gpus import Gpu
from overspill.sandbox.hosts import HostKeeper
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rental, RentalMarket
from overspill.sandbox.supply import Host
from overspill.testing.clock import ManualClock
from overspill.testing.contract import drive
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .akash_rig import TOKEN, request

KEY = "a-key-of-the-sandbox"

Make = Callable[[ProviderAccount, ManualClock, FaultyTransport], Any]


@dataclass
class SandboxRig:
    """Both clocks move together, by hand."""

    app: SandboxApp
    market: str
    wire: FaultyTransport
    account: ProviderAccount
    make: Make
    clock: ManualClock = field(default_factory=ManualClock)
    secrets: tuple[str, ...] = (KEY, TOKEN)
    offer: Offer | None = None
    listing: Listing = field(init=False)
    shelf: Listing = field(init=False)
    """Each market's rig says both."""

    def __post_init__(self) -> None:
        self.made: list[Any] = []
        self.provider: Any = self.restarted()

    def restarted(self) -> Provider:
        ours = replace(self.account, endpoint=self.app.urls[self.market])
        self.made.append(self.make(ours, self.clock, self.wire))
        made: Provider = self.made[-1]
        return made

    async def find_offer(self, model: str = "h100", gpus: int = 1) -> Offer:
        """A fitting offer of the market itself; it is what requests ask for from now on."""
        offers = await self.provider.offers(None)
        fitting = [o for o in offers if o.gpu_model.startswith(model) and o.gpu_count >= gpus]
        self.offer = next(o for o in fitting if o.gpu_count == gpus or o.is_divisible)
        return self.offer

    def request(self, attempt: int = 1) -> OpenRequest:
        assert self.offer is not None
        offer = self._offer_of(attempt)
        lease = replace(request(attempt).lease, offer=offer)
        return replace(request(attempt), offer=offer, lease=lease, max_usd_per_hour=Decimal(10))

    def _offer_of(self, attempt: int) -> Offer:
        assert self.offer is not None
        return self.offers.get(attempt, self.offer)

    offers: dict[int, Offer] = field(default_factory=dict)

    async def pass_time(self, after: timedelta) -> None:
        seconds = max(after.total_seconds(), 1.0)
        self.clock.advance(seconds)
        self.app.world.timeline.run(self.app.world.clock.advance(seconds))
        self.app.fleet.settle()

    async def open_things(self) -> int:
        return len(self.rentals.rentals.held())

    async def fill(self, count: int) -> list[str]:
        """One is opened; the others are its likes, put into the market itself."""
        rentals = self.rentals.rentals
        if not rentals.held():
            await drive(self, self.request())
        model = rentals.held()[0]
        for n in range(len(rentals.held()), count):
            another = str(int(model.id) + n if model.id.isdecimal() else uuid.UUID(int=n))
            key = f"{model.key}-{n}"
            details = _renamed(model.details, model.key, key)
            like = replace(model, id=another, key=key, details=details, charged=Decimal(0))
            rentals.all[another] = like
        return [rental.key for rental in rentals.held()]

    async def stock(self, count: int) -> list[str]:
        return stocked(self.app.markets[self.market].world.supply.hosts, count)

    async def lag(self, after: timedelta) -> None:
        seconds = after.total_seconds()
        config = {**self.account.config, "listLagSeconds": str(seconds)}
        self.account = replace(self.account, config=config)
        self.fault("list_lag", seconds=seconds)
        self.provider = self.restarted()

    @property
    def rentals(self) -> RentalMarket:
        found = self.app.markets[self.market]
        assert isinstance(found, RentalMarket)
        return found

    @property
    def only(self) -> Rental:
        (rental,) = self.rentals.rentals.held()
        return rental

    def keeper(self) -> HostKeeper:
        return HostKeeper(self.app.world, list(self.app.markets.values()))

    def log(self, text: bytes) -> None:
        """What the container has printed so far."""
        self.app.world.executor.logs = lambda _: {"job-0": text}  # type: ignore[method-assign]  # the idle executor prints nothing

    def fault(self, action: str, **rule: Any) -> None:
        self.app.world.faults.add({"action": action, **rule})


def stocked(hosts: dict[str, Host], count: int) -> list[str]:
    """Hosts until there are so many kinds of GPU; the canonical names of those added."""
    known = len({host.gpu.product_name for host in hosts.values()})
    added = [Gpu(f"kind{n}", "24Gi") for n in range(known, count)]
    for gpu in added:
        hosts[gpu.model] = Host(gpu.model, gpu, gpus=1, usd_per_gpu_hour=Decimal("0.3"))
    return [gpu.model for gpu in added]


def _renamed(details: dict[str, Any], before: str, after: str) -> dict[str, Any]:
    """A copy that bears another name, also in the body it was asked for with."""
    body = {n: after if v == before else v for n, v in details.get("body", {}).items()}
    return {**details, "body": body} if body else dict(details)


@asynccontextmanager
async def sandbox_rig(
    market: str,
    account: ProviderAccount,
    make: Make,
    checked: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport],
    kind: type[SandboxRig] = SandboxRig,
) -> AsyncIterator[SandboxRig]:
    """A fresh market and an adapter on it."""
    async with running(SandboxOptions(api_key=KEY, markets=(market,))) as app:
        wire = FaultyTransport(checked(httpx.AsyncHTTPTransport()))
        rig = kind(app, market, wire, account, make)
        yield rig
        for provider in rig.made:
            await provider.aclose()
