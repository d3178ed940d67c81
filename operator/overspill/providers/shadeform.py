"""Shadeform: one API over some twenty clouds; a machine that starts one container for us.

An instance's id is our handle's external id; its name is our key, which the list gives back whole
(idempotency class B). `open` is one create, which tells nothing but the id, and one look or more:
price and GPUs are read back and enforced. Deletion ends the bill. `auto_delete`, set to the hard
deadline and the lease's money, is the dead man's switch.

Its limits: only virtual machines (containers and bare metal are not known to start one for us),
one container a machine, no logs, no balance, no exit codes, the image's entrypoint stays. The
environment, secrets included, is given back by the market to whoever holds the account's key.
Settings in `shadeform_config.py`, contract in `ports.Provider`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import httpx
from cachetools import LRUCache

from overspill.core.errors import (
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    ProviderError,
)
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd, CapacityType, ProviderType
from overspill.core.worst_case import Ending
from overspill.ports import Capabilities, Clock, IdempotencyClass, OpenRequest, OpenStep
from overspill.providers._fresh import give_up
from overspill.providers._market import Market, capabilities_of
from overspill.providers._settings import settings_of
from overspill.providers.shadeform_api import Api
from overspill.providers.shadeform_config import DEFAULT_ENDPOINT, Config
from overspill.providers.shadeform_observe import (
    ACTIVE,
    DELETED,
    ENDING,
    ERROR,
    held_lease,
    observation,
    price_of,
)
from overspill.providers.shadeform_offers import model_of, offers_of
from overspill.providers.shadeform_request import body_of
from overspill.providers.shadeform_wire import Instance

PROVIDER_TYPE = ProviderType.SHADEFORM


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Shadeform":
    """The adapter of one account; opens no connection yet."""
    config = settings_of(Config, account, credentials, DEFAULT_ENDPOINT)
    if account.capacity_type is CapacityType.SPOT:
        raise ProviderError(
            f"{account.name}: Shadeform rents no interruptible instances; set capacityType to "
            "OnDemand",
            provider=account.name,
        )
    return Shadeform(account, config, clock)


class Shadeform(Market[Config, Api]):
    """One Shadeform account: the five calls of `ports.Provider`."""

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
        self._bills: LRUCache[str, Decimal] = LRUCache(maxsize=4096)
        """The bill told while it was being deleted: later nothing is told of it any more."""

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The catalogue, per type, cloud and region."""
        now = self._clock.now()
        found: list[Offer] = []
        for kind in await self._api.types():
            found.extend(offers_of(kind, self._account, self._config, now))
        wanted = requirements.gpu.models if requirements else ()
        return [offer for offer in found if not wanted or offer.gpu_model in wanted]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Creates the instance; with a handle, reads back what was made."""
        handle = request.handle
        if handle is None or not handle.external_id:
            made = await self._api.create(body_of(request, self._config))
            handle = Handle(request.key, made)
            return OpenStep(handle, False, message="waits for its price")
        try:
            found = await self._api.instance(handle.external_id)
        except LeaseNotFound:
            return self._unseen.waits(handle)
        return await self._judged(request, handle, found)

    async def observe(self, handle: Handle) -> Observation:
        """One instance as the market sees it now."""
        found = await self._seen(handle.external_id)
        if found.status == DELETED:
            raise self._gone(found.id)
        return observation(found)

    async def close(self, handle: Handle) -> None:
        """Deletes the instance, which ends its bill; by name when it has no id."""
        known = [handle.external_id] if handle.external_id else await self._ids_of(handle.key)
        for instance in known:
            self._unseen.forget(instance)
            await self._api.delete(instance)
            await self._note_bill(instance)

    async def leases(self) -> Sequence[HeldLease]:
        """Every instance of the account that still costs, with its name as key."""
        held = [held_lease(one) for one in await self._api.instances()]
        return [one for one in held if one.is_live]

    async def _ids_of(self, key: str) -> list[str]:
        return [h.handle.external_id for h in await self.leases() if h.handle.key == key]

    async def _seen(self, instance: str) -> Instance:
        try:
            found = await self._api.instance(instance)
        except LeaseNotFound:
            raise self._gone(instance) from None
        if found.status in ENDING and found.cost_estimate is not None:
            self._bills[found.id] = found.cost_estimate
        return found

    async def _note_bill(self, instance: str) -> None:
        """While it is being deleted its last bill can still be read; without it we go by time."""
        try:
            await self._seen(instance)
        except ProviderError:
            return

    def _gone(self, instance: str) -> LeaseNotFound:
        words = f"{self.name}: instance {instance or '(unknown)'} is gone"
        return LeaseNotFound(words, provider=self.name, billed_usd=self._bills.get(instance))

    async def _judged(self, request: OpenRequest, handle: Handle, found: Instance) -> OpenStep:
        self._unseen.forget(found.id)
        if found.status in ENDING:
            raise NoCapacity(f"{self.name}: the market ended {found.id}", provider=self.name)
        if found.status == ERROR:
            await give_up(self._api.delete(found.id))
            words = f"{self.name}: the machine could not be made; it is deleted"
            raise NoCapacity(words, provider=self.name)
        wrong = _wrong(request, found)
        if wrong:
            await give_up(self._api.delete(found.id))
            raise OfferRejected(f"{self.name}: {wrong}; it is deleted", provider=self.name)
        price = price_of(found)
        if price is None and found.status != ACTIVE:
            return OpenStep(handle, False, message="waits for its price")
        return OpenStep(handle, True, price_usd_per_hour=price or request.offer.price_usd_per_hour)


def _wrong(request: OpenRequest, found: Instance) -> str:
    """What is not as it was offered: price, number or model of GPUs; "" when all is well."""
    price, cap, hardware = price_of(found), request.max_usd_per_hour, found.configuration
    if price is not None and price > cap:
        return f"the instance came at {price} USD per hour, over the cap of {cap}"
    if hardware is None:
        return ""
    if hardware.num_gpus < request.gpu_count:
        return f"the instance has {hardware.num_gpus} GPUs, {request.gpu_count} were asked for"
    if model_of(hardware) != request.offer.gpu_model:
        return f"the instance has a {hardware.gpu_type}, a {request.offer.gpu_model} was offered"
    return ""


def _capabilities(config: Config) -> Capabilities:
    slack = timedelta(seconds=config.auto_delete_slack_seconds)
    return capabilities_of(
        config, IdempotencyClass.B, Ending(BillEnd.DEADLINE, slack=slack), lists_whole=True
    )
