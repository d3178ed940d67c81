"""RunPod through its REST API v2: pods in its own data centres or on community machines.

A pod's id is our handle's external id; its name is our key, which the list gives back but cannot
be filtered by (idempotency class B). `open` is one create, and one more look where the answer
did not tell the price yet; price and GPUs are read back and enforced. Terminating the pod ends
the bill. Capacity is refused in prose (400), a pool of others with 403.

Its limits: no interruptible pods in this API, no exit codes (an ended command is started again:
dstack issue 1142), the image's entrypoint stays (`runpod_request.py`), HTTP ports behind a proxy
that waits 100 s. The list has pages that the published file does not know. Settings in
`runpod_config.py`, contract in `ports.Provider`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import httpx

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
from overspill.providers.runpod_api import Api
from overspill.providers.runpod_config import DEFAULT_ENDPOINT, Config
from overspill.providers.runpod_observe import TERMINATED, held_lease, observation
from overspill.providers.runpod_offers import model_of, offers_of
from overspill.providers.runpod_request import body_of
from overspill.providers.runpod_wire import Pod

PROVIDER_TYPE = ProviderType.RUNPOD
SILENCE_S = 3.0
FOLLOWED_S = 3600.0
PRICE_TOLERANCE = Decimal("1.001")
"""The market rounds; a thousandth over the cap is no broken promise."""


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "RunPod":
    """The adapter of one account; opens no connection yet."""
    config = settings_of(Config, account, credentials, DEFAULT_ENDPOINT)
    if account.capacity_type is CapacityType.SPOT:
        raise ProviderError(
            f"{account.name}: RunPod's API v2 rents no interruptible pods; set capacityType "
            "to OnDemand",
            provider=account.name,
        )
    return RunPod(account, config, clock)


class RunPod(Market[Config, Api]):
    """One RunPod account: the five calls of `ports.Provider`."""

    noun = "pod"

    def __init__(
        self,
        account: ProviderAccount,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        api = Api(account.name, config, clock, transport)
        super().__init__(account, config, clock, api, _capabilities(config))
        self._countries = tuple(r for r in account.regions if len(r) == 2 and r.isupper())

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The catalogue at list prices, per GPU type, cloud and country."""
        now = self._clock.now()
        found: list[Offer] = []
        for cloud in self._config.clouds:
            for gpu in await self._api.gpu_types(cloud, self._countries):
                found.extend(offers_of(gpu, cloud, self._account, self._config, now))
        wanted = requirements.gpu.models if requirements else ()
        return [offer for offer in found if not wanted or offer.gpu_model in wanted]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Creates the pod; with a handle, reads back what was made."""
        handle = request.handle
        if handle is None or not handle.external_id:
            pod = await self._api.create(body_of(request, self._config))
            return await self._judged(request, Handle(request.key, pod.id), pod)
        try:
            pod = await self._api.pod(handle.external_id)
        except LeaseNotFound:
            return self._unseen.waits(handle)
        return await self._judged(request, handle, pod)

    async def observe(self, handle: Handle) -> Observation:
        """One pod as the market sees it now."""
        pod = await self._api.pod(handle.external_id)
        if pod.status == TERMINATED:
            raise LeaseNotFound(f"{self.name}: pod {pod.id} is terminated", provider=self.name)
        return observation(pod, self._config.proxy_domain)

    async def close(self, handle: Handle) -> None:
        """Terminates the pod, which ends bill and disk; by name when it has no id."""
        known = [handle.external_id] if handle.external_id else await self._ids_of(handle.key)
        for pod in known:
            self._unseen.forget(pod)
            await self._api.terminate(pod)

    async def leases(self) -> Sequence[HeldLease]:
        """Every pod of the account that is not terminated, with its name as key."""
        pods = await self._api.pods()
        domain = self._config.proxy_domain
        return [held_lease(pod, domain) for pod in pods if pod.status != TERMINATED]

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The container's output. The stream never ends by itself: a silence ends it."""
        idle_s = FOLLOWED_S if follow else SILENCE_S
        async for line in self._api.log(handle.external_id, tail, idle_s):
            yield line

    async def _ids_of(self, key: str) -> list[str]:
        pods = await self._api.pods()
        return [pod.id for pod in pods if pod.name == key and pod.status != TERMINATED]

    async def _judged(self, request: OpenRequest, handle: Handle, pod: Pod) -> OpenStep:
        self._unseen.forget(pod.id)
        if pod.status == TERMINATED:
            raise NoCapacity(f"{self.name}: the market ended pod {pod.id}", provider=self.name)
        wrong = _wrong(request, pod)
        if wrong:
            await give_up(self._api.terminate(pod.id))
            raise OfferRejected(f"{self.name}: {wrong}; it is terminated", provider=self.name)
        if not pod.cost:
            return OpenStep(handle, False, message="waits for its price")
        data = (("dataCenter", pod.data_center or ""),)
        return OpenStep(replace(handle, data=data), True, price_usd_per_hour=pod.cost)


def _wrong(request: OpenRequest, pod: Pod) -> str:
    """What is not as it was offered: price, number or model of GPUs; "" when all is well."""
    cap = request.max_usd_per_hour
    if pod.cost is not None and pod.cost > cap * PRICE_TOLERANCE:
        return f"the pod came at {pod.cost} USD per hour, over the cap of {cap}"
    if pod.gpu is None:
        return ""
    if pod.gpu.count < request.gpu_count:
        return f"the pod has {pod.gpu.count} GPUs, {request.gpu_count} were asked for"
    if model_of(pod.gpu.id, request.offer.gpu_memory_gib) != request.offer.gpu_model:
        return f"the pod has a {pod.gpu.id}, a {request.offer.gpu_model} was offered"
    return ""


def _capabilities(config: Config) -> Capabilities:
    return capabilities_of(config, IdempotencyClass.B, Ending(BillEnd.BALANCE), lists_whole=True)
