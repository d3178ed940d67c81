"""The Console API's calls that the Akash adapter makes, typed, with its documented refusals.

One `Api` per account; used by `akash.py` and `akash_open.py`. It knows paths and answers, and
decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import httpx

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.ports import Clock
from overspill.providers import akash_wire as wire
from overspill.providers._http import Call, Limits, MarketHttp, Target
from overspill.providers.akash_config import Config
from overspill.providers.akash_prices import Rates
from overspill.providers.akash_wire_market import GpuPrices, Host, Hosts

_HOSTS_FOR_S = 300.0
_HOSTS_AGAIN_S = 60.0
_RATE_FOR_S = 900.0


class BidClosed(NoCapacity):
    """The chosen bid went away between choice and lease: take the next one."""


class OrderTaken(NoCapacity):
    """The order is matched or closed already: look what it became."""


_REFUSALS: tuple[tuple[str, type[ProviderError], str], ...] = (
    ("no longer open", BidClosed, "the chosen bid is no longer open"),
    ("already been matched or closed", OrderTaken, "the order is matched or closed already"),
    ("deployment closed", NoCapacity, "the market has closed the deployment"),
    ("insufficient funds", InsufficientFunds, "the wallet has too little"),
    ("not enough balance", InsufficientFunds, "the balance does not cover the deposit"),
    ("deposit too low", InsufficientFunds, "the deposit is too low"),
    ("trial expired", InsufficientFunds, "the console's trial has expired"),
    ("cannot be settled yet", OpenUncertain, "the escrow cannot be settled yet"),
    ("unit price exceeds", OfferRejected, "the price exceeds what the network allows"),
    ("invalid gpu attributes", OfferRejected, "the network does not know such a GPU"),
)
"""Documented refusals by a piece of their text."""


class Api:
    """One account's connection. Reads may be repeated; what costs is sent once."""

    def __init__(
        self,
        name: str,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name, self._clock = name, clock
        self.http = MarketHttp(
            Target(name, config.endpoint, {"x-api-key": config.api_key}, _known_refusal),
            clock,
            limits=Limits(
                request_timeout_s=config.request_timeout_seconds,
                requests_per_second=config.requests_per_second,
            ),
            transport=transport,
        )
        self._hosts_read: tuple[float, Sequence[Host]] = (float("-inf"), ())
        """Until when it counts, and what was read."""
        self._akt_read: tuple[float, Decimal] | None = None

    async def gpu_prices(self) -> GpuPrices:
        """The price list of the last days."""
        return await self.http.read(Call("GET", "/v1/gpu-prices", "read the GPU prices"), GpuPrices)

    async def hosts(self) -> Sequence[Host]:
        """Providers with their uptime; an old reading, or none, when they cannot be read."""
        now = self._clock.monotonic()
        until, known = self._hosts_read
        if now < until:
            return known
        try:
            # one try: a bid waits for it
            call = Call("GET", "/v1/providers", "read the providers")
            known = (await self.http.send(call, Hosts)).root
            self._hosts_read = (now + _HOSTS_FOR_S, known)
        except (Unavailable, RateLimited, LeaseNotFound):
            self._hosts_read = (now + _HOSTS_AGAIN_S, known)
        return known

    async def rates(self, prices: Iterable[wire.Price]) -> Rates:
        """Rates for the coins that occur; `uact` needs none, `uakt` asks the market's own."""
        if "uakt" not in {price.denom for price in prices}:
            return Rates()
        now = self._clock.monotonic()
        if self._akt_read is None or now - self._akt_read[0] >= _RATE_FOR_S:
            call = Call("GET", "/v1/market-data/akt", "read the rate of AKT")
            self._akt_read = (now, (await self.http.read(call, wire.CoinRate)).price)
        return Rates({"uact": Decimal(1), "uakt": self._akt_read[1]})

    async def create(self, sdl: str, deposit_usd: Decimal) -> wire.Created:
        """A new deployment. Costs: its escrow takes the deposit."""
        body = {"data": {"sdl": sdl, "deposit": float(deposit_usd)}}
        call = Call("POST", "/v1/deployments", "create a deployment", body=body, costs=True)
        return (await self.http.send(call, wire.CreatedAnswer)).data

    async def take(self, manifest: str, bid: Mapping[str, str | int]) -> wire.Held:
        """Makes the lease of a bid and sends the manifest. Costs; what exists is skipped."""
        body = {"manifest": manifest, "leases": [dict(bid)]}
        call = Call("POST", "/v1/leases", "take the lease", body=body, costs=True)
        return (await self.http.send(call, wire.HeldAnswer)).data

    async def held(self, dseq: str) -> wire.Held:
        """One deployment with leases, live status and escrow. Raises LeaseNotFound."""
        if not dseq:
            raise LeaseNotFound(f"{self.name}: no deployment is known yet", provider=self.name)
        call = Call("GET", f"/v1/deployments/{dseq}", f"read deployment {dseq}")
        return (await self.http.read(call, wire.HeldAnswer)).data

    async def bids(self, dseq: str) -> list[wire.Bid]:
        """Every bid so far, of any state; none for an order too fresh to be known."""
        call = Call("GET", "/v1/bids", "read the bids", params={"dseq": dseq})
        try:
            return [entry.bid for entry in (await self.http.read(call, wire.Bids)).data]
        except LeaseNotFound:
            return []

    async def refill(self, dseq: str) -> bool:
        """Asks that the escrow be topped up as it empties; False when that could not be set.

        Best effort: consoles of a newer kind refill always and have nothing to set.
        """
        wish = {"autoTopUpEnabled": True}
        path = f"/v2/deployment-settings/{dseq}"
        change = Call("PATCH", path, "have the escrow refilled", body={"data": wish})
        make = Call(
            "POST",
            "/v2/deployment-settings",
            "have the escrow refilled",
            body={"data": {"dseq": dseq, **wish}},
        )
        try:
            try:
                answer = await self.http.read(change, wire.SettingsAnswer)
            except LeaseNotFound:
                answer = await self.http.read(make, wire.SettingsAnswer)
        except (Unavailable, RateLimited, LeaseNotFound):
            return False
        return answer.data.auto_top_up_enabled

    async def close(self, dseq: str) -> None:
        """Ends lease, bill and escrow; silent when the market knows it no more."""
        call = Call("DELETE", f"/v1/deployments/{dseq}", f"close deployment {dseq}")
        try:
            answer = await self.http.read(call, wire.ClosedAnswer)
        except (LeaseNotFound, NoCapacity):
            return  # gone, or "deployment closed"
        if not answer.data.success:
            raise Unavailable(f"{self.name}: the market did not close {dseq}", provider=self.name)

    async def drop(self, dseq: str) -> None:
        """Closes what is given up; should that fail, the lease's own closing does it again."""
        try:
            await self.close(dseq)
        except (Unavailable, RateLimited):
            return

    async def balance_usd(self) -> Decimal:
        """What the wallet can still spend; escrow of open deployments is not in it."""
        return (await self._balances()).balance

    async def at_stake_usd(self) -> Decimal:
        """Wallet and escrow of all open deployments."""
        return (await self._balances()).total

    async def _balances(self) -> wire.Balance:
        call = Call("GET", "/v1/balances", "read the balance")
        return (await self.http.read(call, wire.BalanceAnswer)).data


def _known_refusal(status: int, text: str) -> ProviderError | None:
    if status not in {400, 402, 404, 409, 422}:
        return None
    return next((kind(words) for piece, kind, words in _REFUSALS if piece in text), None)
