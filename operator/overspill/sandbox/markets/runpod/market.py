"""The RunPod market as the sandbox holds it: its paths with their key check, its pods.

Built by `app.py`; the fault layer, the control surface and the host keeper speak to this.
"""

import base64
import hmac
import itertools
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.runpod import wire
from overspill.sandbox.markets.runpod.catalog import Catalog, data_center
from overspill.sandbox.markets.runpod.create import (
    checked,
    command_of,
    disk_usd_per_hour,
    ports_of,
)
from overspill.sandbox.markets.runpod.errors import NO_CAPACITY, ProblemError, invalid
from overspill.sandbox.markets.runpod.graphql import GraphQl
from overspill.sandbox.markets.runpod.logs import stream_log
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rates, Rental, RentalMarket, Rentals
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.workload import Service
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "runpod"
PAGE = 100
FAULTS = {
    "no_capacity": "runpod: a create is refused with 400 and prose, as when nothing is left",
    "pool_forbidden": "runpod: a create is refused with 403",
    "cost_unknown": "runpod: a pod's cost reads 0",
}
_ID_ALPHABET = "abcdefghijkmnopqrstuvwxyz0123456789"


def create(world: World, options: SandboxOptions) -> "RunPodMarket":
    """The market over a world."""
    return RunPodMarket(world, options)


