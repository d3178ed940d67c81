"""The Lium market as the sandbox holds it: its paths with their key check, its pods.

A pod bills from its rent until it is removed, by the tenant or at its own time. Built by `app.py`;
the fault layer, the control surface and the host keeper speak to this.
"""

import hmac
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from aiohttp import web

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.lium import wire
from overspill.sandbox.markets.lium.create import checked_rent, checked_template, service_of
from overspill.sandbox.markets.lium.errors import ApiError, invalid, missing
from overspill.sandbox.markets.lium.keys import Keys
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rates, Rental, RentalMarket, Rentals
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MARKET = "lium"
FEATURES = ["rent_idempotency", "rent_by_spec"]
FAULTS = {
    "rent_in_progress": "lium: the rent is done, its answer is 409 idempotency_in_progress",
    "outcome_unknown": "lium: the rent is done, its key knows only idempotency_outcome_unknown",
    "no_features": "lium: the market does not say that it honours keys",
    "never_begins": "lium: the pod's creation fails on the host",
    "hours_ignored": "lium: termination_hours has no effect",
    "dearer_pod": "lium: the pod comes at `factor` times the node's price",
}
PREFIXES = ("", "/api")
"""The real one has the second in its base URL."""
_LEAST_HOURS = Decimal("0.25")
"""A rent needs money for so long."""


def create(world: World, options: SandboxOptions) -> "LiumMarket":
    """The market over a world."""
    return LiumMarket(world, options)


