"""Lium's calls that the adapter makes, typed, with its refusals and the rules of its keys.

One `Api` per account; used by `lium.py`. It knows paths and answers, and decides nothing.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import httpx
from pydantic import ValidationError

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
)
from overspill.ports import Clock
from overspill.providers import lium_wire as wire
from overspill.providers._http import Call, MarketHttp, Target, error_text
from overspill.providers.lium_config import Config

UNKNOWN_OUTCOME = ("idempotency_in_progress", "idempotency_outcome_unknown")
"""Refusals of a repeat that say nothing of the first request, not even when they are replayed."""


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
        target = Target(name, config.endpoint, config.key_header())
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def features(self) -> list[str]:
        """What the market says it can do."""
        call = Call("GET", "/version", "read what the market can do")
        return (await self.http.read(call, wire.Version)).features

    async def nodes(self, *, reliable_only: bool) -> list[wire.Node]:
        """The nodes with something to rent."""
        params = {"view": "summary"} | ({"reliable_only": "true"} if reliable_only else {})
        call = Call("GET", "/executors", "list the nodes", params=params)
        return (await self.http.read(call, wire.Nodes)).root

    async def templates(self) -> list[wire.Template]:
        """Our templates and all public ones."""
        call = Call("GET", "/templates", "list the templates")
        return (await self.http.read(call, wire.Templates)).root

    async def make_template(self, body: Mapping[str, Any]) -> wire.Template:
        """A template of our own; free, and found again by its name. Not repeated."""
        doing = "make a template"
        call = Call("POST", "/templates", doing, body=body, refused=self._no_template)
        return await self.http.send(call, wire.Template)

    async def empty_template(self, template: str, body: Mapping[str, Any]) -> None:
        """Overwrites a template that is not used, for the secrets in it."""
        doing = f"empty template {template}"
        await self.http.no_content(Call("PUT", f"/templates/{template}", doing, body=body))

    async def rent(self, node: str, body: Mapping[str, Any], key: str) -> str:
        """Rents on one node; the new pod's id, or that of the first send with this key. Costs."""
        call = Call(
            "POST",
            f"/executors/{node}/rent",
            "rent a pod",
            body=body,
            costs=True,
            headers={"idempotency-key": key},
            refused=self._not_rented,
        )
        made = await self.http.send(call, wire.Rented)
        pod = made.pod_id or made.id
        if not pod:
            raise self.http.failure(call, "the answer names no pod")
        return pod

    async def pod(self, pod: str) -> wire.Pod:
        """One pod. Raises LeaseNotFound."""
        if not pod:
            raise LeaseNotFound(f"{self.name}: no pod is known yet", provider=self.name)
        return await self.http.read(Call("GET", f"/pods/{pod}", f"read pod {pod}"), wire.Pod)

    async def pods(self) -> list[wire.Pod]:
        """Every pod of the account."""
        return (await self.http.read(Call("GET", "/pods", "list the pods"), wire.Pods)).root

    async def remove(self, pod: str) -> None:
        """Ends the pod and its bill; silent when the market knows it no more."""
        call = Call("DELETE", f"/pods/{pod}", f"remove pod {pod}")
        try:
            await self.http.no_content(call)
        except LeaseNotFound:
            return

    async def schedule_removal(self, pod: str, at: datetime) -> None:
        """Tells the market when to remove a pod by itself; twice the same is once."""
        body = {"removal_scheduled_at": at.isoformat().replace("+00:00", "Z")}
        path = f"/pods/{pod}/schedule-removal"
        await self.http.no_content(Call("POST", path, f"schedule the end of pod {pod}", body=body))

    async def log(
        self, pod: str, tail: int, *, follow: bool, idle_s: float
    ) -> AsyncIterator[bytes]:
        """The container's lines, oldest first."""
        params: dict[str, str | int] = {"tail": max(tail, 1), "follow": str(follow).lower()}
        call = Call("GET", f"/pods/{pod}/logs", f"read the log of pod {pod}", params=params)
        async for line in self.http.lines(call, idle_s):
            if line:
                yield line

    async def user(self) -> wire.User:
        """The account with its balance."""
        return await self.http.read(Call("GET", "/users/me", "read the balance"), wire.User)

    def _no_template(self, status: int, body: bytes) -> ProviderError | None:
        words = f"{self.name}: could not make a template: the market answered {status}"
        if 300 <= status < 400:
            return OpenUncertain(words, provider=self.name)
        if status in {400, 413, 422}:
            return OfferRejected(words, provider=self.name)
        return None

    def _not_rented(self, status: int, body: bytes) -> ProviderError | None:
        said = _refusal(body)
        kind = _kind(status, said)
        if kind is None:
            return None
        words = f"{self.name}: could not rent a pod: the market answered {status}"
        named = said.code if said.code.replace("_", "").isalnum() else ""
        return kind(f"{words} {named}".strip(), provider=self.name)


def _kind(status: int, said: wire.Refusal) -> type[ProviderError] | None:
    is_poor = said.code == "insufficient_balance" or "insufficient balance" in said.message.lower()
    match status:
        case 402:
            return InsufficientFunds
        case 403:
            return InsufficientFunds if is_poor else AuthRejected
        case 404:
            return NoCapacity
        case 409 if not said.code or said.code in UNKNOWN_OUTCOME:
            return OpenUncertain
        case 400 | 409 | 422:
            return OfferRejected
    return None


def _refusal(body: bytes) -> wire.Refusal:
    try:
        error = wire.Refused.model_validate_json(body).error
    except ValidationError:
        error = None
    return error if isinstance(error, wire.Refusal) else wire.Refusal(message=error_text(body))
