"""Lium (Bittensor subnet 51): containers on nodes of many owners, billed by the second.

A pod's id is our handle's external id; its name is our key, and so is the `Idempotency-Key` of its
rent: a repeat within a day is answered with the first one's outcome (class A; without such a market
`config.idempotencyKeys: "false"` makes it class B). `open` takes three steps: a private template of
the lease's name, which is free; the rent; a look at what was rented, whose price and GPUs are
enforced. `termination_hours` goes with the rent and is read back: the dead man's switch. Removing
the pod ends the bill.

Its limits: hosts restart what exits and tell no exit code; every pod gets an SSH server, for which
the host installs one into images that have none. Settings in `lium_config.py`, contract in
`ports.Provider`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import httpx

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    RateLimited,
    Unavailable,
)
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
from overspill.providers.lium_api import Api
from overspill.providers.lium_config import DEFAULT_ENDPOINT, Config
from overspill.providers.lium_observe import NEVER_BEGAN, OVER, gpu_of, held_lease, observation
from overspill.providers.lium_offers import offer_of
from overspill.providers.lium_request import emptied, no, rent_of, template_of
from overspill.providers.lium_wire import Pod

PROVIDER_TYPE = ProviderType.LIUM
IDEMPOTENT = "rent_idempotency"
"""The word of a market that honours keys."""
PRICE_TOLERANCE = Decimal("1.001")
"""The market rounds; a thousandth over the cap is no broken promise."""
BOOT = timedelta(minutes=30)
"""The hours begin when the pod has booted; one that takes longer is given up before."""
HOUR = timedelta(hours=1)
SILENCE_S, FOLLOWED_S = 5.0, 3600.0
"""After which silence a log is taken as read, or given up while it is followed."""


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Lium":
    """The adapter of one account; opens no connection yet."""
    return Lium(account, settings_of(Config, account, credentials, DEFAULT_ENDPOINT), clock)


class Lium(Market[Config, Api]):
    """One Lium account: the five calls of `ports.Provider`, its balance and its logs."""

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

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """Every node, at its owner's price."""
        nodes = await self._api.nodes(reliable_only=self._config.reliable_only)
        now = self._clock.now()
        found = [offer_of(node, self._account, self._config, now) for node in nodes]
        wanted = requirements.gpu.models if requirements else ()
        return [o for o in found if o is not None and (not wanted or o.gpu_model in wanted)]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Prepares, then rents, then reads back: one of these per call."""
        handle = request.handle
        if handle is not None and handle.external_id:
            return await self._rented(request, handle)
        if handle is None or not handle.get("template"):
            return await self._prepared(request)
        template = handle.get("template")
        body = rent_of(request, template, self._config)
        try:
            pod = await self._api.rent(request.offer.attribute("node"), body, request.key)
        except (InsufficientFunds, NoCapacity, OfferRejected):
            pod = await self._rented_before(request.key)
            if not pod:
                await self._empty(request, template)
                raise
        made = Handle(request.key, pod, handle.data)
        return OpenStep(made, False, message="waits for the pod to be listed")

    async def observe(self, handle: Handle) -> Observation:
        """One pod as the market sees it now."""
        pod = await self._api.pod(handle.external_id)
        if pod.status.upper() in OVER:
            raise LeaseNotFound(f"{self.name}: pod {pod.id} is removed", provider=self.name)
        return observation(pod)

    async def close(self, handle: Handle) -> None:
        """Removes the pod, which ends the bill; by name when it has no id."""
        known = [handle.external_id] if handle.external_id else await self._ids_of(handle.key)
        for pod in known:
            self._unseen.forget(pod)
            await self._api.remove(pod)

    async def leases(self) -> Sequence[HeldLease]:
        """Every pod of the account, with its name as key."""
        held = [held_lease(pod) for pod in await self._api.pods()]
        return [one for one in held if one.is_live]

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The container's output."""
        idle_s = FOLLOWED_S if follow else SILENCE_S
        async for line in self._api.log(handle.external_id, tail, follow=follow, idle_s=idle_s):
            yield line

    async def balance_usd(self) -> Decimal:
        """Money left in the account."""
        return (await self._api.user()).balance

    async def _ids_of(self, key: str) -> list[str]:
        return [h.handle.external_id for h in await self.leases() if h.handle.key == key]

    async def _prepared(self, request: OpenRequest) -> OpenStep:
        """Spends nothing: is the market one with keys, is the pod there, is the template?"""
        body = template_of(request)
        if self._config.idempotency_keys and IDEMPOTENT not in await self._api.features():
            why = "it does not honour idempotency keys now (config.idempotencyKeys)"
            raise no(request, why)
        known = await self._ids_of(request.key)
        if known:
            handle = Handle(request.key, min(known))
            return OpenStep(handle, False, retry_after=timedelta(0), message="is rented already")
        ours = [
            template.id
            for template in await self._api.templates()
            # anybody may publish a template of any name: only a private one is ours
            if template.name == request.key and template.is_private
        ]
        try:
            template = min(ours) if ours else (await self._api.make_template(body)).id
        except Unavailable:
            return OpenStep(Handle(request.key), False, message="looks for its template again")
        handle = Handle(request.key, "", (("template", template),))
        return OpenStep(handle, False, next_costs=True, message="has its template")

    async def _rented_before(self, key: str) -> str:
        """A refusal of a repeat says nothing of the first send: its pod may be there."""
        return min(await self._ids_of(key), default="")

    async def _rented(self, request: OpenRequest, handle: Handle) -> OpenStep:
        # the list is known to tell price and end; of a single read nobody says so
        listed = [pod for pod in await self._api.pods() if pod.id == handle.external_id]
        if not listed:
            return self._unseen.waits(handle)
        pod = listed[0]
        self._unseen.forget(pod.id)
        if pod.status.upper() in NEVER_BEGAN | OVER:
            await give_up(self._api.remove(pod.id))
            words = f"{self.name}: the market gave pod {pod.id} up ({pod.status})"
            raise NoCapacity(words, provider=self.name)
        wrong = _wrong(request, pod)
        if wrong:
            await give_up(self._api.remove(pod.id))
            raise OfferRejected(f"{self.name}: {wrong}; it is removed", provider=self.name)
        if pod.price is None:
            return OpenStep(handle, False, message="waits for its price")
        await self._make_sure_it_ends(request, pod)
        return OpenStep(handle, True, price_usd_per_hour=pod.price)

    async def _make_sure_it_ends(self, request: OpenRequest, pod: Pod) -> None:
        """The hours sent with the rent are a wish until they are read back."""
        latest, end = request.hard_deadline + HOUR + BOOT, pod.removal_scheduled_at
        if end is None or end > latest:
            await self._api.schedule_removal(pod.id, request.hard_deadline)

    async def _empty(self, request: OpenRequest, template: str) -> None:
        """A template that is never used stays: the workload's secrets must not."""
        try:
            await self._api.empty_template(template, emptied(template_of(request)))
        except (LeaseNotFound, RateLimited, Unavailable):
            return


def _wrong(request: OpenRequest, pod: Pod) -> str:
    """What is not as it was offered: price, number or model of GPUs; "" when all is well."""
    cap, model = request.max_usd_per_hour, gpu_of(pod)
    if pod.price is not None and pod.price > cap * PRICE_TOLERANCE:
        return f"the pod came at {pod.price} USD per hour, over the cap of {cap}"
    if pod.gpu_count is not None and pod.gpu_count < request.gpu_count:
        return f"the pod has {pod.gpu_count} GPUs, {request.gpu_count} were asked for"
    if model and model != request.offer.gpu_model:
        return f"the pod has a {model}, a {request.offer.gpu_model} was offered"
    return ""


def _capabilities(config: Config) -> Capabilities:
    klass = IdempotencyClass.A if config.idempotency_keys else IdempotencyClass.B
    # whole hours, which begin when the pod has booted
    ending = Ending(BillEnd.DEADLINE, slack=HOUR + BOOT)
    return capabilities_of(
        config, klass, ending, lists_whole=True, least_grace=timedelta(seconds=20)
    )