class LiumMarket(RentalMarket):
    """One account."""

    name = MARKET
    example = "curl -s {url}/api/executors -H 'X-API-KEY: {key}'"

    def __init__(self, world: World, options: SandboxOptions) -> None:
        self.world = world
        self.rentals = Rentals(
            world, restarts=True, backoff_s=options.restart_backoff_s, ends_when_broke=True
        )
        self.rentals.wallet = options.wallet_usd
        self.templates: dict[str, dict[str, Any]] = {}
        self._key = options.api_key
        self._keys = Keys()
        self._ssh_keys: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """Every path, with the base URL's own prefix and without."""
        pod = "/pods/{id}"
        made: list[tuple[str, str, Handler]] = [
            ("GET", "/version", self._version),
            ("GET", "/executors", self._nodes),
            ("GET", "/machines", self._machines),
            ("POST", "/executors/{id}/rent", self._rent),
            ("GET", "/pods", self._list),
            ("GET", pod, self._read),
            ("DELETE", pod, self._remove),
            ("GET", pod + "/logs", self._logs),
            ("POST", pod + "/schedule-removal", self._schedule),
            ("DELETE", pod + "/schedule-removal", self._unschedule),
            ("GET", "/templates", self._list_templates),
            ("POST", "/templates", self._make_template),
            ("GET", "/templates/{id}", self._read_template),
            ("PUT", "/templates/{id}", self._change_template),
            ("GET", "/ssh-keys", self._list_ssh_keys),
            ("POST", "/ssh-keys", self._add_ssh_key),
            ("GET", "/users/me", self._user),
        ]
        return [
            web.route(method, prefix + path, self._guarded(handler))
            for method, path, handler in made
            for prefix in PREFIXES
        ]

    def key_of(self, path: str, body: bytes) -> str:
        """The name a rent or a pod's path is about; empty elsewhere."""
        if path.endswith("/rent"):
            return _pod_name(body)
        found = re.search(r"/pods/([^/]+)", path)
        rental = self.rentals.all.get(found[1]) if found else None
        return rental.key if rental else ""

    def address_of(self, host: Host) -> str:
        """The node's id."""
        return wire.node_id(host)

    async def _version(self, request: web.Request) -> web.Response:
        lacks = self.world.faults.take("no_features")
        return web.json_response({"version": "1.0", "features": [] if lacks else FEATURES})

    async def _nodes(self, request: web.Request) -> web.Response:
        nodes = [wire.node_json(host) for host in self.world.supply.hosts.values() if host.online]
        if request.query.get("reliable_only") == "true":
            nodes = [node for node in nodes if not node["frequent_rent_failures"]]
        wanted = set(filter(None, request.query.get("machine_names", "").split(",")))
        shown = [n for n in nodes if n["available_gpu_count"] and _is_named(n, wanted)]
        return web.json_response(shown)

    async def _machines(self, request: web.Request) -> web.Response:
        names = sorted({host.gpu.product_name for host in self.world.supply.hosts.values()})
        return web.json_response([{"name": name} for name in names])

    async def _rent(self, request: web.Request) -> web.Response:
        body, now = await _json(request), self.world.now()
        key = str(body.get("pod_name") or "")
        header = request.headers.get("Idempotency-Key", "")
        self.world.ledger.write(Event.CREATE_RECEIVED, market=MARKET, key=key)
        if self.balance_usd <= 0:  # before the key is looked up, as the real one does
            raise _poor()
        if header and (stored := self._keys.replay(header, now)) is not None:
            replayed = {"Idempotent-Replayed": "true"}
            return web.json_response(stored[1], status=stored[0], headers=replayed)
        if header:
            self._keys.begin(header, now)
        status, answer = self._outcome(request.match_info["id"], body)
        lost = self.world.faults.take("outcome_unknown", key=key)
        if header:
            self._keys.end(header, status, answer, is_lost=lost is not None)
        if lost:
            raise ApiError(409, "idempotency_outcome_unknown", "The outcome is not known.")
        if self.world.faults.take("rent_in_progress", key=key):
            raise ApiError(409, "idempotency_in_progress", "It is still being worked on.")
        return web.json_response(answer, status=status)

    def _outcome(self, node: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """What a first request comes to; a refusal is an outcome like any other."""
        key = str(body.get("pod_name") or "")
        try:
            rental = self._rented(node, checked_rent(body))
        except ApiError as error:
            detail = {"status": error.status, "message": str(error)}
            write = self.world.ledger.write
            write(Event.CREATE_REFUSED, market=MARKET, key=key, detail=detail)
            return error.status, error.body
        return 200, {"success": True, "pod_id": rental.id}

    def _rented(self, node: str, body: dict[str, Any]) -> Rental:
        host = next((h for h in self.world.supply.hosts.values() if wire.node_id(h) == node), None)
        template = self.templates.get(body["template_id"])
        if host is None or not host.online:
            raise missing("Executor")
        if template is None:
            raise missing("Template")
        free = host.free.gpus
        count = body.get("gpu_count") or free
        if count > free or count < 1 or (not host.audited and count < host.gpus):
            raise ApiError(400, "executor_unavailable", "The node has not that many GPUs to rent.")
        context = {"key": body["pod_name"], "provider": host.name}
        rises = self.world.faults.take("dearer_pod", **context)
        rate = (
            host.usd_per_gpu_hour * count * Decimal(str(rises.number("factor", 10) if rises else 1))
        )
        if self.balance_usd < rate * _LEAST_HOURS:
            raise _poor()
        rental = self.rentals.open(self._rental(host, count, rate, body, template))
        rental.details["never_begins"] = self.world.faults.take("never_begins", **context)
        ignored = self.world.faults.take("hours_ignored", **context)
        hours = None if ignored else body.get("termination_hours")
        if hours:
            self._end_at(rental, rental.created_at + hours * 3600)
            # the hours are counted anew from the boot
            self.world.timeline.at(rental.ready_at, partial(self._booted, rental, hours))
        return rental

    def _rental(
        self,
        host: Host,
        count: int,
        rate: Decimal,
        body: dict[str, Any],
        template: dict[str, Any],
    ) -> Rental:
        share = count / host.gpus
        return Rental(
            id=str(uuid.uuid4()),
            key=body["pod_name"],
            host=host,
            slice=Slice(
                count,
                int(host.cpu_units * 1000 * share),
                int(host.memory_gib * 2**30 * share),
                int(host.storage_gib * 2**30 * share),
            ),
            rates=Rates(rate, while_booting=True),
            service=service_of(template),
            created_at=self.world.now(),
            details={
                "template_id": body["template_id"],
                "user_public_key": body["user_public_key"],
                "removal_at": None,
            },
        )

    def _booted(self, rental: Rental, hours: int, at: float) -> None:
        if rental.state == "rented" and rental.details["removal_at"] is not None:
            self._end_at(rental, at + hours * 3600)

    def _end_at(self, rental: Rental, when: float) -> None:
        rental.details["removal_at"] = when
        self.world.timeline.at(when, partial(self._time_is_up, rental))

    def _time_is_up(self, rental: Rental, at: float) -> None:
        if rental.details["removal_at"] == at:
            self.rentals.end(rental, "removal_scheduled")

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response([self._pod(rental) for rental in self.rentals.listed()])

    async def _read(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        if rental.listed_at > self.world.now():
            raise missing("Pod")
        return web.json_response(self._pod(rental))

    async def _remove(self, request: web.Request) -> web.Response:
        rental = self._held(request)
        self.rentals.close(rental)
        template = self.templates.get(rental.details["template_id"], {})
        if rental.state == "ended" and template.get("one_time_template"):
            self.templates.pop(rental.details["template_id"])
        return web.json_response({"success": True})

    async def _schedule(self, request: web.Request) -> web.Response:
        rental, wanted = self._held(request), (await _json(request)).get("removal_scheduled_at")
        try:
            when = datetime.fromisoformat(str(wanted)).timestamp()
        except ValueError as error:
            raise invalid("removal_scheduled_at is not a time.") from error
        self._end_at(rental, when)
        return web.json_response({"success": True})

    async def _unschedule(self, request: web.Request) -> web.Response:
        self._held(request).details["removal_at"] = None
        return web.json_response({"success": True})

    async def _logs(self, request: web.Request) -> web.Response:
        logs = self.world.executor.logs(self._held(request).lease_name)
        lines = b"".join(logs.values()).splitlines()[-int(request.query.get("tail", "100")) :]
        return web.Response(body=b"".join(line + b"\n" for line in lines))

    async def _list_templates(self, request: web.Request) -> web.Response:
        shown = [wire.template_json(id_, body) for id_, body in self.templates.items()]
        return web.json_response(shown)

    async def _make_template(self, request: web.Request) -> web.Response:
        id_, body = str(uuid.uuid4()), checked_template(await _json(request))
        self.templates[id_] = body
        return web.json_response(wire.template_json(id_, body))

    async def _read_template(self, request: web.Request) -> web.Response:
        id_ = self._template(request)
        return web.json_response(wire.template_json(id_, self.templates[id_]))

    async def _change_template(self, request: web.Request) -> web.Response:
        id_ = self._template(request)
        self.templates[id_] = {**self.templates[id_], **(await _json(request))}
        return web.json_response(wire.template_json(id_, self.templates[id_]))

    async def _list_ssh_keys(self, request: web.Request) -> web.Response:
        return web.json_response(self._ssh_keys)

    async def _add_ssh_key(self, request: web.Request) -> web.Response:
        made = {"id": str(len(self._ssh_keys) + 1), **(await _json(request))}
        self._ssh_keys.append(made)
        return web.json_response(made)

    async def _user(self, request: web.Request) -> web.Response:
        return web.json_response({"id": "user-1", "balance": float(self.balance_usd)})

    def _pod(self, rental: Rental) -> dict[str, Any]:
        template = self.templates.get(rental.details["template_id"], {})
        return wire.pod_json(self.rentals, rental, template)

    def _template(self, request: web.Request) -> str:
        id_ = request.match_info["id"]
        if id_ not in self.templates:
            raise missing("Template")
        return id_

    def _held(self, request: web.Request) -> Rental:
        rental = self.rentals.all.get(request.match_info["id"])
        if rental is None or rental.state == "ended":
            raise missing("Pod")
        return rental

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("X-API-KEY", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return ApiError(401, "invalid_api_key", "Invalid API key").answer()
            self.world.timeline.run(self.world.clock.now())
            self.settle()
            try:
                return await handler(request)
            except ApiError as error:
                return error.answer()

        return guarded


def _poor() -> ApiError:
    said = "Insufficient balance. Renting this node requires 15 minutes of runtime."
    return ApiError(403, "insufficient_balance", said)


def _is_named(node: dict[str, Any], wanted: set[str]) -> bool:
    return not wanted or node["machine_name"] in wanted


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise invalid("The body is no JSON.") from error
    if not isinstance(body, dict):
        raise invalid("The body must be an object.")
    return body


def _pod_name(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("pod_name") or "") if isinstance(found, dict) else ""
