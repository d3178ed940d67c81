"""Shadeform's calls that the adapter makes, typed, with the refusals that are known.

One `Api` per account; used by `shadeform.py`. It knows paths and answers, and decides nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    ProviderError,
)
from overspill.ports import Clock
from overspill.providers import shadeform_wire as wire
from overspill.providers._http import Call, MarketHttp, Target, error_text
from overspill.providers.shadeform_config import Config

_SOLD_OUT = ("out of stock", "out_of_stock", "not available", "unavailable", "capacity")
"""How a refusal says "nothing left"; the codes are not published."""


class Api:
    """One account's connection. Reads may be repeated; what costs is sent once."""

    def __init__(
        self,
        name: str,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        target = Target(name, config.endpoint, {"x-api-key": config.api_key})
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def types(self) -> list[wire.InstanceType]:
        """The whole catalogue, what is not to be had now included."""
        call = Call("GET", "/v1/instances/types", "read the instance types")
        return (await self.http.read(call, wire.InstanceTypes)).instance_types

    async def create(self, body: Mapping[str, Any]) -> str:
        """A new instance's id. Costs."""
        call = Call(
            "POST",
            "/v1/instances/create",
            "create an instance",
            body=body,
            costs=True,
            refused=self._not_made,
        )
        return (await self.http.send(call, wire.Created)).id

    async def instance(self, instance: str) -> wire.Instance:
        """One instance. Raises LeaseNotFound, also for one that is deleted."""
        if not instance:
            raise LeaseNotFound(f"{self.name}: no instance is known yet", provider=self.name)
        call = Call("GET", f"/v1/instances/{instance}/info", f"read instance {instance}")
        return await self.http.read(call, wire.Instance)

    async def instances(self) -> list[wire.Instance]:
        """Every instance of the account that is not deleted yet."""
        call = Call("GET", "/v1/instances", "list the instances")
        return (await self.http.read(call, wire.Instances)).instances

    async def delete(self, instance: str) -> None:
        """Ends the instance and its bill; silent when the market knows it no more."""
        call = Call("POST", f"/v1/instances/{instance}/delete", f"delete instance {instance}")
        try:
            await self.http.no_content(call)
        except LeaseNotFound:
            return

    def _not_made(self, status: int, body: bytes) -> ProviderError | None:
        """A refusal with a code of the market's own is definitive, also as a 409."""

        def no(kind: type[ProviderError], why: str) -> ProviderError:
            return kind(f"{self.name}: could not create an instance: {why}", provider=self.name)

        code, text = _code(body), error_text(body)
        if not 400 <= status < 500 or status in {401, 403, 429}:
            return None
        if code == "INSUFFICIENT_FUNDS" or status == 402:
            return no(InsufficientFunds, "the balance is under what the market wants for a start")
        if any(words in f"{code.lower()} {text}" for words in _SOLD_OUT):
            return no(NoCapacity, "there is no such instance left")
        if code:
            return no(OfferRejected, f"the market refused the request ({status})")
        return None


def _code(body: bytes) -> str:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = told.get("error_code") if isinstance(told, dict) else None
    return found if isinstance(found, str) else ""