class RunPodMarket(RentalMarket):
    """One account."""

    name = MARKET
    example = (
        "curl -s '{url}/v2/catalog/gpus?include=AVAILABILITY&product=POD' "
        "-H 'Authorization: Bearer {key}'"
    )

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        self.rentals = Rentals(
            world, restarts=True, backoff_s=options.restart_backoff_s, ends_when_broke=True
        )
        self.rentals.wallet = options.wallet_usd
        self._key = options.api_key
        self._catalog = Catalog(world)
        self._numbers = itertools.count(1)
        self._graph = GraphQl(self.rentals, self._catalog, self._ordered)

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        made: list[tuple[str, str, Handler]] = [
            ("GET", "/v2/catalog/gpus", self._gpus),
            ("GET", "/v2/pods", self._list),
            ("POST", "/v2/pods", self._create),
            ("GET", "/v2/pods/{id}", self._read),
            ("DELETE", "/v2/pods/{id}", self._terminate),
            ("POST", "/v2/pods/{id}/action", self._act),
            ("GET", "/v2/pods/{id}/logs", self._logs),
            ("POST", "/graphql", self._graphql),
        ]
        return [web.route(method, path, self._guarded(h)) for method, path, h in made]

    def key_of(self, path: str, body: bytes) -> str:
        """The name a request is about; empty when it has none."""
        if path == "/v2/pods":
            return _name(body)
        found = self.rentals.all.get(path.removeprefix("/v2/pods/").split("/")[0])
        return found.key if found else ""

    def address_of(self, host: Host) -> str:
        """The market does not name machines; the sandbox does."""
        return host.name

    async def _gpus(self, request: web.Request) -> web.Response:
        query = request.query
        with_stock = "AVAILABILITY" in query.get("include", "")
        if with_stock != ("product" in query):
            raise ProblemError(400, "product is required with include=AVAILABILITY, and only then")
        return web.json_response({"gpus": self._catalog.gpus(query)})

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        limit = min(int(query.get("limit", PAGE)), 1000)
        shown = sorted(self.rentals.listed(), key=lambda r: (r.created_at, r.id))
        start = _position(query.get("cursor", ""))
        page = shown[start : start + limit]
        end = start + len(page)
        more = end < len(shown)
        pagination = {"hasNextPage": more, "nextCursor": _cursor(end) if more else None}
        pods = [self._pod(rental) for rental in page]
        return web.json_response({"pods": pods, "pagination": pagination})

    async def _create(self, request: web.Request) -> web.Response:
        return web.json_response(self._pod(self._ordered(await _json(request))), status=201)

    async def _graphql(self, request: web.Request) -> web.Response:
        document = (await _json(request)).get("query")
        return web.json_response(self._graph.answer(str(document)))

    def _ordered(self, body: dict[str, Any]) -> Rental:
        """A pod of a body, with what came of it in the ledger."""
        key = str(body.get("name") or "")
        write = self.world.ledger.write
        write(Event.CREATE_RECEIVED, market=MARKET, key=key)
        try:
            return self._rented(checked(body))
        except ProblemError as problem:
            detail = {"status": problem.status, "message": str(problem)}
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=detail)
            raise

    def _rented(self, body: dict[str, Any]) -> Rental:
        gpu, count = str(body["gpu"]["id"]), int(body["gpu"].get("count", 1))
        cloud, wanted = body.get("cloud", "SECURE"), set(body.get("dataCenterIds") or [])
        context = {"key": str(body["name"])}
        if self.world.faults.take("pool_forbidden", **context):
            raise ProblemError(403, "access denied")
        fitting = [
            host
            for host in self._catalog.hosts(gpu, cloud)
            if host.online
            and host.free.gpus >= count
            and (not wanted or data_center(host) in wanted)
        ]
        if not fitting or self.world.faults.take("no_capacity", **context):
            raise ProblemError(400, NO_CAPACITY)
        disk = int(body.get("disk") or 20)
        rate = self._catalog.price(gpu, cloud) * count + disk_usd_per_hour(disk)
        if self.rentals.balance_usd < rate:
            raise ProblemError(402, "Your balance is too low to run this pod for an hour.")
        return self.rentals.open(self._rental(fitting[0], count, rate, disk, body))

    def _rental(
        self, host: Host, count: int, rate: Decimal, disk: int, body: dict[str, Any]
    ) -> Rental:
        share = count / host.gpus
        command, env = command_of(str(body.get("args") or "")), dict(body.get("env") or {})
        pod = self._new_id()
        return Rental(
            id=pod,
            key=str(body["name"]),
            host=host,
            slice=Slice(
                count,
                int(host.cpu_units * 1000 * share),
                int(host.memory_gib * 2**30 * share),
                disk * 10**9,
            ),
            # the container's disk is paid only while the container runs
            rates=Rates(rate.quantize(Decimal("0.000001")), while_booting=True),
            service=Service(
                "pod",
                command[:1],
                command[1:],
                [*env.items(), ("RUNPOD_POD_ID", pod), ("RUNPOD_GPU_COUNT", str(count))],
                ports_of(body),
            ),
            created_at=self.world.now(),
            details={
                "image": body["image"],
                "args": str(body.get("args") or ""),
                "disk": disk,
                "ports": list(body.get("ports") or []),
                "env": env,
                "registry": body.get("registry"),
            },
        )

    async def _read(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        if rental.listed_at > self.world.now():
            raise ProblemError(404, "pod not found")
        return web.json_response(self._pod(rental))

    async def _terminate(self, request: web.Request) -> web.Response:
        self.rentals.close(self._held(request))
        return web.Response(status=204)

    async def _act(self, request: web.Request) -> web.Response:
        rental, action = self._held(request), (await _json(request)).get("action")
        if action == "terminate":
            self.rentals.close(rental)
        elif action == "stop":
            self.rentals.stop(rental, "owner")
        else:
            raise ProblemError(400, f"the sandbox does not know the action {action!r}")
        return web.json_response(self._pod(rental))

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        rental = self._held(request)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream_log(self.world, rental, stream, int(request.query.get("tail", "100")))
        return stream

    def _pod(self, rental: Rental) -> dict[str, Any]:
        found = wire.pod_json(self.rentals, rental)
        unknown = self.world.faults.take("cost_unknown", key=rental.key)
        return found | ({"cost": 0.0} if unknown else {})

    def _held(self, request: web.Request) -> Rental:
        rental = self.rentals.all.get(request.match_info["id"])
        if rental is None or rental.state == "ended":
            raise ProblemError(404, "pod not found")
        return rental

    def _new_id(self) -> str:
        number, text = next(self._numbers) * 7_919_993 + 36**12, ""
        while number:
            number, digit = divmod(number, len(_ID_ALPHABET))
            text += _ID_ALPHABET[digit]
        return text

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
                return ProblemError(401, "invalid bearer token").answer()
            self.world.timeline.run(self.world.clock.now())
            self.settle()
            try:
                answer = await handler(request)
            except ProblemError as problem:
                answer = problem.answer()
            if not answer.prepared:
                answer.headers["RateLimit-Policy"] = '"minute";q=60;w=60'
                answer.headers["RateLimit"] = '"minute";r=59;t=60'
            return answer

        return guarded


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ProblemError(400, "malformed JSON") from error
    if not isinstance(body, dict):
        raise invalid(["$: must be an object"])
    return body


def _name(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("name") or "") if isinstance(found, dict) else ""


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode()


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        raise ProblemError(400, "invalid cursor") from error
