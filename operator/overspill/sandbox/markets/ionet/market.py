"""The io.net market as the sandbox holds it: its paths with their key check, its deployments.

Built by `app.py`; the fault layer, the control surface and the host keeper speak to this.
"""

import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.ionet import wire
from overspill.sandbox.markets.ionet.catalog import Catalog
from overspill.sandbox.markets.ionet.create import checked, service_of
from overspill.sandbox.markets.ionet.errors import ProblemError, invalid, refused, unauthorized
from overspill.sandbox.markets.ionet.prepaid import Prepaid
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rates, Rental, RentalMarket
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "ionet"
PREFIX = "/enterprise/v1/io-cloud/caas"
FAULTS = {
    "incomplete_booking": "ionet: a booking is paid, comes to nothing and is refunded",
    "unpaid": "ionet: a deployment reads `unpaid`",
    "price_rises": "ionet: a quote is `factor` (2) times as high as the list says",
}
_HOUR_S = 3600


def create(world: World, options: SandboxOptions) -> "IoNetMarket":
    """The market over a world."""
    return IoNetMarket(world, options)


class IoNetMarket(RentalMarket):
    """One account."""

    name = MARKET
    example = f"curl -s '{{url}}{PREFIX}/hardware' -H 'x-api-key: {{key}}'"

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        self.booked = Prepaid(world, restarts=True, backoff_s=options.restart_backoff_s)
        self.rentals = self.booked
        self.rentals.wallet = options.wallet_usd
        self._key = options.api_key
        self._catalog = Catalog(world)

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        made: list[tuple[str, str, Handler]] = [
            ("GET", "/hardware", self._hardware),
            ("GET", "/available-replicas", self._replicas),
            ("GET", "/price", self._price),
            ("POST", "/deploy", self._deploy),
            ("GET", "/deployments", self._list),
            ("GET", "/deployment/{id}", self._read),
            ("DELETE", "/deployment/{id}", self._destroy),
            ("GET", "/deployment/{id}/containers", self._containers),
            ("POST", "/deployment/{id}/extend", self._extend),
            ("GET", "/deployment/{id}/log/{container}", self._log),
        ]
        return [web.route(method, PREFIX + path, self._guarded(h)) for method, path, h in made]

    def key_of(self, path: str, body: bytes) -> str:
        """The name a request is about; empty when it has none."""
        if path == f"{PREFIX}/deploy":
            return _name(body)
        found = self.rentals.all.get(path.removeprefix(f"{PREFIX}/deployment/").split("/")[0])
        return found.key if found else ""

    def address_of(self, host: Host) -> str:
        """The market does not name machines; the sandbox does."""
        return host.name

    def settle(self) -> None:
        """Nothing accrues: bookings are paid, and an empty wallet ends none of them."""

    async def _hardware(self, request: web.Request) -> web.Response:
        return _data(self._catalog.hardware())

    async def _replicas(self, request: web.Request) -> web.Response:
        kind, gpus = request.query.get("hardware_id", ""), _whole(request.query, "hardware_qty")
        return _data(self._catalog.locations(kind, gpus))

    async def _price(self, request: web.Request) -> web.Response:
        query = request.query
        gpus, hours = _whole(query, "gpus_per_container"), _whole(query, "duration_hours")
        _whole(query, "replica_count")
        hosts = self._fitting(query.get("hardware_id", ""), _place(query), gpus)
        if not hosts:
            raise refused("No replicas are available for this configuration")
        quote = self._catalog.quote(hosts[0], gpus, hours)
        if rule := self.world.faults.take("price_rises", provider=hosts[0].name):
            quote["total_cost_usdc"] *= rule.number("factor", 2)
        return _data(quote)

    async def _deploy(self, request: web.Request) -> web.Response:
        body = await _json(request)
        key = str(body.get("resource_private_name") or "")
        write = self.world.ledger.write
        write(Event.CREATE_RECEIVED, market=MARKET, key=key)
        try:
            rental = self._deployed(checked(body))
        except ProblemError as problem:
            detail = {"status": problem.status, "message": str(problem)}
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=detail)
            raise
        return web.json_response({"status": "success", "deployment_id": rental.id})

    def _deployed(self, body: dict[str, Any]) -> Rental:
        gpus, hours = int(body["gpus_per_container"]), int(body["duration_hours"])
        places = body.get("location_ids") or [None]
        hosts = self._fitting(str(body["hardware_id"]), places[0], gpus)
        if not hosts:
            raise refused("No replicas are available for this configuration")
        host = hosts[0]
        total = self._catalog.total(host, gpus, hours)
        if self.balance_usd < total:
            raise refused("Insufficient credits balance for this deployment")
        rental = self._rental(host, gpus, hours, total / hours, body)
        self.booked.book(rental, total)
        if self.world.faults.take("incomplete_booking", key=rental.key, provider=host.name):
            self.booked.cancel(rental)
        return rental

    def _rental(
        self, host: Host, gpus: int, hours: int, rate: Decimal, body: dict[str, Any]
    ) -> Rental:
        now, share = self.world.now(), gpus / host.gpus
        wanted = str(body.get("resource_id") or uuid.uuid4())
        return Rental(
            # nobody promises that a second order with one id is refused: here it gets another
            id=str(uuid.uuid4()) if wanted in self.rentals.all else wanted,
            key=str(body["resource_private_name"]),
            host=host,
            slice=Slice(
                gpus,
                int(host.cpu_units * 1000 * share),
                int(host.memory_gib * 2**30 * share),
                10 * 2**30,
            ),
            rates=Rates(rate.quantize(Decimal("0.000001")), while_booting=True),
            service=service_of(body, gpus),
            created_at=now,
            ends_at=now + hours * _HOUR_S,
            details={
                "image": body["registry_config"]["image_url"],
                "container_config": body["container_config"],
                "hours": hours,
                "body": body,
            },
        )

    async def _list(self, request: web.Request) -> web.Response:
        query, now = request.query, self.world.now()
        page, size = int(query.get("page", "1")), min(int(query.get("page_size", "10")), 100)
        lines = [
            wire.listed(self.rentals, rental)
            for rental in sorted(self.rentals.all.values(), key=lambda r: (-r.created_at, r.id))
            if rental.listed_at <= now
        ]
        wanted = query.get("status")
        lines = [line for line in lines if wanted in {None, line["status"]}]
        start = max(0, page - 1) * size
        statuses = sorted({line["status"] for line in lines})
        rest = {"total": len(lines), "statuses": statuses}
        return _data({"deployments": lines[start : start + size], **rest})

    async def _read(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        if rental.listed_at > self.world.now():
            raise refused("Deployment not found", 404)
        found = wire.detail(self.rentals, rental, self._catalog)
        unpaid = self.world.faults.take("unpaid", key=rental.key)
        return _data(found | ({"status": "unpaid", "amount_paid": 0.0} if unpaid else {}))

    async def _destroy(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        if rental.state != "ended":
            self.rentals.close(rental)
        return web.json_response({"status": "success", "deployment_id": rental.id})

    async def _containers(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        workers = [] if rental.state == "ended" else [wire.container(self.rentals, rental)]
        return _data({"total": len(workers), "workers": workers})

    async def _extend(self, request: web.Request) -> web.Response:
        rental, more = self._known(request), (await _json(request)).get("duration_hours")
        if not isinstance(more, int) or more < 1:
            raise invalid([("duration_hours", "must be greater than 0")])
        raise refused(f"The sandbox does not extend {rental.id}: no adapter may ask for it")

    async def _log(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        is_out = request.query.get("stream", "stdout") == "stdout"  # programs have one here
        logs = self.world.executor.logs(rental.lease_name) if is_out else {}
        text = b"".join(logs.values())
        lines = [f"data: {line}\n\n" for line in text.decode(errors="replace").splitlines()]
        return web.Response(text="".join(lines), content_type="text/event-stream")

    def _fitting(self, hardware: str, place: int | None, gpus: int) -> list[Host]:
        hosts = self._catalog.hosts(hardware, place)
        return [host for host in hosts if host.online and host.free.gpus >= gpus]

    def _known(self, request: web.Request) -> Rental:
        rental = self.rentals.all.get(request.match_info["id"])
        if rental is None:
            raise refused("Deployment not found", 404)
        return rental

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("x-api-key", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return unauthorized().answer()
            self.world.timeline.run(self.world.clock.now())
            try:
                return await handler(request)
            except ProblemError as problem:
                return problem.answer()

        return guarded


def _data(content: Any) -> web.Response:
    return web.json_response({"data": content})


def _whole(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text.isdecimal() or int(text) < 1:
        raise invalid([(name, "must be a whole number greater than 0")])
    return int(text)


def _place(query: Mapping[str, str]) -> int | None:
    """A list of ids written as JSON in one string."""
    try:
        told = json.loads(query.get("location_ids", "null"))
    except ValueError as error:
        raise invalid([("location_ids", "must be a JSON array")]) from error
    if told is None:
        return None
    if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], int):
        raise invalid([("location_ids", "must be a JSON array of one id")])
    return int(told[0])


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise invalid([("", "malformed JSON")]) from error
    if not isinstance(body, dict):
        raise invalid([("", "value is not a valid dict")])
    return body


def _name(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("resource_private_name") or "") if isinstance(found, dict) else ""
