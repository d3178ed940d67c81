"""The SaladCloud adapter on the sandbox, each exchange held against the official OpenAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from overspill.core.gpus import canonical_model
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, ProviderType
from overspill.providers._settings import settings_of
from overspill.providers.salad import Salad
from overspill.providers.salad_config import DEFAULT_ENDPOINT, Config
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import KEY, SandboxRig, sandbox_rig

DEVIATIONS: dict[str, str] = {
    "errors are application/problem+json, or HTML": "the file says application/json; "
    "its documentation and its clients' notes tell the other two; only words about credit are read",
    "POST containers: a name that was used": "the file has no 409 and no word for it; the "
    "documentation says that a name is never to be had again; any refusal is followed by a look",
    "GET containers: at most 100 entries": "the file bounds the list and has no pages; a list of "
    "100 is taken for cut, and then nothing is decided on it",
}
"""Where we read the official specification otherwise than it is written, and why."""


LISTING = Listing(
    cut_at=100, why_whole="the file bounds the list to 100 entries and has no parameter for more"
)

SHELF = Listing(
    cut_at=100, why_whole="the file bounds the classes to 100 and has no parameter for more"
)


class SaladRig(SandboxRig):
    """A model that audited hosts and others have is two classes."""

    async def stock(self, count: int) -> list[str]:
        return [canonical_model(f"{name} (24 GB)") for name in await super().stock(count - 10)]


@cache
def spec(path: Path) -> Spec:
    document: dict[str, Any] = yaml.load(path.read_text(), yaml.CSafeLoader)
    bodies = document["components"]["requestBodies"]
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and "$ref" in operation.get("requestBody", {}):
                name = operation["requestBody"]["$ref"].rsplit("/", 1)[-1]
                operation["requestBody"] = bodies[name]
    return Spec(document)


def checked(inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    path = spec_file("salad", "openapi.yaml")
    return Checked(inner, spec(path), credential=("salad-api-key", "")) if path else inner


def account(
    *,
    regions: tuple[str, ...] = (),
    capacity_type: CapacityType = CapacityType.ON_DEMAND,
    **config: str,
) -> ProviderAccount:
    settings = {
        "requestsPerSecond": "100",
        "listLagSeconds": "0",
        "organization": "our-org",
        "project": "bursts",
    }
    return ProviderAccount(
        "salad",
        ProviderType.SALAD,
        regions=regions,
        capacity_type=capacity_type,
        config=settings | config,
    )


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> Salad:
    config = settings_of(Config, account, {"apiKey": KEY}, DEFAULT_ENDPOINT)
    return Salad(account, config, clock, wire)


@asynccontextmanager
async def salad_rig(
    *,
    regions: tuple[str, ...] = (),
    capacity_type: CapacityType = CapacityType.ON_DEMAND,
    **config: str,
) -> AsyncIterator[SandboxRig]:
    ours = account(regions=regions, capacity_type=capacity_type, **config)
    async with sandbox_rig("salad", ours, make, checked, SaladRig) as rig:
        rig.listing, rig.shelf = LISTING, SHELF
        await rig.find_offer()
        yield rig
