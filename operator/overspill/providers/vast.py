"""Vast.ai: containers on other people's machines, rented from a list of asks.

The market's words: an *ask* is an offer of so many GPUs of one machine; taking it makes an
*instance* (its id is our handle's external id) and consumes the ask, so the same ask cannot be
rented twice. Our key is the instance's label, which the list filters by (idempotency class B).

`open` takes two steps: rent the ask (costs), then read back price and GPUs. Destroying the
instance ends the bill; a stopped one still pays for its disk, so we never stop any. The price
holds the storage. A host's contract end is the offer's `available_until`. No exit code is told
and nothing promises that an exited container stays ended: a batch job needs reports, which is
what `restarts_exited` asks for. Settings in `vast_config.py`, contract in `ports.Provider`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import httpx

from overspill.core.errors import (
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
)
from overspill.core.gpus import canonical_model
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd, ProviderType
from overspill.core.worst_case import Ending
from overspill.ports import Capabilities, Clock, IdempotencyClass, OpenRequest, OpenStep
from overspill.providers._fresh import give_up
from overspill.providers._market import Market, capabilities_of
from overspill.providers._settings import settings_of
from overspill.providers.vast_api import Api, MadeAnyway
from overspill.providers.vast_config import DEFAULT_ENDPOINT, Config
from overspill.providers.vast_logs import fetched
from overspill.providers.vast_observe import held_lease, observation
from overspill.providers.vast_offers import offer_of, query
from overspill.providers.vast_request import body_of
from overspill.providers.vast_wire import Instance

PROVIDER_TYPE = ProviderType.VAST
PRICE_TOLERANCE = Decimal("1.001")
"""The market rounds; a thousandth over the cap is no broken promise."""


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Vast":
    """The adapter of one account; opens no connection yet."""
    return Vast(account, settings_of(Config, account, credentials, DEFAULT_ENDPOINT), clock)


class Vast(Market[Config, Api]):
    """One Vast.ai account: the five calls of `ports.Provider`, and the balance."""

    noun = "instance"

    def __init__(
        self,
        account: ProviderAccount,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        api = Api(account.name, config, clock, transport)
        super().__init__(account, config, clock, api, _capabilities(config))

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The asks that can be rented now, cheapest first."""
        now = self._clock.now()
        asks = await self._api.search(query(self._config, self._account, requirements))
        whole = [ask for ask in asks if ask.gpu_arch == "nvidia"]
        offers = [offer_of(ask, self._account, self._config, now) for ask in whole]
        wanted = requirements.gpu.models if requirements else ()
        return [offer for offer in offers if not wanted or offer.gpu_model in wanted]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Rents the ask; with a handle, reads back what was made."""
        handle = request.handle
        if handle is None or not handle.external_id:
            return await self._rent(request)
        return await self._confirm(request, handle)

    async def observe(self, handle: Handle) -> Observation:
        """One instance as the market sees it now."""
        if not handle.external_id:
            raise LeaseNotFound(f"{self.name}: no instance is known yet", provider=self.name)
        return observation(await self._api.instance(handle.external_id))

    async def close(self, handle: Handle) -> None:
        """Destroys the instance, which ends bill and disk; by label when it has no id."""
        known = [handle.external_id] if handle.external_id else await self._ids_of(handle.key)
        for contract in known:
            self._unseen.forget(contract)
            await self._api.destroy(contract)

    async def leases(self) -> Sequence[HeldLease]:
        """Every instance of the account, in any state, with its label as key."""
        return [held_lease(instance) for instance in await self._api.instances()]

    async def balance_usd(self) -> Decimal:
        """The account's credit."""
        return await self._api.balance_usd()

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The container's output so far; the market has no stream that could be followed."""
        address = await self._api.log_address(handle.external_id, tail)
        async for line in fetched(self.name, address, self._config.endpoint, self._clock):
            yield line

    async def _ids_of(self, key: str) -> list[str]:
        found = await self._api.instances(label=key)
        return [str(instance.id) for instance in found if instance.label == key]

    async def _rent(self, request: OpenRequest) -> OpenStep:
        body = body_of(request)
        try:
            contract = await self._api.take(int(request.offer.offer_id), body)
        except MadeAnyway as made:
            raise await self._undone(made) from None
        handle = Handle(request.key, str(contract))
        return OpenStep(handle, False, retry_after=timedelta(seconds=1), message="rented")

    async def _undone(self, made: MadeAnyway) -> ProviderError:
        """The refusal, once its leftover is destroyed; else nobody knows how it stands."""
        try:
            await self._api.destroy(made.contract)
        except ProviderError:
            return OpenUncertain(f"{made}, which could not be destroyed", provider=self.name)
        return NoCapacity(f"{made}, which was destroyed", provider=self.name)

    async def _confirm(self, request: OpenRequest, handle: Handle) -> OpenStep:
        try:
            instance = await self._api.instance(handle.external_id)
        except LeaseNotFound:
            return self._unseen.waits(handle)
        self._unseen.forget(handle.external_id)
        wrong = _wrong(request, instance)
        if wrong:
            await give_up(self._api.destroy(handle.external_id))
            raise OfferRejected(f"{self.name}: {wrong}; it is destroyed", provider=self.name)
        if instance.dph_total is None:
            return OpenStep(handle, False, message="waits for its price")
        data = (("machine", str(instance.machine_id or "")),)
        return OpenStep(replace(handle, data=data), True, price_usd_per_hour=instance.dph_total)


def _wrong(request: OpenRequest, instance: Instance) -> str:
    """What is not as it was offered: price, number or model of GPUs; "" when all is well."""
    price, cap = instance.dph_total, request.max_usd_per_hour
    if price is not None and price > cap * PRICE_TOLERANCE:
        return f"the instance came at {price} USD per hour, over the cap of {cap}"
    if instance.num_gpus is not None and instance.num_gpus < request.gpu_count:
        return f"the instance has {instance.num_gpus} GPUs, {request.gpu_count} were asked for"
    memory = instance.gpu_ram / 1024 if instance.gpu_ram else None
    model = canonical_model(instance.gpu_name, memory) if instance.gpu_name else ""
    if model and model != request.offer.gpu_model:
        return f"the instance has a {model}, a {request.offer.gpu_model} was offered"
    return ""


def _capabilities(config: Config) -> Capabilities:
    return capabilities_of(config, IdempotencyClass.B, Ending(BillEnd.BALANCE), lists_whole=True)
