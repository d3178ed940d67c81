"""The Dispersed market as the sandbox holds it: signed paths, jobs, machines bigger than asked.

Built by `app.py`; the fault layer, the control surface and the host keeper speak to this. The
account's public key is the sandbox's key, its signing key the same with `sk_` before it.
"""

import json
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.dispersed import wire
from overspill.sandbox.markets.dispersed.auth import Gate
from overspill.sandbox.markets.dispersed.create import fault_of, service_of
from overspill.sandbox.markets.dispersed.hourly import Hourly
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rates, Rental, RentalMarket
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "dispersed"
NOT_ASSIGNED = "not_assigned"
FAULTS = {
    "bigger_node": "dispersed: a job gets a machine with `gpus` (6) GPUs, and pays for all",
    "never_assigned": "dispersed: a job stays PENDING until its assign timeout, then FAILED",
}


def create(world: World, options: SandboxOptions) -> "DispersedMarket":
    """The market over a world."""
    return DispersedMarket(world, options)


class DispersedMarket(RentalMarket):
    """One account."""

    name = MARKET
    example = "every request is signed: X-API-Key {key}, HMAC key sk_{key}, base {url}"

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        self.hourly = Hourly(world, restarts=False, backoff_s=options.restart_backoff_s)
        self.rentals = self.hourly
        self.rentals.wallet = options.wallet_usd
        self._gate = Gate(options.api_key, f"sk_{options.api_key}")

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        made: list[tuple[str, str, Handler]] = [
            ("GET", "/v1/gpu-registry", self._registry),
            ("GET", "/v1/jobs", self._list),
            ("POST", "/v1/jobs", self._create),
            ("GET", "/v1/jobs/{id}", self._read),
            ("PUT", "/v1/jobs/{id}/cancel", self._cancel),
            ("GET", "/v1/job-runs", self._runs),
            ("GET", "/v1/job-runs/{id}", self._run),
        ]
        return [web.route(method, path, self._guarded(h)) for method, path, h in made]

    def key_of(self, path: str, body: bytes) -> str:
        """The title a request is about; empty when it has none."""
        if path == "/v1/jobs":
            return _title(body)
        found = self.rentals.all.get(path.removeprefix("/v1/jobs/").split("/")[0])
        return found.key if found else ""

    def address_of(self, host: Host) -> str:
        """The market's name of a machine."""
        return f"node-{host.name}"

    def settle(self) -> None:
        """Ends what exited, then charges."""
        self.hourly.end_what_exited()
        super().settle()

    async def _registry(self, request: web.Request) -> web.Response:
        kinds: dict[str, list[Host]] = {}
        for host in self.world.supply.hosts.values():
            kinds.setdefault(host.gpu.product_name, []).append(host)
        only = request.query.get("filter[only_available]") == "true"
        shown = [wire.gpu_json(name, hosts) for name, hosts in sorted(kinds.items())]
        return _page(request, [kind for kind in shown if kind["available"] or not only])

    async def _list(self, request: web.Request) -> web.Response:
        newest = sorted(self.rentals.all.values(), key=lambda r: (-r.created_at, r.id))
        now = self.world.now()
        jobs = [wire.job_json(self.rentals, r) for r in newest if r.listed_at <= now]
        wanted = set(filter(None, request.query.get("filter[status]", "").split(",")))
        return _page(request, [job for job in jobs if not wanted or job["status"] in wanted])

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = str(body.get("title") or "") if isinstance(body, dict) else ""
        write = self.world.ledger.write
        write(Event.CREATE_RECEIVED, market=MARKET, key=key)
        fault = fault_of(body)
        if fault:
            detail = {"status": 400, "message": fault}
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=detail)
            return _refused(400, fault)
        rental = self._created(body)
        return web.json_response({"data": wire.job_json(self.rentals, rental)}, status=201)

    def _created(self, body: dict[str, Any]) -> Rental:
        key, gpus = str(body["title"]), int(body.get("gpu_count", 1))
        if bigger := self.world.faults.take("bigger_node", key=key):
            gpus = int(bigger.number("gpus", 6))
        hosts = self._fitting(str(body.get("gpu_name") or ""), gpus)
        never = self.world.faults.take("never_assigned", key=key)
        if hosts and not never:
            return self.rentals.open(self._rental(hosts[0], gpus, body))
        anywhere = next(iter(self.world.supply.hosts.values()))
        waiting = self.rentals.open_stopped(self._rental(anywhere, gpus, body))
        seconds = int(body.get("max_timeout_assign_ms") or 300_000) / 1000
        when = waiting.created_at + seconds
        self.world.timeline.at(when, partial(self._not_assigned, waiting))
        return waiting

    def _not_assigned(self, rental: Rental, _at: float) -> None:
        self.rentals.end(rental, NOT_ASSIGNED)

    def _fitting(self, gpu: str, gpus: int) -> list[Host]:
        hosts = [
            h
            for h in self.world.supply.hosts.values()
            if h.online and h.free.gpus >= gpus and gpu in {"", h.gpu.product_name}
        ]
        return sorted(hosts, key=lambda host: host.usd_per_gpu_hour)

    def _rental(self, host: Host, gpus: int, body: dict[str, Any]) -> Rental:
        now, longest = self.world.now(), body.get("max_timeout_run_ms")
        return Rental(
            id=str(uuid.uuid4()),
            key=str(body["title"]),
            host=host,
            slice=Slice(gpus, 1000 * int(body.get("cpu_count", 1)), 2**30, 2**30),
            rates=Rates(host.usd_per_gpu_hour * gpus),
            service=service_of(body),
            created_at=now,
            ends_at=now + longest / 1000 if longest else None,
            details={"body": body, "run": str(uuid.uuid4())},
        )

    async def _read(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        if rental is None or rental.listed_at > self.world.now():
            return _refused(404, "Job not found")
        return web.json_response(wire.job_json(self.rentals, rental))

    async def _cancel(self, request: web.Request) -> web.Response:
        rental = self._known(request)
        if rental is None:
            return _refused(404, "Job not found")
        if rental.state == "ended":
            return _refused(400, "Job is over already")
        self.rentals.close(rental)
        return web.json_response({"data": wire.job_json(self.rentals, rental)})

    async def _runs(self, request: web.Request) -> web.Response:
        rental = self.rentals.all.get(request.query.get("filter[job_uuid]", ""))
        runs = [wire.run_json(self.rentals, rental)] if rental and self._has_run(rental) else []
        return _page(request, runs)

    async def _run(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        for rental in self.rentals.all.values():
            if rental.details["run"] == wanted and self._has_run(rental):
                printed = self.world.executor.logs(rental.lease_name)
                return web.json_response({"data": wire.logged_json(self.rentals, rental, printed)})
        return _refused(404, "Job run not found")

    def _has_run(self, rental: Rental) -> bool:
        """A job that never got a machine has none, also when it is over."""
        is_assigned = rental.state != "stopped" and rental.ended_why != NOT_ASSIGNED
        return is_assigned and wire.status_of(self.rentals, rental) != "PENDING"

    def _known(self, request: web.Request) -> Rental | None:
        return self.rentals.all.get(request.match_info["id"])

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self.world.timeline.run(self.world.clock.now())
            refusal = await self._gate.refusal(request, self.world.now())
            if refusal:
                return _refused(401, refusal)
            self.settle()
            return await handler(request)

        return guarded


def _page(request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
    page, limit = int(request.query.get("page", "1")), int(request.query.get("limit", "20"))
    if not 1 <= limit <= 50 or page < 1:
        return _refused(400, "limit must be between 1 and 50")
    start = (page - 1) * limit
    where = {"page": page, "limit": limit, "total": len(rows)}
    return web.json_response({"data": rows[start : start + limit], **where})


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _title(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("title") or "") if isinstance(found, dict) else ""
