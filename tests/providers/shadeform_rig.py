"""The Shadeform adapter on the sandbox, each exchange held against the official OpenAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.ports import OpenRequest
from overspill.providers._settings import settings_of
from overspill.providers.shadeform import Shadeform
from overspill.providers.shadeform_config import DEFAULT_ENDPOINT, Config
from overspill.sandbox.rentals import Rental
from overspill.testing.clock import ManualClock
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import KEY, SandboxRig, sandbox_rig

DEVIATIONS: dict[str, str] = {
    "POST /instances/create: 409 with error_code": "the file describes no refusal at all; "
    "INSUFFICIENT_FUNDS in this form was seen by a third party's client, other codes are guessed",
    "GET /instances/{id}/info: 404": "the file speaks of instances that are not deleted, and of "
    "no status for the others",
}
"""Where we read the official specification otherwise than it is written, and why."""

UNDESCRIBED = frozenset({"POST 400", "POST 404", "POST 409", "GET 404"})


LISTING = Listing(why_whole="the file gives all instances that are not deleted; no parameters")
SHELF = Listing(why_whole="the file gives all types that fit; no parameter for more")


@cache
def spec(path: Path) -> Spec:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    document["paths"] = {f"/v1{path}": item for path, item in document["paths"].items()}
    return Spec(document)


def checked(inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
    path = spec_file("shadeform", "openapi.yaml")
    if path is None:
        return inner
    return Checked(inner, spec(path), UNDESCRIBED, credential=("x-api-key", ""))


def account(*, regions: tuple[str, ...] = (), **config: str) -> ProviderAccount:
    values = {"requestsPerSecond": "100", "listLagSeconds": "0"}
    return ProviderAccount(
        "shadeform", ProviderType.SHADEFORM, regions=regions, config=values | config
    )


def make(account: ProviderAccount, clock: ManualClock, wire: FaultyTransport) -> Shadeform:
    config = settings_of(Config, account, {"apiKey": KEY}, DEFAULT_ENDPOINT)
    return Shadeform(account, config, clock, wire)


class ShadeformRig(SandboxRig):
    """Its leases end at their hard deadline, which is meant on the sandbox's clock."""

    def request(self, attempt: int = 1) -> OpenRequest:
        ahead = self.app.world.clock.now() - self.clock.now().timestamp()
        deadline = self.clock.now() + timedelta(seconds=ahead, hours=10)
        return replace(super().request(attempt), hard_deadline=deadline)

    @property
    def only_ended(self) -> Rental:
        """The one instance there ever was."""
        (rental,) = self.rentals.rentals.all.values()
        return rental


@asynccontextmanager
async def shadeform_rig(
    *, regions: tuple[str, ...] = (), **config: str
) -> AsyncIterator[ShadeformRig]:
    ours = account(regions=regions, **config)
    async with sandbox_rig("shadeform", ours, make, checked, ShadeformRig) as rig:
        assert isinstance(rig, ShadeformRig)
        rig.listing, rig.shelf = LISTING, SHELF
        await rig.find_offer()
        yield rig
