"""Vast.ai's calls that the adapter makes, typed, with its documented refusals.

One `Api` per account; used by `vast.py`. It knows paths and answers, and decides nothing.
Paths end with a slash, as the market's own client sends them: we follow no redirect.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from pydantic import ValidationError

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.ports import Clock
from overspill.providers import vast_wire as wire
from overspill.providers._http import Call, MarketHttp, Target
from overspill.providers.vast_config import Config

PAGE = 25
MOST_PAGES = 400
"""Ten thousand instances; more means that the market pages in a circle."""


class MadeAnyway(NoCapacity):
    """The market refused, and made a stopped instance all the same: it must be destroyed."""

    def __init__(self, message: str, *, provider: str, contract: int) -> None:
        super().__init__(message, provider=provider)
        self.contract = contract


_REFUSALS: tuple[tuple[str, type[ProviderError], str], ...] = (
    ("no_such_ask", NoCapacity, "the offer is gone"),
    ("no longer available", NoCapacity, "the offer is gone"),
    ("not available", NoCapacity, "the offer is gone"),
    ("insufficient", InsufficientFunds, "the account has too little credit"),
    ("lacks credit", InsufficientFunds, "the account has too little credit"),
    ("invalid_price", OfferRejected, "the bid was refused"),
    ("not your own", OfferRejected, "the offer is for its host alone"),
    ("auth_error", AuthRejected, "the key was refused"),
    ("user key", AuthRejected, "the key was refused"),
)
"""Documented refusals of a create by a piece of their text."""


class Api:
    """One account's connection. Reads may be repeated; what costs is sent once."""

    def __init__(
        self,
        name: str,
        config: Config,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name, self._clock = name, clock
        target = Target(name, config.endpoint, config.bearer())
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def search(self, query: Mapping[str, Any]) -> list[wire.Ask]:
        """Offers. There is a daily quota of searches; one that is used up is not asked again."""
        call = Call(
            "POST", "/api/v0/bundles/", "search offers", body=query, refused=self._over_quota
        )
        return (await self.http.read(call, wire.Asks)).offers

    async def take(self, ask: int, body: Mapping[str, Any]) -> int:
        """Rents an offer and consumes it. Costs. Raises MadeAnyway for a refusal that costs."""
        call = Call(
            "PUT",
            f"/api/v0/asks/{ask}/",
            f"rent offer {ask}",
            body=body,
            costs=True,
            refused=self._not_taken,
        )
        made = await self.http.send(call, wire.Made)
        if made.success and made.new_contract is not None:
            return made.new_contract
        raise self._refused(made) or self.http.failure(call, "the answer says neither yes nor no")

    async def instance(self, contract: str) -> wire.Instance:
        """One instance. Raises LeaseNotFound."""
        call = Call(
            "GET",
            f"/api/v0/instances/{contract}/",
            f"read instance {contract}",
            params={"owner": "me"},
        )
        found = (await self.http.read(call, wire.OneInstance)).instances
        if found is None:
            raise LeaseNotFound(f"{self.name}: there is no instance {contract}", provider=self.name)
        return found

    async def instances(self, label: str = "") -> list[wire.Instance]:
        """Every instance of the account, or those of one label: all pages or an error."""
        chosen = {"label": {"eq": label}} if label else {}
        params: dict[str, str | int] = {
            "limit": PAGE,
            "select_filters": json.dumps(chosen),
            "order_by": json.dumps([{"col": "id", "dir": "asc"}]),
        }
        found: dict[int, wire.Instance] = {}
        for _ in range(MOST_PAGES):
            call = Call("GET", "/api/v1/instances/", "list the instances", params=params)
            page = await self.http.read(call, wire.InstancePage)
            found.update({instance.id: instance for instance in page.instances})
            if not page.next_token:
                return self._complete(found, page.total_instances)
            params = {**params, "after_token": page.next_token}
        raise Unavailable(f"{self.name}: the list of instances does not end", provider=self.name)

    async def destroy(self, contract: str | int) -> None:
        """Ends the instance and its bill; silent when the market knows it no more."""
        call = Call("DELETE", f"/api/v0/instances/{contract}/", f"destroy instance {contract}")
        try:
            answer = await self.http.read(call, wire.Done)
        except LeaseNotFound:
            return
        if not answer.success:
            raise Unavailable(
                f"{self.name}: the market did not destroy instance {contract}", provider=self.name
            )

    async def log_address(self, contract: str, tail: int) -> str:
        """Where the market will put the last lines of an instance's output."""
        call = Call(
            "PUT",
            f"/api/v0/instances/request_logs/{contract}/",
            f"ask for the log of instance {contract}",
            body={"tail": str(tail)},
        )
        return (await self.http.read(call, wire.LogAddress)).result_url

    async def balance_usd(self) -> Decimal:
        """What the account can still spend."""
        call = Call("GET", "/api/v0/users/current", "read the balance")
        user = await self.http.read(call, wire.User)
        known = user.credit if user.credit is not None else user.balance
        if known is None:
            raise Unavailable(f"{self.name}: the market tells no balance", provider=self.name)
        return known

    def _complete(self, found: dict[int, wire.Instance], total: int | None) -> list[wire.Instance]:
        if total is not None and len(found) < total:
            raise Unavailable(
                f"{self.name}: only {len(found)} of {total} instances were listed",
                provider=self.name,
            )
        return list(found.values())

    def _not_taken(self, status: int, body: bytes) -> ProviderError | None:
        try:
            told = wire.Made.model_validate_json(body)
        except ValidationError:
            return None  # a plain-text 429, a page of a proxy: the common rules
        known = self._refused(told)
        if isinstance(known, MadeAnyway):
            return known
        # only a documented refusal is one; a 401 stays what it is
        return known if status in {400, 402, 403, 404, 410} else None

    def _refused(self, told: wire.Made) -> ProviderError | None:
        words = f"{self.name}: could not rent the offer"
        if told.new_contract is not None:
            return MadeAnyway(
                f"{words}: it was refused, and left instance {told.new_contract} behind",
                provider=self.name,
                contract=told.new_contract,
            )
        text = f"{told.error or ''} {told.msg or ''}".lower()
        for piece, kind, why in _REFUSALS:
            if piece in text:
                return kind(f"{words}: {why}", provider=self.name)
        return (
            OfferRejected(f"{words}: it was refused", provider=self.name) if text.strip() else None
        )

    def _over_quota(self, status: int, body: bytes) -> ProviderError | None:
        if status == 404 and b"user key" in body:
            # a search answers a wrong key so
            return AuthRejected(
                f"{self.name}: the market does not know the key", provider=self.name
            )
        if status != 429 or b"search_quota_exceeded" not in body:
            return None
        now = self._clock.now().astimezone(UTC)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        return RateLimited(
            f"{self.name}: the day's searches are used up",
            provider=self.name,
            retry_after=midnight - now,
        )
