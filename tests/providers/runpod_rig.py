"""The RunPod adapter on the sandbox, each exchange held against the official OpenAPI."""

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
from overspill.providers.runpod import RunPod
from overspill.providers.runpod_config import DEFAULT_ENDPOINT, Config
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import KEY, SandboxRig, sandbox_rig

DEVIATIONS: dict[str, str] = {
    "GET /v2/pods: cursor, and pagination in the answer": "the file of 2026-08-20 has neither; "
    "several clients of autumn 2026 follow `pagination.nextCursor`; without it a sweep would miss "
    "pods of a big account",
}
"""Where we read the official specification otherwise than it is written, and why."""


@cache
def spec(path: Path) -> Spec:
    document: dict[str, Any] = json.loads(path.read_text())
    listing = document["paths"]["/v2/pods"]["get"]
    listing["parameters"].append({"name": "cursor", "in": "query", "schema": {"type": "string"}})
    return Spec(document)


def checked(inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    path = spec_file("runpod", "openapi-v2.json")
    return Checked(inner, spec(path)) if path else inner


def account(*, regions: tuple[str, ...] = (), **config: str) -> ProviderAccount:
    settings = {"requestsPerSecond": "100", "listLagSeconds": "0"}
    return ProviderAccount("runpod", ProviderType.RUNPOD, regions=regions, config=settings | config)


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> RunPod:
    config = settings_of(Config, account, {"apiKey": KEY}, DEFAULT_ENDPOINT)
    return RunPod(account, config, clock, wire)


@asynccontextmanager
async def runpod_rig(*, regions: tuple[str, ...] = (), **config: str) -> AsyncIterator[SandboxRig]:
    async with sandbox_rig("runpod", account(regions=regions, **config), make, checked) as rig:
        rig.listing = Listing(page=100)
        rig.shelf = Listing(why_whole="the file gives all GPU types; no parameter for more")
        await rig.find_offer()
        yield rig
