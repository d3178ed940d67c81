"""The output of an Akash lease: the console gives a token, the provider's gateway the log.

The token reads the log of this one lease at this one provider and nothing else, and lives for two
minutes: a provider that keeps it has what it has anyway. The pod's present container is all that a
provider can show; the output of a lease that is over is gone. Called by `akash.py`.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import quote

from overspill.core.errors import LeaseNotFound, Unavailable
from overspill.core.lease import Handle
from overspill.ports import Clock
from overspill.providers._http import Call, Limits, MarketHttp, Target, is_local
from overspill.providers.akash_api import Api
from overspill.providers.akash_config import Config
from overspill.providers.akash_gateway import Gateway
from overspill.providers.akash_observe import live_lease
from overspill.providers.akash_sdl import SERVICE
from overspill.providers.akash_wire import LeaseId
from overspill.providers.akash_wire_logs import Certificates, HostDetail, TokenAnswer

TOKEN_S = 120
SILENCE_S, FOLLOWED_S = 10.0, 3600.0
LONGEST_S = 600.0
"""For a log that is not followed: who sends but a line now and then is left after so long."""


class Logs:
    """Reads logs for one account."""

    def __init__(self, api: Api, config: Config, clock: Clock) -> None:
        self._api, self._config, self._clock = api, config, clock

    async def lines(
        self, handle: Handle, *, follow: bool, tail: int
    ) -> AsyncGenerator[bytes, None]:
        """Lines of the one service that we run, oldest first, no more than `tail` of old ones."""
        lease = await self._lease(handle)
        gateway = await self._gateway(lease)
        query = {"follow": str(follow).lower(), "tail": str(tail), "service": SERVICE}
        path = f"/lease/{lease.dseq}/{lease.gseq}/{lease.oseq}/logs"
        taken, until = 0, self._clock.monotonic() + LONGEST_S
        async with aclosing(
            gateway.lines(path, query, FOLLOWED_S if follow else SILENCE_S)
        ) as found:
            async for line in found:
                if not follow and taken == tail:
                    return  # more than was asked for
                if not follow and self._clock.monotonic() > until:
                    raise Unavailable(
                        f"{self._api.name}: the provider takes too long to send the log",
                        provider=self._api.name,
                    )
                taken += 1
                yield line

    async def _lease(self, handle: Handle) -> LeaseId:
        held = await self._api.held(handle.external_id)
        lease = live_lease(held)
        if lease is None:
            raise LeaseNotFound(
                f"{self._api.name}: deployment {handle.external_id} has no running lease, "
                "and a provider keeps no log of what is over",
                provider=self._api.name,
            )
        return lease.id

    async def _gateway(self, lease: LeaseId) -> Gateway:
        path = f"/v1/providers/{quote(lease.provider, safe='')}"
        call = Call("GET", path, "ask where the provider listens")
        host = await self._api.http.read(call, HostDetail)
        return Gateway(
            account=self._api.name,
            base=host.host_uri,
            token=(await self._token(lease)).secret(),
            pins=partial(self._recorded, lease.provider),
            timeout_s=self._config.request_timeout_seconds,
            is_local=is_local(self._config.endpoint),
        )

    async def _token(self, lease: LeaseId) -> TokenAnswer:
        body = {"data": {"ttl": TOKEN_S, "leases": permission(lease)}}
        # it costs nothing, so it may be asked for twice
        call = Call("POST", "/v1/create-jwt-token", "ask for a token to read the log", body=body)
        return await self._api.http.read(call, TokenAnswer)

    async def _recorded(self, provider: str) -> list[str]:
        """The certificates that the chain records as the provider's own, as PEM."""
        target = Target(self._api.name, self._config.chain_endpoint)
        limits = Limits(request_timeout_s=self._config.request_timeout_seconds)
        http = MarketHttp(target, self._clock, limits=limits)
        params: Mapping[str, str | int] = {
            "filter.owner": provider,
            "filter.state": "valid",
            "pagination.limit": 100,
        }
        path = "/akash/cert/v1/certificates/list"
        call = Call("GET", path, "read the provider's certificates", params=params)
        try:
            found = await http.read(call, Certificates)
        finally:
            await http.aclose()
        valid = [one.certificate for one in found.certificates if one.certificate.state == "valid"]
        return [pem for one in valid if (pem := one.pem())]


def permission(lease: LeaseId) -> dict[str, Any]:
    """What the token may do: read the log of this lease at its provider."""
    deployment = {
        "dseq": int(lease.dseq),
        "gseq": lease.gseq,
        "oseq": lease.oseq,
        "scope": ["logs"],
        "services": [SERVICE],
    }
    granted = {"provider": lease.provider, "access": "granular", "deployments": [deployment]}
    return {"access": "granular", "permissions": [granted]}
