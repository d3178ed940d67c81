"""io.net CaaS: containers for prepaid whole hours.

Our key is the deployment's name, which the list gives back and a single read does not; the
deployment's id is derived from the key, but nobody promises that a second order with it is
refused (idempotency class B, with a long quarantine: a duplicate is paid for hours). `open` takes
three steps: a quote, which only reads, looks for the key first and checks the whole price; the
booking; a look at what was booked. The booked hours are the dead man's switch: they reach to the
hard deadline and are never extended here. Nothing is refunded for hours that are not used.

Settings in `ionet_config.py`, contract in `ports.Provider`.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import httpx

from overspill.core.errors import (
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
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
from overspill.providers.ionet_api import Api, Shape
from overspill.providers.ionet_config import DEFAULT_ENDPOINT, Config
from overspill.providers.ionet_observe import (
    ENDED,
    NOT_BOOKED,
    held_lease,
    observation,
    price_of,
    status_of,
)
from overspill.providers.ionet_offers import offer_of
from overspill.providers.ionet_request import IDLE_PORT, body_of, checked, no, shape_of
from overspill.providers.ionet_wire import Deployment, Hardware, Place

PROVIDER_TYPE = ProviderType.IO_NET
PRICE_TOLERANCE = Decimal("1.001")
"""The market rounds; a thousandth over the cap is no broken promise."""
SILENCE_S, FOLLOWED_S = 3.0, 3600.0
"""After which silence a log is taken as read, or given up while it is followed."""


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "IoNet":
    """The adapter of one account; opens no connection yet."""
    return IoNet(account, settings_of(Config, account, credentials, DEFAULT_ENDPOINT), clock)


class IoNet(Market[Config, Api]):
    """One io.net account: the five calls of `ports.Provider`."""

    noun = "deployment"

    def __init__(
        self,
        account: ProviderAccount,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        api = Api(account.name, config, clock, transport)
        super().__init__(account, config, clock, api, _capabilities(config))
        self._fees_percent: Decimal | None = None

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The hardware list, with the fees that a quote told."""
        kinds = await self._api.hardware()
        fees = await self._fees(kinds)
        now = self._clock.now()
        found = [offer_of(kind, self._account, fees, now) for kind in kinds]
        wanted = requirements.gpu.models if requirements else ()
        return [o for o in found if o is not None and (not wanted or o.gpu_model in wanted)]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Quotes, then books, then reads back: one of these per call."""
        handle = request.handle
        if handle is not None and handle.external_id:
            return await self._booked(request, handle)
        if handle is None or not handle.get("place"):
            return await self._quoted(request)
        shape = shape_of(request, self._config, self._clock.now())
        shape = replace(shape, hours=min(shape.hours, int(handle.get("hours"))))
        body = body_of(request, self._config, shape, int(handle.get("place")))
        made = replace(handle, external_id=await self._api.deploy(body))
        return OpenStep(made, False, message="waits for the booking")

    async def observe(self, handle: Handle) -> Observation:
        """One deployment as the market sees it now."""
        found = await self._api.deployment(handle.external_id)
        status = status_of(found)
        if status in ENDED:
            words = f"{self.name}: deployment {found.id} is over: {status}"
            raise LeaseNotFound(words, provider=self.name, billed_usd=found.amount_paid)
        workers = await self._api.workers(found.id) if status == "running" else []
        port = int(handle.get("port", str(IDLE_PORT)))
        return observation(found, workers, port, self._clock.now())

    async def close(self, handle: Handle) -> None:
        """Destroys the deployment; what was paid stays paid. By name when it has no id."""
        known = [handle.external_id] if handle.external_id else await self._ids_of(handle.key)
        for deployment in known:
            self._unseen.forget(deployment)
            await self._api.destroy(deployment)

    async def leases(self) -> Sequence[HeldLease]:
        """Every deployment of the account that is not over, with its name as key."""
        held = [held_lease(one) for one in await self._api.deployments()]
        return [one for one in held if one.is_live]

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The container's output, then its errors; followed, the output alone.

        The market gives the whole of it and has no tail; a silence ends a stream that goes on.
        """
        workers = await self._api.workers(handle.external_id) if handle.external_id else []
        if not workers:
            raise LeaseNotFound(f"{self.name}: there is no container yet", provider=self.name)
        container = workers[0].container_id
        if follow:
            async for line in self._api.log(handle.external_id, container, "stdout", FOLLOWED_S):
                yield line
            return
        for stream in ("stdout", "stderr"):
            kept: deque[bytes] = deque(maxlen=max(1, tail))
            async for line in self._api.log(handle.external_id, container, stream, SILENCE_S):
                kept.append(line)
            for line in kept:
                yield line

    async def _ids_of(self, key: str) -> list[str]:
        return [h.handle.external_id for h in await self.leases() if h.handle.key == key]

    async def _fees(self, kinds: Sequence[Hardware]) -> Decimal:
        """What a quote adds to list prices, in percent; asked once, of anything that is free."""
        if self._fees_percent is not None:
            return self._fees_percent
        for kind in kinds:
            if kind.available <= 0:
                continue
            hardware = str(kind.hardware_id)
            places = [p for p in await self._api.places(hardware, 1) if p.available_replicas > 0]
            if places:
                told = await self._api.price(Shape(hardware, 1, 1), places[0].id)
                fees = told.ionet_fee_percent + told.currency_conversion_fee_percent
                self._fees_percent = fees
                return fees
        return self._config.fee_percent

    async def _quoted(self, request: OpenRequest) -> OpenStep:
        """Reads only: is it there already, where is room, and what does all of it cost?"""
        ports = checked(request).ports
        shape = shape_of(request, self._config, self._clock.now())
        known = await self._ids_of(request.key)
        port = ("port", str(next(iter(ports), IDLE_PORT)))
        if known:
            handle = Handle(request.key, min(known), (port,))
            return OpenStep(handle, False, retry_after=timedelta(0), message="is booked already")
        place = await self._place(request, shape)
        total = (await self._api.price(shape, place.id)).total_cost_usdc
        self._check_price(request, shape, total)
        data = (("hours", str(shape.hours)), ("place", str(place.id)), port)
        return OpenStep(Handle(request.key, "", data), False, next_costs=True, message="is quoted")

    async def _place(self, request: OpenRequest, shape: Shape) -> Place:
        places = await self._api.places(shape.hardware, shape.gpus)
        region = request.offer.region
        allowed = {region} if region else {r for r in self._account.regions if len(r) == 2}
        fitting = [
            p for p in places if p.available_replicas > 0 and (not allowed or p.iso2 in allowed)
        ]
        if not fitting:
            raise NoCapacity(f"{self.name}: no place has room for it now", provider=self.name)
        return max(fitting, key=lambda place: (place.available_replicas, -place.id))

    def _check_price(self, request: OpenRequest, shape: Shape, total: Decimal) -> None:
        hourly = total / shape.hours
        if hourly > request.max_usd_per_hour * PRICE_TOLERANCE:
            raise no(request, f"it costs {hourly:.4f} USD per hour now, over the cap")
        if total > request.max_total_usd * PRICE_TOLERANCE:
            raise no(request, f"{shape.hours} hours cost {total:.4f} USD, over the lease's total")

    async def _booked(self, request: OpenRequest, handle: Handle) -> OpenStep:
        try:
            found = await self._api.deployment(handle.external_id)
        except LeaseNotFound:
            return self._unseen.waits(handle)
        self._unseen.forget(found.id)
        status = status_of(found)
        if status in ENDED:
            words = f"{self.name}: the booking came to nothing ({status})"
            raise NoCapacity(words, provider=self.name)
        wrong = _wrong(request, found)
        if wrong:
            await give_up(self._api.destroy(found.id))
            raise OfferRejected(f"{self.name}: {wrong}; it is destroyed", provider=self.name)
        price = price_of(found)
        if status in NOT_BOOKED or price is None:
            return OpenStep(handle, False, message="waits for its payment")
        return OpenStep(handle, True, price_usd_per_hour=price)


def _wrong(request: OpenRequest, found: Deployment) -> str:
    """What is not as it was offered: price, number or model of GPUs; "" when all is well."""
    price, cap = price_of(found), request.max_usd_per_hour
    if price is not None and price > cap * PRICE_TOLERANCE:
        return f"the deployment came at {price} USD per hour, over the cap of {cap}"
    if found.total_gpus is not None and found.total_gpus < request.gpu_count:
        return f"the deployment has {found.total_gpus} GPUs, {request.gpu_count} were asked for"
    name = found.hardware_name
    if name and canonical_model(name) != request.offer.gpu_model:
        return f"the deployment has a {name}, a {request.offer.gpu_model} was offered"
    return ""


def _capabilities(config: Config) -> Capabilities:
    prepaid = Ending(BillEnd.PREPAID, grain=timedelta(hours=1))
    return capabilities_of(config, IdempotencyClass.B, prepaid)
