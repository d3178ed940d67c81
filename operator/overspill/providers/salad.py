"""SaladCloud: container groups of one instance, on people's own machines or in data centres.

Our key is the group's name, which is unique in the project and never to be had again, not even
after a delete: a repeated create is refused, and a look by name tells whether it is ours
(idempotency class A). `open` reads the price and sends one create. Deleting the group ends the
bill; only running instances are billed.

Its limits: a group tells its class, not its price nor its GPU, so the price is the catalogue's and
the GPU is what the runner reports. A machine that leaves is replaced silently. An end is told
without an exit code. The list of groups has no pages. There is no dead man's switch and no
balance. Settings in `salad_config.py`, contract in `ports.Provider`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal

import httpx
from cachetools import LRUCache

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    OfferRejected,
    ProviderError,
    Unavailable,
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
from overspill.providers.salad_api import Api
from overspill.providers.salad_config import DEFAULT_ENDPOINT, Config
from overspill.providers.salad_logs import followed, last_lines
from overspill.providers.salad_observe import held_lease, observation, runs
from overspill.providers.salad_offers import countries_of, model_of, offer_of
from overspill.providers.salad_request import body_of, no
from overspill.providers.salad_wire import GpuClass, Group

PROVIDER_TYPE = ProviderType.SALAD


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Salad":
    """The adapter of one account; opens no connection yet."""
    config = settings_of(Config, account, credentials, DEFAULT_ENDPOINT)
    if config.priority != "high" and account.capacity_type is CapacityType.ON_DEMAND:
        raise ProviderError(
            f"{account.name}: priority {config.priority} gives way to others' work; set "
            "capacityType to Spot or Community for it",
            provider=account.name,
        )
    return Salad(account, config, clock)


class Salad(Market[Config, Api]):
    """One SaladCloud project: the five calls of `ports.Provider`."""

    noun = "group"

    def __init__(
        self,
        account: ProviderAccount,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        api = Api(account.name, config, clock, transport)
        super().__init__(account, config, clock, api, _capabilities(config))
        self._countries = countries_of(account)
        self._classes: dict[str, GpuClass] = {}
        self._read_at = float("-inf")
        self._free: dict[str, tuple[float, int | None]] = {}
        """Of each class: when it was last asked for free machines, and how many there were."""
        self._machines: LRUCache[str, str] = LRUCache(maxsize=4096)
        """Where each group was last seen running."""

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The classes at their price; what is free of them is asked of a few at a time."""
        await self._read_classes()
        wanted = requirements.gpu.models if requirements else ()
        classes = [c for c in self._classes.values() if not wanted or model_of(c) in wanted]
        await self._ask_free([c.id for c in classes if c.usd_per_hour(self._config.priority)])
        now, found = self._clock.now(), []
        for gpu in classes:
            _, free = self._free.get(gpu.id, (0.0, None))
            found.append(offer_of(gpu, self._account, self._config, now, free))
        return [offer for offer in found if offer is not None]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Reads the price and creates the group; with a handle, looks at what was made."""
        if request.handle is not None and request.handle.external_id:
            return await self._adopted(request, request.handle)
        body = body_of(request, self._countries)
        await self._check_price(request)
        try:
            group = await self._api.create(body)
        except (OfferRejected, InsufficientFunds) as refused:
            group = await self._made_before(request.key, refused)
        return await self._judged(request, group)

    async def observe(self, handle: Handle) -> Observation:
        """One group as the market sees it now, and the machine that runs it."""
        name = handle.external_id or handle.key
        group = await self._api.group(name)
        price, model = await self._facts(group)
        if not runs(group):
            return observation(group, price, model)
        running = [i for i in await self._api.instances(name) if i.state == "running"]
        machine = running[0].machine_id if running else ""
        before = self._machines.get(name, machine)
        if machine:
            self._machines[name] = machine
        moved = bool(machine) and before != machine
        return observation(group, price, model, machine=machine, moved=moved)

    async def close(self, handle: Handle) -> None:
        """Deletes the group, which ends its instance and the bill."""
        await self._api.delete(handle.external_id or handle.key)

    async def leases(self) -> Sequence[HeldLease]:
        """Every group of the project, its name as key."""
        groups = await self._api.groups()
        return [held_lease(group, *await self._facts(group)) for group in groups]

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The container's output as the market stored it; followed until the group is gone."""
        name = handle.external_id or handle.key
        group = await self._api.group(name)
        lines = await last_lines(self._api, group, self._clock.now(), tail)
        for line in lines:
            yield line.text
        if follow:
            async for text in followed(self._api, group, lines, self._clock):
                yield text

    async def _read_classes(self) -> None:
        self._classes = {gpu.id: gpu for gpu in await self._api.gpu_classes()}
        self._read_at = self._clock.monotonic()

    async def _ask_free(self, classes: Sequence[str]) -> None:
        """Those that were asked longest ago; a failure leaves what was known."""
        self._free = {gpu: told for gpu, told in self._free.items() if gpu in self._classes}
        due = sorted(classes, key=lambda gpu: self._free.get(gpu, (float("-inf"), None))[0])
        for gpu in due[: self._config.availability_checks]:
            try:
                told = await self._api.availability(gpu, self._countries)
            except Unavailable:
                return
            self._free[gpu] = (self._clock.monotonic(), told.at(self._config.priority))

    async def _check_price(self, request: OpenRequest) -> None:
        """Nothing tells the price of a group later, so the catalogue is read right before."""
        await self._read_classes()
        gpu = self._classes.get(request.offer.attribute("class"))
        price = gpu.usd_per_hour(request.offer.attribute("priority")) if gpu else None
        if price is None:
            raise no(request, "the class is not sold at this priority any more")
        if price > request.max_usd_per_hour:
            raise no(request, f"it costs {price} USD per hour now, over the cap")

    async def _made_before(self, key: str, refused: ProviderError) -> Group:
        """A refusal does not say whether the name was the reason: an earlier send may be ours."""
        try:
            return await self._api.group(key)
        except LeaseNotFound:
            raise refused from None

    async def _adopted(self, request: OpenRequest, handle: Handle) -> OpenStep:
        """It was in the list; one that stays unreadable was deleted since."""
        try:
            group = await self._api.group(handle.external_id)
        except LeaseNotFound:
            return self._unseen.waits(handle)
        return await self._judged(request, group)

    async def _judged(self, request: OpenRequest, group: Group) -> OpenStep:
        classes = group.container.resources.gpu_classes or []
        wanted, priority = request.offer.attribute("class"), request.offer.attribute("priority")
        if classes != [wanted] or group.priority != priority:
            await give_up(self._api.delete(group.name))
            words = "the group is of another class or priority; it is deleted"
            raise OfferRejected(f"{self.name}: {words}", provider=self.name)
        price, _ = await self._facts(group)
        known = request.offer.price_usd_per_hour if price is None else price
        return OpenStep(Handle(request.key, group.name), True, price_usd_per_hour=known)

    async def _facts(self, group: Group) -> tuple[Decimal | None, str]:
        """Price and model of a group, by the catalogue of the last minute."""
        age = self._clock.monotonic() - self._read_at
        if age > self._config.offers_every_seconds:
            await self._read_classes()
        classes = group.container.resources.gpu_classes or []
        gpu = self._classes.get(classes[0]) if len(classes) == 1 else None
        if gpu is None or group.priority is None:
            return None, ""
        return gpu.usd_per_hour(group.priority), model_of(gpu)


def _capabilities(config: Config) -> Capabilities:
    # It moves what exits or loses its machine, and tells no exit code.
    return capabilities_of(config, IdempotencyClass.A, Ending(BillEnd.BALANCE))
