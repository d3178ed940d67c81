"""The io.net adapter on the sandbox, each exchange held against the published OpenAPI."""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.providers._settings import settings_of
from overspill.providers.ionet import IoNet
from overspill.providers.ionet_config import DEFAULT_ENDPOINT, Config
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import KEY, SandboxRig, sandbox_rig

PREFIX = "/enterprise/v1/io-cloud/caas"
CLIENT = "the file of 2025-09 does not know it; the maker's client (ionet-cloud 0.4.1) does"
DEVIATIONS: dict[str, str] = {
    "GET /hardware": CLIENT,
    "POST /deploy: resource_id, payment_source, on_incomplete_booking": CLIENT,
    "POST /deploy: hardware_id may be a word": CLIENT,
    "GET /deployments: pages begin at 1": "the file's default is 0; the client counts from 1",
    "GET /deployments: statuses unpaid, deploying, terminated": CLIENT,
    "GET /hardware, /price: no key needed": "the client says so; we send it everywhere",
    "POST /deploy: 400 {status: failed, error}": "the file lists 404 and 422 only; the client "
    "reads business errors in this form",
    "GET /price: 400": "as above",
}
"""Where we read the published specification otherwise than it is written, and why."""

UNDESCRIBED = frozenset({"POST 400", "GET 400", "POST 402"})


@cache
def spec(path: Path) -> Spec:
    document: dict[str, Any] = json.loads(path.read_text())
    prefix = "io_cloud__schemas__request__enterprise_caas__"
    deploy = document["components"]["schemas"][f"{prefix}CaaSDeployClusterRequest"]["properties"]
    words = {"type": "string"}
    deploy |= {"resource_id": words, "payment_source": words, "on_incomplete_booking": words}
    deploy["hardware_id"] = {"type": ["integer", "string"]}
    listing = copy.deepcopy(document["paths"][f"{PREFIX}/node-pools"]["get"])
    listing["responses"]["200"]["content"]["application/json"]["schema"] = {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "items": {"type": "object"}}},
    }
    document["paths"][f"{PREFIX}/hardware"] = {"get": listing}
    return Spec(document)


def checked(inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    path = spec_file("ionet", "openapi.json")
    if path is None:
        return inner
    return Checked(inner, spec(path), UNDESCRIBED, credential=("x-api-key", ""))


def account(*, regions: tuple[str, ...] = (), **config: str) -> ProviderAccount:
    settings = {"requestsPerSecond": "100", "listLagSeconds": "0"}
    return ProviderAccount("ionet", ProviderType.IO_NET, regions=regions, config=settings | config)


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> IoNet:
    config = settings_of(Config, account, {"apiKey": KEY}, DEFAULT_ENDPOINT)
    return IoNet(account, config, clock, wire)


SHELF = Listing(why_whole="the client reads GET /hardware once and has no parameter for more")


@asynccontextmanager
async def ionet_rig(*, regions: tuple[str, ...] = (), **config: str) -> AsyncIterator[SandboxRig]:
    ours = account(regions=regions, **config)
    async with sandbox_rig("ionet", ours, make, checked) as rig:
        rig.listing = Listing(page=100)
        rig.shelf = SHELF
        await rig.find_offer()
        yield rig
