"""io.net's CaaS calls that the adapter makes, typed, with its documented refusals.

One `Api` per account; used by `ionet.py`. It knows paths and answers, and decides nothing.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    ProviderError,
    Unavailable,
)
from overspill.ports import Clock
from overspill.providers import ionet_wire as wire
from overspill.providers._http import Call, MarketHttp, Target, error_text
from overspill.providers.ionet_config import Config

PREFIX = "/enterprise/v1/io-cloud/caas"
PAGE = 100
MOST_PAGES = 400

_FUNDS = ("insufficient", "balance", "not enough credit", "credits required", "top up")
_CAPACITY = ("not available", "unavailable", "capacity", "no replicas", "not enough", "sold out")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is booked: so many GPUs of a kind in one container, for whole hours."""

    hardware: str
    gpus: int
    hours: int


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
        headers = {"x-api-key": SecretStr(config.api_key.get_secret_value())}
        target = Target(name, config.endpoint, headers)
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def hardware(self) -> list[wire.Hardware]:
        """The catalogue."""
        call = Call("GET", f"{PREFIX}/hardware", "read the hardware list")
        return (await self.http.read(call, wire.Catalogue)).data

    async def places(self, hardware: str, gpus: int) -> list[wire.Place]:
        """Where a container of so many GPUs of a kind could start now."""
        params: dict[str, str | int] = {"hardware_id": hardware, "hardware_qty": gpus}
        call = Call("GET", f"{PREFIX}/available-replicas", "ask for free replicas", params=params)
        return (await self.http.read(call, wire.Places)).data

    async def price(self, shape: Shape, place: int) -> wire.Price:
        """What one replica of a shape costs, with every fee. `location_ids` is JSON in a string."""
        params: dict[str, str | int] = {
            "hardware_id": shape.hardware,
            "duration_hours": shape.hours,
            "gpus_per_container": shape.gpus,
            "replica_count": 1,
            "location_ids": json.dumps([place], separators=(",", ":")),
        }
        call = Call("GET", f"{PREFIX}/price", "ask for a price", params=params)
        return (await self.http.read(call, wire.PriceAnswer)).data

    async def deploy(self, body: Mapping[str, Any]) -> str:
        """Books and pays a deployment; its id. Costs."""
        call = Call(
            "POST",
            f"{PREFIX}/deploy",
            "book a deployment",
            body=body,
            costs=True,
            refused=self._not_made,
        )
        return (await self.http.send(call, wire.Created)).deployment_id

    async def deployment(self, deployment: str) -> wire.Deployment:
        """One deployment. Raises LeaseNotFound."""
        if not deployment:
            raise LeaseNotFound(f"{self.name}: no deployment is known yet", provider=self.name)
        path = f"{PREFIX}/deployment/{deployment}"
        call = Call("GET", path, f"read deployment {deployment}")
        return (await self.http.read(call, wire.DeploymentAnswer)).data

    async def workers(self, deployment: str) -> list[wire.Worker]:
        """The containers of a deployment."""
        path = f"{PREFIX}/deployment/{deployment}/containers"
        params: dict[str, str | int] = {"page": 1, "page_size": PAGE}
        call = Call("GET", path, f"read the containers of {deployment}", params=params)
        return (await self.http.read(call, wire.WorkersAnswer)).data.workers

    async def deployments(self) -> list[wire.Deployment]:
        """Every deployment of the account, ended ones too: all pages or an error.

        Pages begin at 1, as the maker's client counts them. The status filter does not know every
        status there is, so it is not used. A list that changes may show one twice.
        """
        found: dict[str, wire.Deployment] = {}
        for page in range(1, MOST_PAGES + 1):
            params: dict[str, str | int] = {"page": page, "page_size": PAGE}
            call = Call("GET", f"{PREFIX}/deployments", "list the deployments", params=params)
            got = (await self.http.read(call, wire.DeploymentsAnswer)).data
            found.update({one.id: one for one in got.deployments})
            if len(got.deployments) < PAGE:
                if len(found) < got.total:
                    break
                return list(found.values())
        raise Unavailable(f"{self.name}: the list of deployments is not whole", provider=self.name)

    async def destroy(self, deployment: str) -> None:
        """Ends a deployment; silent when the market knows it no more, or ended it already."""
        call = Call("DELETE", f"{PREFIX}/deployment/{deployment}", f"destroy {deployment}")
        try:
            await self.http.no_content(call)
        except LeaseNotFound:
            return

    async def log(
        self, deployment: str, container: str, stream: str, idle_s: float
    ) -> AsyncIterator[bytes]:
        """The lines of one container's `stdout` or `stderr`, out of the market's event stream."""
        path = f"{PREFIX}/deployment/{deployment}/log/{container}"
        call = Call("GET", path, f"read the log of {deployment}", params={"stream": stream})
        async for line in self.http.lines(call, idle_s):
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").removeprefix(b" ")

    def _not_made(self, status: int, body: bytes) -> ProviderError | None:
        text = error_text(body)
        told: tuple[type[ProviderError], str] | None = None
        match status:
            case 402:
                told = (InsufficientFunds, "the account has too little money")
            case 400 | 403 if any(words in text for words in _FUNDS):
                told = (InsufficientFunds, "the account has too little money")
            case 400 | 409 if any(words in text for words in _CAPACITY):
                told = (NoCapacity, "there is no such GPU left")
            case 400 | 422:
                told = (OfferRejected, f"the market refused the request ({status})")
        if told is None:
            return None
        kind, why = told
        return kind(f"{self.name}: could not book a deployment: {why}", provider=self.name)
