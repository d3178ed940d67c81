"""The sandbox's own surface under `/_sandbox`: ledger, summary, faults, hosts, clock, leases.

For tests, the demo and people with curl; no market has it. It listens on loopback only.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from aiohttp import web

from overspill.sandbox.clock import iso
from overspill.sandbox.fleet import Fleet
from overspill.sandbox.hosts import HostKeeper
from overspill.sandbox.summary import summarise
from overspill.sandbox.supply import Host
from overspill.sandbox.workload import NotPossibleError
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Control:
    """Handlers over one sandbox."""

    def __init__(self, world: World, fleet: Fleet, hosts: HostKeeper) -> None:
        self._world = world
        self._fleet = fleet
        self._hosts = hosts

    def routes(self) -> list[web.RouteDef]:
        """Every control path."""
        lease = "/_sandbox/leases/{lease}"
        made: list[tuple[Callable[..., web.RouteDef], str, Handler]] = [
            (web.get, "/_sandbox/ledger", self._ledger),
            (web.get, "/_sandbox/summary", self._summary),
            (web.get, "/_sandbox/hosts", self._list_hosts),
            (web.post, "/_sandbox/hosts/{host}/kill", self._kill),
            (web.post, "/_sandbox/hosts/{host}/revive", self._revive),
            (web.post, "/_sandbox/hosts/{host}/price", self._price),
            (web.get, "/_sandbox/faults", self._list_faults),
            (web.post, "/_sandbox/faults", self._add_fault),
            (web.delete, "/_sandbox/faults", self._clear_faults),
            (web.delete, "/_sandbox/faults/{id}", self._clear_faults),
            (web.get, "/_sandbox/clock", self._clock),
            (web.post, "/_sandbox/clock/advance", self._advance),
            (web.post, "/_sandbox/wallet", self._wallet),
            (web.post, f"{lease}/cut", self._cut),
            (web.post, f"{lease}/heal", self._heal),
            (web.post, f"{lease}/close", self._close),
            (web.post, f"{lease}/reclaim", self._reclaim),
            (web.post, f"{lease}/finish", self._finish),
            (web.get, f"{lease}/logs", self._logs),
            (web.get, f"{lease}/services", self._services),
        ]
        return [method(path, self._answered(handler)) for method, path, handler in made]

    async def _ledger(self, request: web.Request) -> web.Response:
        since = int(request.query.get("since", "0"))
        entries = self._world.ledger.entries()[since:]
        return web.json_response({"entries": [asdict(entry) for entry in entries]})

    async def _summary(self, request: web.Request) -> web.Response:
        body = summarise(self._world.ledger.entries(), self._fleet.accrued())
        wallets = {name: format(usd, "f") for name, usd in self._fleet.balances().items()}
        body["wallet_usd"] = next(iter(wallets.values()))
        body["wallets_usd"] = wallets
        body["now"] = iso(self._world.now())
        return web.json_response(body)

    async def _list_hosts(self, request: web.Request) -> web.Response:
        hosts = self._world.supply.hosts.values()
        return web.json_response({"hosts": [_host_json(host) for host in hosts]})

    async def _kill(self, request: web.Request) -> web.Response:
        body, host = await _body(request), self._host(request)
        self._hosts.kill(host)
        if "close_after_s" in body:
            for name in self._fleet.leases_on(host):
                self._later(float(body["close_after_s"]), name, _reason(body))
        return web.json_response(_host_json(host))

    async def _revive(self, request: web.Request) -> web.Response:
        host = self._host(request)
        self._hosts.revive(host)
        return web.json_response(_host_json(host))

    async def _price(self, request: web.Request) -> web.Response:
        host = self._host(request)
        host.usd_per_gpu_hour = Decimal(str((await _body(request))["usd_per_gpu_hour"]))
        return web.json_response(_host_json(host))

    async def _list_faults(self, request: web.Request) -> web.Response:
        rules = [asdict(rule) for rule in self._world.faults.rules()]
        return web.json_response({"rules": rules, "actions": self._world.faults.actions})

    async def _add_fault(self, request: web.Request) -> web.Response:
        return web.json_response(asdict(self._world.faults.add(await _body(request))), status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("id")
        self._world.faults.clear(None if wanted is None else int(wanted))
        return web.json_response({"rules": len(self._world.faults.rules())})

    async def _clock(self, request: web.Request) -> web.Response:
        return web.json_response({"now": iso(self._world.now()), "scale": self._world.clock.scale})

    async def _advance(self, request: web.Request) -> web.Response:
        now = self._world.clock.advance(float((await _body(request))["seconds"]))
        self._world.timeline.run(now)
        self._fleet.settle()
        return web.json_response({"now": iso(now)})

    async def _wallet(self, request: web.Request) -> web.Response:
        body = await _body(request)
        usd = Decimal(str(body["usd"]))
        self._fleet.set_balance(usd, str(body.get("market", "")))
        return web.json_response({"wallet_usd": format(usd, "f")})

    async def _cut(self, request: web.Request) -> web.Response:
        for name in self._lease_names(request):
            self._world.executor.cut(name)
        return web.json_response({"cut": True})

    async def _heal(self, request: web.Request) -> web.Response:
        for name in self._lease_names(request):
            self._world.executor.heal(name)
        return web.json_response({"cut": False})

    async def _close(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._lease_names(request)
        self._later(float(body.get("after_s", 0)), request.match_info["lease"], _reason(body))
        self._world.timeline.run(self._world.clock.now())
        return web.json_response({"reason": _reason(body)})

    async def _reclaim(self, request: web.Request) -> web.Response:
        window = float((await _body(request)).get("window_s", 3600))
        self._lease_names(request)
        self._fleet.reclaim(request.match_info["lease"], window)
        return web.json_response({"window_s": window})

    async def _finish(self, request: web.Request) -> web.Response:
        code = int((await _body(request)).get("exit_code", 0))
        for name in self._lease_names(request):
            self._world.executor.finish(name, code)
        return web.json_response({"exit_code": code})

    async def _logs(self, request: web.Request) -> web.Response:
        logs = {
            copy: text.decode(errors="replace")
            for name in self._lease_names(request, only_running=False)
            for copy, text in self._world.executor.logs(name).items()
        }
        return web.json_response({"logs": logs})

    async def _services(self, request: web.Request) -> web.Response:
        names = self._lease_names(request)
        found = {name: self._world.executor.services(name) for name in names}
        return web.json_response(
            {name: [asdict(state) for state in states] for name, states in found.items()}
        )

    def _later(self, seconds: float, lease: str, reason: str) -> None:
        when = self._world.clock.now() + seconds
        self._world.timeline.at(when, lambda _: self._fleet.end(lease, reason))

    def _host(self, request: web.Request) -> Host:
        found = self._hosts.find(request.match_info["host"])
        if found is None:
            raise LookupError(f"There is no host {request.match_info['host']!r}.")
        return found

    def _lease_names(self, request: web.Request, *, only_running: bool = True) -> list[str]:
        wanted = request.match_info["lease"]
        found = self._fleet.leases(wanted, only_running=only_running)
        if not found:
            raise LookupError(f"There is no running lease {wanted!r}; give its id or its key.")
        return found

    def _answered(self, handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.Response:
            self._world.timeline.run(self._world.clock.now())
            self._fleet.settle()
            try:
                return await handler(request)
            except LookupError as error:
                return web.json_response({"message": str(error)}, status=404)
            except NotPossibleError as error:
                return web.json_response({"message": str(error)}, status=409)
            except (ValueError, TypeError) as error:
                return web.json_response({"message": str(error)}, status=400)

        return answered


def _reason(body: dict[str, Any]) -> str:
    return str(body.get("reason", "unstable"))


async def _body(request: web.Request) -> dict[str, Any]:
    if not await request.read():
        return {}
    body = await request.json()
    if not isinstance(body, dict):
        raise TypeError("The body must be a JSON object.")
    return body


def _host_json(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "model": host.gpu.model,
        "gpus": host.gpus,
        "free_gpus": host.free.gpus,
        "usd_per_gpu_hour": format(host.usd_per_gpu_hour, "f"),
        "region": host.region,
        "audited": host.audited,
        "online": host.online,
        "leases": sorted(host.rented),
    }
