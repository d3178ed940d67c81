"""The Shadeform market as the sandbox holds it: its paths with their key check, its instances.

Built by `app.py`; the fault layer, the control surface and the host keeper speak to this.
"""

import hmac
import json
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.shadeform import errors, wire
from overspill.sandbox.markets.shadeform.catalog import Catalog, cents, usd_per_hour
from overspill.sandbox.markets.shadeform.create import checked, ends_at, service_of
from overspill.sandbox.markets.shadeform.errors import RefusedError
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rates, Rental, RentalMarket, Rentals
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "shadeform"
LEAST_BALANCE_USD = Decimal(5)
DELETING_S = 1.0
FAULTS = {
    "creation_fails": "shadeform: the cloud cannot make the machine, its status becomes `error`",
    "cents_move": "shadeform: the instance comes at `factor` (2) times its type's price",
    "slow_delete": "shadeform: a deleted instance stays `deleting` for `seconds` (10)",
}


def create(world: World, options: SandboxOptions) -> "ShadeformMarket":
    """The market over a world."""
    return ShadeformMarket(world, options)


class ShadeformMarket(RentalMarket):
    """One account."""

    name = MARKET
    example = "curl -s '{url}/v1/instances/types?sort=price' -H 'X-API-KEY: {key}'"

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        self.rentals = Rentals(
            world, restarts=False, backoff_s=options.restart_backoff_s, ends_when_broke=True
        )
        self.rentals.wallet = options.wallet_usd
        self._key = options.api_key
        self._catalog = Catalog(world)

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        made: list[tuple[str, str, Handler]] = [
            ("GET", "/v1/instances/types", self._types),
            ("GET", "/v1/instances", self._list),
            ("POST", "/v1/instances/create", self._create),
            ("GET", "/v1/instances/{id}/info", self._info),
            ("POST", "/v1/instances/{id}/delete", self._delete),
        ]
        return [web.route(method, path, self._guarded(h)) for method, path, h in made]

    def key_of(self, path: str, body: bytes) -> str:
        """The name a request is about; empty when it has none."""
        if path == "/v1/instances/create":
            return _name(body)
        found = self.rentals.all.get(path.removeprefix("/v1/instances/").split("/")[0])
        return found.key if found else ""

    def address_of(self, host: Host) -> str:
        """Each host is a cloud of its own."""
        return host.name

    async def _types(self, request: web.Request) -> web.Response:
        return web.json_response({"instance_types": self._catalog.types(request.query)})

    async def _list(self, request: web.Request) -> web.Response:
        now = self.world.now()
        shown = [
            wire.listed(self.rentals, rental)
            for rental in self.rentals.all.values()
            if rental.listed_at <= now and not self._is_gone(rental)
        ]
        return web.json_response({"instances": shown})

    async def _create(self, request: web.Request) -> web.Response:
        body = await _json(request)
        key = str(body.get("name") or "")
        write = self.world.ledger.write
        write(Event.CREATE_RECEIVED, market=MARKET, key=key)
        try:
            rental = self._created(checked(body))
        except RefusedError as refused:
            detail = {"status": refused.status, "message": str(refused)}
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=detail)
            raise
        return web.json_response({"id": rental.id})

    def _created(self, body: dict[str, Any]) -> Rental:
        if self.balance_usd < LEAST_BALANCE_USD:
            raise errors.broke(self.balance_usd)
        found = self._catalog.find(body["cloud"], body["region"], body["shade_instance_type"])
        if found is None:
            raise errors.invalid("There is no such instance type in this region")
        host, size = found
        if not host.online or host.free.gpus < size:
            raise errors.sold_out()
        rental = self._rental(host, size, body)
        if self.world.faults.take("creation_fails", key=rental.key, provider=host.name):
            return self.rentals.open_stopped(rental)
        return self.rentals.open(rental)

    def _rental(self, host: Host, size: int, body: dict[str, Any]) -> Rental:
        now, key = self.world.now(), str(body["name"])
        moved = self.world.faults.take("cents_move", key=key, provider=host.name)
        factor = int(moved.number("factor", 2)) if moved else 1
        rate = usd_per_hour(host, size) * factor
        share = Decimal(size) / host.gpus
        return Rental(
            id=str(uuid.uuid4()),
            key=key,
            host=host,
            slice=Slice(
                size,
                int(host.cpu_units * 1000 * share),
                int(host.memory_gib * 2**30 * share),
                int(host.storage_gib * 2**30 * share),
            ),
            # whether a machine is paid while it boots is not told; the worse is taken
            rates=Rates(rate, while_booting=True),
            service=service_of(body, size),
            created_at=now,
            ends_at=ends_at(body, now, rate),
            details={"body": body, "cents": cents(host, size) * factor},
        )

    async def _info(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        if rental.listed_at > self.world.now():
            raise errors.unknown()
        return web.json_response(wire.info(self.rentals, rental))

    async def _delete(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        if rental.state != "ended":
            self.rentals.close(rental)
            if rental.state == "ended":
                slow = self.world.faults.take("slow_delete", key=rental.key)
                seconds = slow.number("seconds", 10) if slow else DELETING_S
                rental.details["gone_at"] = self.world.now() + seconds
        return web.Response(status=200)

    def _known(self, request: web.Request) -> Rental:
        rental = self.rentals.all.get(request.match_info["id"])
        if rental is None or self._is_gone(rental):
            raise errors.unknown()
        return rental

    def _is_gone(self, rental: Rental) -> bool:
        return wire.status_of(self.rentals, rental) == "deleted"

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("X-API-KEY", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return RefusedError(401, "UNAUTHORIZED", "Invalid API key").answer()
            self.world.timeline.run(self.world.clock.now())
            self.settle()
            try:
                return await handler(request)
            except RefusedError as refused:
                return refused.answer()

        return guarded


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise errors.invalid("malformed JSON") from error
    if not isinstance(body, dict):
        raise errors.invalid("The body must be an object")
    return body


def _name(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("name") or "") if isinstance(found, dict) else ""
