"""Dispersed (the Render network's compute): container jobs by a signed REST API. Experimental.

Built from documentation and official examples alone; neither a specification nor a client of its
makers is public, so it is off until `config.experimental` says otherwise. A job's title is our
key, which the list gives back (idempotency class B). `open` is one create: a BATCH job, whose
longest run ends it at the hard deadline without us. Prices come from the settings, as the API is
not known to tell any; the machine that a run really got is read back, so that a bigger or dearer
one is seen and closed. Exit codes are not told: batch jobs need a report URL.

Settings in `dispersed_config.py`, contract in `ports.Provider`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import httpx
from pydantic import SecretStr

from overspill.core.errors import AuthRejected, LeaseNotFound, NoCapacity, ProviderError
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd, ProviderType
from overspill.core.worst_case import Ending
from overspill.ports import Capabilities, Clock, IdempotencyClass, OpenRequest, OpenStep
from overspill.providers._market import Market, capabilities_of
from overspill.providers._settings import settings_of
from overspill.providers.dispersed_api import Api
from overspill.providers.dispersed_config import DEFAULT_ENDPOINT, SECRET, Config
from overspill.providers.dispersed_logs import lines
from overspill.providers.dispersed_observe import (
    COMPLETED,
    ENDED,
    billed_usd,
    held_lease,
    observation,
    offer_of,
)
from overspill.providers.dispersed_request import body_of, no

PROVIDER_TYPE = ProviderType.DISPERSED


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Dispersed":
    """The adapter of one account; opens no connection yet."""
    config, secret = settings(account, credentials)
    return Dispersed(account, config, secret, clock)


def settings(account: ProviderAccount, credentials: Mapping[str, str]) -> tuple[Config, SecretStr]:
    """The settings and the signing key. Raises ProviderError where the experiment is not wanted."""
    config = settings_of(Config, account, credentials, DEFAULT_ENDPOINT)
    if not config.experimental:
        raise ProviderError(
            f"{account.name}: Dispersed is experimental, built from documentation alone and never "
            'run against a real account; set config.experimental to "true" to use it all the same',
            provider=account.name,
        )
    secret = credentials.get(SECRET, "").strip()
    if not secret:
        raise AuthRejected(
            f"{account.name}: the credentials Secret has no value under {SECRET!r}",
            provider=account.name,
        )
    return config, SecretStr(secret)


class Dispersed(Market[Config, Api]):
    """One Dispersed account: the five calls of `ports.Provider`, and logs."""

    noun = "job"

    def __init__(
        self,
        account: ProviderAccount,
        config: Config,
        secret: SecretStr,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        api = Api(account.name, config, secret, clock, transport)
        super().__init__(account, config, clock, api, _capabilities(config))

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The kinds of the registry that have a price in the settings."""
        now = self._clock.now()
        kinds = await self._api.gpus()
        found = [offer_of(gpu, self._account, self._config, now) for gpu in kinds]
        wanted = requirements.gpu.models if requirements else ()
        return [o for o in found if o is not None and (not wanted or o.gpu_model in wanted)]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Creates the job; with a handle, looks whether it is there."""
        handle = request.handle
        if handle is not None and handle.external_id:
            return await self._found(request, handle)
        price = self._config.prices_usd.get(request.offer.gpu_model)
        if price is None or price * request.gpu_count > request.max_usd_per_hour:
            raise no(request, "its price by config.pricesUsd is unknown or over the cap now")
        job = await self._api.create(body_of(request, self._config, self._clock.now()))
        return self._complete(request, Handle(request.key, job.uuid))

    async def observe(self, handle: Handle) -> Observation:
        """One job and the machine it really got."""
        job = await self._api.job(handle.external_id)
        run = None if job.status == "PENDING" else await self._api.run(job.uuid)
        prices, now = self._config.prices_usd, self._clock.now()
        if job.status in ENDED and job.status != COMPLETED:
            words = f"{self.name}: job {job.uuid} is over: {job.status}"
            billed = billed_usd(job, run, prices, now)
            raise LeaseNotFound(words, provider=self.name, billed_usd=billed)
        return observation(job, run, prices, now)

    async def close(self, handle: Handle) -> None:
        """Cancels the job; by title when it has no id. What is over already is left alone."""
        if not handle.external_id:
            for held in await self.leases():
                if held.handle.key == handle.key:
                    await self._cancel(held.handle.external_id)
            return
        try:
            job = await self._api.job(handle.external_id)
        except LeaseNotFound:
            return
        if job.status not in ENDED:
            await self._cancel(job.uuid)

    async def leases(self) -> Sequence[HeldLease]:
        """Every job of the account that is not over, with its title as key."""
        held = [held_lease(job) for job in await self._api.jobs()]
        return [one for one in held if one.is_live]

    def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The container's output, also of a job that is over."""
        return lines(self._api, self._clock, handle.external_id, follow=follow, tail=tail)

    async def _cancel(self, job: str) -> None:
        self._unseen.forget(job)
        await self._api.cancel(job)

    async def _found(self, request: OpenRequest, handle: Handle) -> OpenStep:
        try:
            job = await self._api.job(handle.external_id)
        except LeaseNotFound:
            return self._unseen.waits(handle)
        self._unseen.forget(job.uuid)
        if job.status in ENDED:
            words = f"{self.name}: the market ended job {job.uuid} ({job.status})"
            raise NoCapacity(words, provider=self.name)
        return self._complete(request, handle)

    def _complete(self, request: OpenRequest, handle: Handle) -> OpenStep:
        """It bills from its creation; until a machine is read back, at the price we know."""
        unit = self._config.prices_usd.get(request.offer.gpu_model)
        price = unit * request.gpu_count if unit is not None else request.max_usd_per_hour
        return OpenStep(handle, True, price_usd_per_hour=price)


def _capabilities(config: Config) -> Capabilities:
    ending = Ending(
        BillEnd.DEADLINE,
        # it bills from the creation on, and its longest run begins with the start
        slack=timedelta(seconds=config.assign_timeout_seconds + config.start_timeout_seconds),
        grain=timedelta(hours=1),
    )
    return capabilities_of(config, IdempotencyClass.B, ending, can_set_command=False)
