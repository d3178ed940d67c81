"""SaladCloud's calls that the adapter makes, typed, with its refusals.

One `Api` per account; used by `salad.py`. It knows paths and answers, and decides nothing. Errors
are RFC 9457 problems, or HTML; no code tells a name that is taken, so that is asked for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    OfferRejected,
    ProviderError,
    Unavailable,
)
from overspill.ports import Clock
from overspill.providers import salad_wire as wire
from overspill.providers._http import Call, MarketHttp, Target, error_text
from overspill.providers.salad_config import Config

MOST_LISTED = 100
"""The file allows a list no more entries and has no pages: a full one may be cut."""
LOG_PAGE = 100
_MONEY = ("credit", "balance", "billing", "payment")


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
        self._organization = f"/organizations/{config.organization}"
        self._groups = f"{self._organization}/projects/{config.project}/containers"
        self._project = config.project
        target = Target(name, config.endpoint, config.key_header())
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def gpu_classes(self) -> list[wire.GpuClass]:
        """The catalogue with its prices."""
        call = Call("GET", f"{self._organization}/gpu-classes", "read the GPU classes")
        return (await self.http.read(call, wire.GpuClasses)).items

    async def availability(self, gpu: str, countries: tuple[str, ...]) -> wire.Availability:
        """What is free of one class. A POST that only reads."""
        path = f"{self._organization}/availability/sce-gpu-availability"
        body: dict[str, Any] = {"gpu_classes": [gpu]}
        if countries:
            body["country_codes"] = list(countries)
        call = Call("POST", path, "ask what is free of a GPU class", body=body)
        return await self.http.read(call, wire.Availability)

    async def create(self, body: Mapping[str, Any]) -> wire.Group:
        """A new container group that starts by itself. Costs."""
        doing = "create a container group"
        call = Call("POST", self._groups, doing, body=body, costs=True, refused=self._not_made)
        return await self.http.send(call, wire.Group)

    async def group(self, name: str) -> wire.Group:
        """One group. Raises LeaseNotFound."""
        call = Call("GET", f"{self._groups}/{name}", f"read container group {name}")
        return await self.http.read(call, wire.Group)

    async def groups(self) -> list[wire.Group]:
        """Every group of the project, or an error: a list that may be cut is no list."""
        call = Call("GET", self._groups, "list the container groups")
        found = (await self.http.read(call, wire.Groups)).items
        if len(found) >= MOST_LISTED:
            words = f"the list of container groups has {len(found)} entries and may be cut"
            raise Unavailable(f"{self.name}: {words}", provider=self.name)
        return found

    async def instances(self, name: str) -> list[wire.Instance]:
        """Where a group runs now."""
        path = f"{self._groups}/{name}/instances"
        call = Call("GET", path, f"read the instances of container group {name}")
        return (await self.http.read(call, wire.Instances)).instances

    async def delete(self, name: str) -> None:
        """Ends the group and its bill; silent when the market knows it no more."""
        call = Call("DELETE", f"{self._groups}/{name}", f"delete container group {name}")
        try:
            await self.http.no_content(call)
        except LeaseNotFound:
            return

    async def log(
        self, name: str, since: datetime, until: datetime, *, newest_first: bool
    ) -> list[wire.LogEntry]:
        """At most `LOG_PAGE` lines of a group's output. A POST that only reads."""
        where = {
            "type": "container",
            "labels.project_name": self._project,
            "labels.container_group_name": name,
        }
        body = {
            "start_time": _utc(since),
            "end_time": _utc(until),
            "page_size": LOG_PAGE,
            "sort_order": "desc" if newest_first else "asc",
            "query": " and ".join(f'resource.{label} = "{text}"' for label, text in where.items()),
        }
        path = f"{self._organization}/log-entries"
        call = Call("POST", path, f"read the log of container group {name}", body=body)
        return (await self.http.read(call, wire.LogPage)).items

    def _not_made(self, status: int, body: bytes) -> ProviderError | None:
        def no(kind: type[ProviderError], why: str) -> ProviderError:
            words = f"{self.name}: could not create a container group: {why}"
            return kind(words, provider=self.name)

        if status == 403 and any(word in error_text(body) for word in _MONEY):
            return no(InsufficientFunds, "the organization has no credit left")
        if status in {400, 403, 404, 409, 422}:
            return no(OfferRejected, f"the market refused the request ({status})")
        return None


def _utc(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
