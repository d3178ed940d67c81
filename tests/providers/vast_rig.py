"""The Vast.ai adapter on the sandbox, each exchange held against the official OpenAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, ProviderType
from overspill.providers._settings import settings_of
from overspill.providers.vast import Vast
from overspill.providers.vast_config import DEFAULT_ENDPOINT, Config
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import KEY, SandboxRig, sandbox_rig

DEVIATIONS: dict[str, str] = {
    "paths end with a slash": "the file has none; the market's own client (vastai 1.9) sends one, "
    "and we follow no redirect",
    "PUT /api/v0/asks/{id}: env is an object": "the file says a string of Docker flags; "
    "docs.vast.ai/api-reference/creating-instances-with-api and the client have an object",
    "PUT /api/v0/asks/{id}: client_id": "not in the file; the client always sends it",
    "PUT /api/v0/asks/{id}: a refusal may carry new_contract": "not in the file; seen by others "
    "(dstack's backend reads it)",
    "GET /api/v0/instances/{id}: owner": "not in the file; the client sends it",
    "GET /api/v0/instances/{id}: ports and extra_env as in the list": "the file has arrays of "
    "numbers and words; the client reads both answers alike",
    "GET /api/v0/instances/{id}: instances may be null": "the file names no answer for an instance "
    "that is not there; the client expects null",
    "GET /api/v0/users/current: credit": "not in the file; the client prints it",
    "POST /api/v0/bundles: geolocation, order": "the file limits `order` to two entries, which are "
    "the two halves of one; the client sends any number of pairs",
}
"""Where we read the official specification otherwise than it is written, and why."""


@cache
def spec(path: Path) -> Spec:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    paths = document["paths"]
    take = paths["/api/v0/asks/{id}"]["put"]
    body = take["requestBody"]["content"]["application/json"]["schema"]["properties"]
    body["env"] = {"type": "object", "additionalProperties": {"type": "string"}}
    body["client_id"] = {"type": "string"}
    one = paths["/api/v0/instances/{id}"]["get"]
    one["parameters"].append({"name": "owner", "in": "query", "schema": {"type": "string"}})
    answer = one["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    answer["instances"] = {"anyOf": [answer["instances"], {"type": "null"}]}
    listed = paths["/api/v1/instances"]["get"]["responses"]["200"]["content"]["application/json"]
    rows = listed["schema"]["properties"]["instances"]["items"]["properties"]
    single = document["components"]["schemas"]["Instance"]["properties"]
    single.update({name: rows[name] for name in ("ports", "extra_env")})
    search = paths["/api/v0/bundles"]["post"]["requestBody"]["content"]["application/json"]
    order = search["schema"]["properties"]["order"]
    del order["minItems"], order["maxItems"]
    return Spec(document)


def checked(inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    path = spec_file("vast", "openapi.yaml")
    return Checked(inner, spec(path)) if path else inner


def account(capacity: CapacityType = CapacityType.ON_DEMAND, **config: str) -> ProviderAccount:
    settings = {"requestsPerSecond": "100", "listLagSeconds": "0", "diskGib": "40"}
    return ProviderAccount(
        "vast", ProviderType.VAST, capacity_type=capacity, config=settings | config
    )


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> Vast:
    config = settings_of(Config, account, {"apiKey": KEY}, DEFAULT_ENDPOINT)
    return Vast(account, config, clock, wire)


SHELF = Listing(why_whole="the file has no pages of offers: a search gives up to its `limit`")


@asynccontextmanager
async def vast_rig(
    capacity: CapacityType = CapacityType.ON_DEMAND, **config: str
) -> AsyncIterator[SandboxRig]:
    async with sandbox_rig("vast", account(capacity, **config), make, checked) as rig:
        rig.listing, rig.shelf = Listing(page=25), SHELF
        await rig.find_offer()
        # an ask is consumed: a second attempt needs another one
        others = [o for o in await rig.provider.offers(None) if o.gpu_count == 1]
        assert rig.offer is not None
        other = next(
            o
            for o in others
            if o.offer_id != rig.offer.offer_id and o.gpu_model == rig.offer.gpu_model
        )
        rig.offers[2] = other
        yield rig
