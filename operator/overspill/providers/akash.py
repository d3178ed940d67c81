"""Akash Network through its Console API (a managed wallet, a key in a header).

The market's words: a *deployment* is an order with an escrow account; providers answer it with
*bids*; taking one makes a *lease*, and the *manifest* tells that provider what to run. Closing
the deployment ends lease and bill. A deployment's `dseq` is our handle's external id; the
placement name in its SDL is our key, which the public list gives back (idempotency class B).

`open` takes three steps: create the deployment (costs), poll bids until one is chosen, take the
lease (costs; the market skips what exists, so a repeat with the same bid is safe). Its limits:
one node, USD through `uact` only, an exited command is started again on an empty disk, no exit
codes. Logs come from the provider itself (`akash_logs.py`). Settings in `akash_config.py`,
contract in `ports.Provider`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import httpx

from overspill.core.errors import LeaseNotFound
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd, ProviderType
from overspill.core.worst_case import Ending
from overspill.ports import Capabilities, Clock, IdempotencyClass, OpenRequest, OpenStep
from overspill.providers import akash_wire as wire
from overspill.providers.akash_api import Api
from overspill.providers.akash_config import Config, config_of
from overspill.providers.akash_holdings import Holdings
from overspill.providers.akash_logs import Logs
from overspill.providers.akash_observe import billed_usd, observation
from overspill.providers.akash_open import Opening
from overspill.providers.akash_prices import Catalogue

PROVIDER_TYPE = ProviderType.AKASH


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Akash":
    """The adapter of one account; opens no connection yet."""
    return Akash(account, config_of(account, credentials), clock)


class Akash:
    """One Console API account: the five calls of `ports.Provider`, logs and balance."""

    def __init__(
        self,
        account: ProviderAccount,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = account.name
        self.capabilities = _capabilities(config)
        self._account, self._config, self._clock = account, config, clock
        self._api = Api(account.name, config, clock, transport)
        self._holdings = Holdings(self._api, config.chain_api_version)
        self._logs = Logs(self._api, config, clock)
        # an account bound to one region asks for it; bound to several, it asks for none
        self._region = account.regions[0] if len(account.regions) == 1 else ""
        self._opening = Opening(self._api, config, clock, self._region)

    async def aclose(self) -> None:
        """Ends the connections."""
        await self._api.http.aclose()

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The price list of the last days as offers per GPU; only a bid makes a price firm."""
        offers = Catalogue(
            self._account,
            await self._api.gpu_prices(),
            await self._api.hosts(),
            self._clock.now(),
            region=self._region,
            max_gpus=self._config.max_gpus_per_lease,
            beside=self._config.beside_rates,
        ).offers()
        wanted = requirements.gpu.models if requirements else ()
        return [offer for offer in offers if not wanted or offer.gpu_model in wanted]

    async def open(self, request: OpenRequest) -> OpenStep:
        """The next of: create the deployment, choose a bid, take the lease."""
        handle = request.handle
        if handle is None or not handle.external_id:
            return await self._opening.create(request)
        if not handle.get("provider"):
            return await self._opening.choose(request, handle)
        return await self._opening.take(request, handle)

    async def observe(self, handle: Handle) -> Observation:
        """One deployment as the market and its provider see it now."""
        held = await self._api.held(handle.external_id)
        rates = await self._api.rates(_prices(held))
        if held.deployment.state != "active":
            raise LeaseNotFound(
                f"{self.name}: deployment {handle.external_id} is closed",
                provider=self.name,
                billed_usd=billed_usd(held, rates),
            )
        return observation(held, rates)

    async def close(self, handle: Handle) -> None:
        """Closes the deployment, which ends lease, bill and escrow; by key when it has no id."""
        ids = [handle.external_id] if handle.external_id else await self._ids_of(handle.key)
        for dseq in ids:
            self._opening.forget(dseq)
            await self._api.close(dseq)

    async def leases(self) -> Sequence[HeldLease]:
        """Every open deployment of the wallet, with the placement name as key."""
        found = await self._holdings.all()
        rates = await self._api.rates(price for held, _ in found for price in _prices(held))
        return [self._holdings.held_lease(held, key, rates) for held, key in found]

    def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The output of the lease's container, as its provider shows it."""
        return self._logs.lines(handle, follow=follow, tail=tail)

    async def balance_usd(self) -> Decimal:
        """What the wallet can still spend; escrow of open deployments is not in it."""
        return await self._api.balance_usd()

    async def at_stake_usd(self) -> Decimal:
        """Wallet and escrows: with or without refilling, no lease can take more."""
        return await self._api.at_stake_usd()

    async def _ids_of(self, key: str) -> list[str]:
        return [held.deployment.id.dseq for held, name in await self._holdings.all() if name == key]


def _capabilities(config: Config) -> Capabilities:
    timeout = timedelta(seconds=config.request_timeout_seconds)
    return Capabilities(
        idempotency=IdempotencyClass.B,
        list_lag=timedelta(seconds=config.list_lag_seconds),
        quarantine=timedelta(seconds=config.quarantine_seconds),
        request_timeout=timeout,
        permit_validity=timeout + timedelta(seconds=10),
        can_set_command=True,
        restarts_exited=True,
        # the escrow is only a wish: with managed deposits the market sizes and refills it itself
        has_dead_mans_switch=False,
        ending=Ending(BillEnd.BALANCE),
        offer_ttl=timedelta(minutes=15),
        not_found_grace=config.patience,
    )


def _prices(held: wire.Held) -> list[wire.Price]:
    return [lease.price for lease in held.leases] + held.escrow_account.state.transferred
