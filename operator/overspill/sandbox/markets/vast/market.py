"""The Vast.ai market as the sandbox holds it: its paths with their key check, its instances.

Built by `app.py`; the fault layer, the control surface and the host keeper speak to this.
"""

import base64
import hmac
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.vast import errors, wire
from overspill.sandbox.markets.vast.asks import Asks
from overspill.sandbox.markets.vast.create import rental_of
from overspill.sandbox.markets.vast.errors import ApiError
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rental, RentalMarket, Rentals
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "vast"
PAGE = 25
FAULTS = {
    "offer_gone": "vast: the ask is gone when it is rented (404, or 410 with cancel_unavail)",
    "refused_with_contract": "vast: the create is refused, and leaves a stopped instance behind",
    "price_moves": "vast: the instance comes at `factor` times the ask's price",
}


def create(world: World, options: SandboxOptions) -> "VastMarket":
    """The market over a world."""
    return VastMarket(world, options)


class VastMarket(RentalMarket):
    """One account."""

    name = MARKET
    example = (
        "curl -s {url}/api/v0/bundles/ -H 'Authorization: Bearer {key}' "
        """-d '{"num_gpus": {"eq": 1}, "limit": 3}'"""
    )

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        # the market's word for a container that ended is `exited`: it is not started again
        self.rentals = Rentals(world, restarts=False, backoff_s=options.restart_backoff_s)
        self.rentals.wallet = options.wallet_usd
        self._key = options.api_key
        self._asks = Asks(world)
        self._ids = itertools.count(30_000_001)

    def routes(self) -> list[web.RouteDef]:
        """Every path, with and without a slash at its end, as the real one."""
        one = "/api/v0/instances/{id}"
        made: list[tuple[str, str, Handler]] = [
            ("POST", "/api/v0/bundles", self._search),
            ("PUT", "/api/v0/asks/{id}", self._take),
            ("GET", "/api/v1/instances", self._list),
            ("GET", one, self._read),
            ("PUT", one, self._change),
            ("DELETE", one, self._destroy),
            ("PUT", "/api/v0/instances/request_logs/{id}", self._request_logs),
            ("GET", "/api/v0/users/current", self._user),
        ]
        return [
            web.route(method, path + end, self._guarded(handler))
            for method, path, handler in made
            for end in ("", "/")
        ] + [web.get("/_s3/instance_logs/{id}.log", self._log_file)]

    def key_of(self, path: str, body: bytes) -> str:
        """The label a request is about; empty when it has none."""
        if "/asks/" in path:
            return _label(body)
        found = self.rentals.all.get(path.strip("/").rsplit("/", 1)[-1])
        return found.key if found else ""

    def address_of(self, host: Host) -> str:
        """The machine's number."""
        return str(self._asks.machine_id(host))

    async def _search(self, request: web.Request) -> web.Response:
        query = await _json(request)
        return web.json_response({"offers": self._asks.search(query)})

    async def _take(self, request: web.Request) -> web.Response:
        body, ask = await _json(request), _number(request)
        key, detail = str(body.get("label") or ""), {"ask": ask}
        write = self.world.ledger.write
        write(Event.CREATE_RECEIVED, market=MARKET, key=key, detail=detail)
        try:
            rental = self._rented(ask, body)
        except ApiError as error:
            said = {**detail, "message": str(error)}
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=said)
            raise
        return web.json_response({"success": True, "new_contract": int(rental.id)})

    def _rented(self, ask: int, body: dict[str, Any]) -> Rental:
        found = self._asks.find(ask)
        context = {"key": str(body.get("label") or ""), "provider": found[0].name if found else ""}
        if found is None or self.world.faults.take("offer_gone", **context):
            raise errors.gone(ask, cancel_unavail=body.get("cancel_unavail") is True)
        if self.rentals.balance_usd <= 0:
            raise errors.invalid("Your account lacks credit; see the billing page.")
        host, size = found
        made = rental_of(str(next(self._ids)), host, size, body, self.world)
        made.ends_at = self._asks.contract_ends
        too_low = made.details["is_bid"] and made.rates.running < wire.base_usd_per_hour(
            host, size, bid=True
        )
        if too_low or self.world.faults.take("refused_with_contract", **context):
            self.rentals.open_stopped(made)
            text = "error 400/3520: the bid is too low to start now."
            raise ApiError(400, "invalid_price", text, new_contract=int(made.id))
        self._asks.consume(host, size)
        return self.rentals.open(made)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        filters = json.loads(query.get("select_filters") or "{}")
        shown = [self._instance(rental) for rental in self.rentals.listed()]
        fitting = [i for i in shown if all(_fits(i.get(n), f) for n, f in filters.items())]
        limit = min(int(query.get("limit", PAGE)), PAGE)
        after = _position(query.get("after_token", ""))
        rest = [i for i in fitting if i["id"] > after]
        page = rest[: limit if limit > 0 else 5]
        more = len(rest) > len(page)
        labels = [i["label"] or "" for i in fitting]
        return web.json_response(
            {
                "success": True,
                "instances_found": len(page),
                "total_instances": len(fitting),
                "label_counts": {label: labels.count(label) for label in labels},
                "next_token": _token(page[-1]["id"]) if more else None,
                "instances": page,
            }
        )

    async def _read(self, request: web.Request) -> web.Response:
        rental = self.rentals.all.get(str(_number(request)))
        gone = rental is None or rental.state == "ended" or rental.listed_at > self.world.now()
        return web.json_response({"instances": None if gone else self._instance(rental)})

    async def _change(self, request: web.Request) -> web.Response:
        rental, body = self._held(request), await _json(request)
        if body.get("state") == "stopped":
            self.rentals.stop(rental, "owner")
        if "label" in body:
            rental.key = str(body["label"])
        return web.json_response({"success": True})

    async def _destroy(self, request: web.Request) -> web.Response:
        self.rentals.close(self._held(request))
        return web.json_response({"success": True, "msg": "Instance destroyed successfully"})

    async def _request_logs(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        url = f"{self.world.base_url}/_s3/instance_logs/{rental.id}.log"
        return web.json_response({"success": True, "result_url": url, "msg": ""})

    async def _log_file(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:  # an object store takes no second key
            return web.Response(status=400, text="<Error>InvalidArgument</Error>")
        rental = self.rentals.all.get(request.match_info["id"])
        logs = self.world.executor.logs(rental.lease_name) if rental else {}
        return web.Response(body=b"".join(logs.values()), content_type="text/plain")

    async def _user(self, request: web.Request) -> web.Response:
        credit = float(self.rentals.balance_usd)
        return web.json_response(
            {"id": 7, "email": "sandbox@local", "balance": 0.0, "credit": credit, "sid": "s"}
        )

    def _instance(self, rental: Rental | None) -> dict[str, Any]:
        assert rental is not None  # noqa: S101 -- both callers have looked
        return wire.instance_json(self.rentals, rental, self._asks.machine_id(rental.host))

    def _held(self, request: web.Request) -> Rental:
        rental = self.rentals.all.get(str(_number(request)))
        if rental is None or rental.state == "ended":
            raise ApiError(404, "not_found", "Instance not found")
        return rental

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
                status = 404 if "/bundles" in request.path else 401
                body = {"success": False, "error": "auth_error", "msg": "Invalid user key"}
                return web.json_response(body, status=status)
            self.world.timeline.run(self.world.clock.now())
            self.settle()
            try:
                return await handler(request)
            except ApiError as error:
                return web.json_response(error.body, status=error.status)

        return guarded


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ApiError(400, "invalid_request", "Invalid json body") from error
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request", "Invalid json body")
    return body


def _number(request: web.Request) -> int:
    raw = request.match_info["id"]
    if not raw.isdigit():
        raise errors.invalid("'id' is required and must be a number")
    return int(raw)


def _label(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("label") or "") if isinstance(found, dict) else ""


def _token(last: int) -> str:
    return base64.b64encode(json.dumps({"values": {"id": last}}).encode()).decode()


def _position(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.b64decode(token))["values"]["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise errors.invalid("after_token") from error


def _fits(value: Any, wanted: dict[str, Any]) -> bool:
    for operator, operand in wanted.items():
        if operator == "eq" and value != operand:
            return False
        if operator == "in" and value not in operand:
            return False
    return True
