"""The SaladCloud market as the sandbox holds it: its paths with their key check, its groups.

A group is asked for by name, which is used up for ever. It waits for a machine as long as it
takes; a machine that leaves is replaced without a word. Built by `app.py`.
"""

import hmac
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.salad import wire
from overspill.sandbox.markets.salad.catalog import Catalog, machine_id
from overspill.sandbox.markets.salad.create import checked, service_of
from overspill.sandbox.markets.salad.errors import ProblemError, missing
from overspill.sandbox.markets.salad.logs import answer_query
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rates, Rental, RentalMarket, Rentals
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "salad"
FAULTS = {
    "reallocated": "salad: `seconds` after it began the group goes on on another machine",
}
PREFIXES = ("", "/api/public")
"""The real one has the second in its base URL."""
_QUOTA = 250


def create(world: World, options: SandboxOptions) -> "SaladMarket":
    """The market over a world."""
    return SaladMarket(world, options)


class SaladMarket(RentalMarket):
    """One key, with any organization and project."""

    name = MARKET
    example = "curl -s {url}/api/public/organizations/mine/gpu-classes -H 'Salad-Api-Key: {key}'"

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        self.rentals = Rentals(world, restarts=False, backoff_s=options.restart_backoff_s)
        self.rentals.wallet = options.wallet_usd
        self._key = options.api_key
        self._catalog = Catalog(world)
        self._used: set[tuple[str, str]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Every path, with the base URL's own prefix and without."""
        organization = "/organizations/{organization}"
        groups = organization + "/projects/{project}/containers"
        one = groups + "/{name}"
        made: list[tuple[str, str, Handler]] = [
            ("GET", organization + "/gpu-classes", self._classes),
            ("POST", organization + "/availability/sce-gpu-availability", self._availability),
            ("GET", organization + "/quotas", self._quotas),
            ("POST", organization + "/log-entries", self._logs),
            ("GET", groups, self._list),
            ("POST", groups, self._create),
            ("GET", one, self._read),
            ("DELETE", one, self._delete),
            ("POST", one + "/start", self._start),
            ("POST", one + "/stop", self._stop),
            ("GET", one + "/instances", self._instances),
            ("POST", one + "/instances/{instance}/reallocate", self._reallocate),
        ]
        return [
            web.route(method, prefix + path, self._guarded(handler))
            for method, path, handler in made
            for prefix in PREFIXES
        ]

    def key_of(self, path: str, body: bytes) -> str:
        """The name a request is about; empty when it has none."""
        found = re.search(r"/containers(?:/([^/]+))?", path)
        return "" if found is None else found[1] or _name(body)

    def address_of(self, host: Host) -> str:
        """The machine's id."""
        return machine_id(host)

    def settle(self) -> None:
        """Ends what exited, then charges, and looks for machines for what has none."""
        for rental in self.rentals.held():
            self._see_exit(rental)
        super().settle()
        self._find_machines()

    def host_down(self, host: Host) -> None:
        """What ran there goes on elsewhere."""
        super().host_down(host)
        self._find_machines()

    def host_up(self, host: Host) -> None:
        """What found no machine begins here."""
        for rental in self.rentals.on(host):
            self.rentals.settle(rental, was_online=False)
            self.rentals.place(rental, host)
        self._find_machines()

    async def _classes(self, request: web.Request) -> web.Response:
        return web.json_response({"items": self._catalog.classes()})

    async def _availability(self, request: web.Request) -> web.Response:
        body = await _json(request)
        free = self._catalog.free(body.get("gpu_classes") or [], body.get("country_codes") or [])
        words = ("high", "medium", "low", "batch")
        return web.json_response({f"available_gpu_{word}": free for word in words})

    async def _quotas(self, request: web.Request) -> web.Response:
        used = sum(1 for r in self.rentals.held() if r.state == "rented")
        quotas = {"container_replicas_quota": _QUOTA, "container_replicas_used": used}
        return web.json_response({"container_groups_quotas": quotas})

    async def _logs(self, request: web.Request) -> web.Response:
        organization, query = request.match_info["organization"], await _json(request)
        return web.json_response(answer_query(self.rentals, organization, query))

    async def _list(self, request: web.Request) -> web.Response:
        project = request.match_info["project"]
        shown = [r for r in self.rentals.listed() if r.details["project"] == project]
        return web.json_response({"items": [wire.group_json(self.rentals, r) for r in shown]})

    async def _create(self, request: web.Request) -> web.Response:
        body = await _json(request)
        key = str(body.get("name") or "")
        write = self.world.ledger.write
        write(Event.CREATE_RECEIVED, market=MARKET, key=key)
        try:
            rental = self._made(checked(body), request.match_info)
        except ProblemError as problem:
            detail = {"status": problem.status, "message": str(problem)}
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=detail)
            raise
        location = f"{request.path}/{key}"
        answer = wire.group_json(self.rentals, rental)
        return web.json_response(answer, status=201, headers={"Location": location})

    def _made(self, body: dict[str, Any], where: web.UrlMappingMatchInfo) -> Rental:
        classes = body["container"]["resources"]["gpu_classes"]
        name = (where["project"], body["name"])
        if not all(map(self._catalog.knows, classes)):
            raise ProblemError(400, "A GPU class is not known.")
        if self.balance_usd <= 0:
            raise ProblemError(403, "The organization has no credit balance left.")
        if name in self._used:
            raise ProblemError(400, "A container group of this name exists or has existed.")
        self._used.add(name)
        rental = self._rental(body, where)
        if body["autostart_policy"] and body["replicas"] and self._seek(rental):
            self.rentals.open(rental)
            self._plan_move(rental)
        else:
            self.rentals.open_stopped(rental)
            rental.details["waits"] = bool(body["autostart_policy"] and body["replicas"])
        return rental

    def _rental(self, body: dict[str, Any], where: web.UrlMappingMatchInfo) -> Rental:
        resources, now, group = body["container"]["resources"], self.world.now(), str(uuid.uuid4())
        host = self._catalog.any_host(resources["gpu_classes"])
        priority = body["container"].get("priority") or "batch"
        rate = self._catalog.price(resources["gpu_classes"][0], priority)
        disk = int(resources.get("storage_amount") or 2**30)
        return Rental(
            id=group,
            key=body["name"],
            host=host,
            slice=Slice(1, resources["cpu"] * 1000, resources["memory"] * 2**20, disk),
            rates=Rates(rate),  # for the running instance, with all that belongs to it
            service=service_of(body, group, machine_id(host)),
            created_at=now,
            details={
                "body": body,
                "organization": where["organization"],
                "project": where["project"],
                "created_at": now,
            },
        )

    async def _read(self, request: web.Request) -> web.Response:
        return web.json_response(wire.group_json(self.rentals, self._held(request)))

    async def _delete(self, request: web.Request) -> web.Response:
        self.rentals.close(self._held(request))
        return web.Response(status=202)

    async def _start(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        rental.details.pop("exit_code", None)
        rental.details["waits"] = rental.state == "stopped"
        self._find_machines()
        return web.Response(status=202)

    async def _stop(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        rental.details["waits"] = False
        self.rentals.stop(rental, "owner")
        return web.Response(status=202)

    async def _instances(self, request: web.Request) -> web.Response:
        shown = wire.instances_json(self.rentals, self._held(request))
        return web.json_response({"instances": shown})

    async def _reallocate(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        if request.match_info["instance"] != wire.instance_id(rental):
            raise missing()
        self._move(rental, 0)
        return web.Response(status=202)

    def _plan_move(self, rental: Rental) -> None:
        context = {"key": rental.key, "provider": rental.host.name}
        if rule := self.world.faults.take("reallocated", **context):
            at = self.world.now() + rule.number("seconds", 10)
            self.world.timeline.at(at, partial(self._move, rental))

    def _move(self, rental: Rental, _at: float) -> None:
        """Goes to another machine, or waits where it is for one."""
        classes = rental.details["body"]["container"]["resources"]["gpu_classes"]
        host = self._catalog.host(classes, rental.slice, self._countries(rental), rental.host)
        if rental.state == "rented":
            self.rentals.place(rental, host or rental.host)

    def _find_machines(self) -> None:
        for rental in self.rentals.held():
            is_lost = rental.state == "rented" and not rental.host.online
            if (is_lost or rental.details.get("waits")) and self._seek(rental, place=True):
                rental.details["waits"] = False

    def _seek(self, rental: Rental, *, place: bool = False) -> bool:
        classes = rental.details["body"]["container"]["resources"]["gpu_classes"]
        host = self._catalog.host(classes, rental.slice, self._countries(rental))
        if host is None:
            return False
        if place:
            self.rentals.place(rental, host)
        else:
            rental.host = host
        return True

    def _countries(self, rental: Rental) -> list[str]:
        found: list[str] = rental.details["body"].get("country_codes") or []
        return found

    def _see_exit(self, rental: Rental) -> None:
        if rental.state != "rented" or (state := self.rentals.service(rental)) is None:
            return
        policy, code = rental.details["body"]["restart_policy"], state.exit_code
        if code is None:
            return
        if policy == "always" or (policy == "on_failure" and code):
            self._move(rental, 0)
            return
        self.rentals.stop(rental, "exited")
        rental.details["exit_code"] = code

    def _held(self, request: web.Request) -> Rental:
        wanted = (request.match_info["project"], request.match_info["name"])
        for rental in self.rentals.held():
            if (rental.details["project"], rental.key) == wanted:
                return rental
        raise missing()

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Salad-Api-Key", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return ProblemError(401, "The API key is not valid.").answer()
            self.world.timeline.run(self.world.clock.now())
            self.settle()
            try:
                return await handler(request)
            except ProblemError as problem:
                return problem.answer()

        return guarded


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ProblemError(400, "The body is no JSON.") from error
    if not isinstance(body, dict):
        raise ProblemError(400, "The body must be an object.")
    return body


def _name(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("name") or "") if isinstance(found, dict) else ""
