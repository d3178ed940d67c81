"""RunPod's v2 calls that the adapter makes, typed, with its documented refusals.

One `Api` per account; used by `runpod.py`. It knows paths and answers, and decides nothing.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from pydantic import ValidationError

from overspill.core.errors import (
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    ProviderError,
    Unavailable,
)
from overspill.ports import Clock
from overspill.providers import runpod_wire as wire
from overspill.providers._http import Call, MarketHttp, Target, error_text
from overspill.providers.runpod_config import Config

MOST_PAGES = 400
MOST_LINES = 5000

_NO_CAPACITY = (
    "no longer any instances available",
    "no instances",
    "not available",
    "unavailable",
    "capacity",
    "does not have the resources",
    "could not be placed",
    "no machine",
    "out of stock",
    "not enough",
)
"""How a 400 says "nothing left": in prose only, there is no code for it."""


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
        target = Target(name, config.endpoint, config.bearer())
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def gpu_types(self, cloud: str, countries: tuple[str, ...]) -> list[wire.GpuType]:
        """The catalogue of one cloud with what is left of each type."""
        params = {"include": "AVAILABILITY", "product": "POD", "cloud": cloud}
        if countries:
            params["countryCodes"] = ",".join(countries)
        call = Call("GET", "/v2/catalog/gpus", "read the GPU types", params=params)
        return (await self.http.read(call, wire.GpuTypes)).gpus

    async def create(self, body: Mapping[str, Any]) -> wire.Pod:
        """A new pod. Costs."""
        call = Call(
            "POST",
            "/v2/pods",
            "create a pod",
            body=body,
            costs=True,
            refused=self._not_made,
        )
        return await self.http.send(call, wire.Pod)

    async def pod(self, pod: str) -> wire.Pod:
        """One pod. Raises LeaseNotFound."""
        if not pod:
            raise LeaseNotFound(f"{self.name}: no pod is known yet", provider=self.name)
        return await self.http.read(Call("GET", f"/v2/pods/{pod}", f"read pod {pod}"), wire.Pod)

    async def pods(self) -> list[wire.Pod]:
        """Every pod of the account: all pages or an error. There is no filter by name."""
        found: dict[str, wire.Pod] = {}
        params: dict[str, str | int] = {}
        for _ in range(MOST_PAGES):
            call = Call("GET", "/v2/pods", "list the pods", params=params)
            page = await self.http.read(call, wire.Pods)
            found.update({pod.id: pod for pod in page.pods})
            rest = page.pagination
            if rest is None or not rest.has_next_page:
                return list(found.values())
            if not rest.next_cursor:
                break
            params = {"cursor": rest.next_cursor}
        raise Unavailable(f"{self.name}: the list of pods does not end", provider=self.name)

    async def terminate(self, pod: str) -> None:
        """Ends the pod and its bill; silent when the market knows it no more."""
        call = Call("DELETE", f"/v2/pods/{pod}", f"terminate pod {pod}")
        try:
            await self.http.no_content(call)
        except LeaseNotFound:
            return

    async def log(self, pod: str, tail: int, idle_s: float) -> AsyncIterator[bytes]:
        """The container's lines, oldest first, out of the market's event stream."""
        call = Call(
            "GET",
            f"/v2/pods/{pod}/logs",
            f"read the log of pod {pod}",
            params={"source": "container", "tail": min(max(tail, 1), MOST_LINES)},
        )
        async for line in self.http.lines(call, idle_s):
            if line.startswith(b"data:"):
                yield self._line_of(call, line.removeprefix(b"data:"))

    def _line_of(self, call: Call, event: bytes) -> bytes:
        try:
            return wire.LogEvent.model_validate_json(event).line.encode()
        except ValidationError:
            raise self.http.failure(call, "the answer is not what the API promises") from None

    def _not_made(self, status: int, body: bytes) -> ProviderError | None:
        def no(kind: type[ProviderError], why: str) -> ProviderError:
            return kind(f"{self.name}: could not create a pod: {why}", provider=self.name)

        match status:
            case 400 if any(words in error_text(body) for words in _NO_CAPACITY):
                return no(NoCapacity, "there is no such GPU left")
            case 400 | 422:
                return no(OfferRejected, f"the market refused the request ({status})")
            case 402:
                return no(InsufficientFunds, "the balance does not last for an hour")
            case 403:
                return no(OfferRejected, "the account or its key may not use this pool")
        return None
