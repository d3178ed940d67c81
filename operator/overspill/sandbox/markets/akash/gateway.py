"""The hosts' own gateways: status without a token, lease status and logs with one.

Real hosts listen on their `hostUri`; here it is a path on the sandbox's server. A host that is
down resets the connection, as an unreachable one would.
"""

import asyncio
import secrets
from typing import Any

from aiohttp import web

from overspill.sandbox.markets.akash import wire
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.chain import Chain
from overspill.sandbox.markets.akash.state import Deployment, Lease
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World


def lease_status(world: World, deployment: Deployment, lease: Lease) -> dict[str, Any] | None:
    """What the console learns of a lease; None when it is over or its host does not answer."""
    if not lease.is_running or not lease.host.online:
        return None
    if world.faults.take("status_null", key=deployment.key, provider=lease.host.name):
        return None
    if not lease.manifest_received:
        return None
    services = world.executor.services(deployment.lease_name(lease))
    return wire.status_json(services, with_ports=not lease.hides_endpoints)


class Gateway:
    """Every host's gateway."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._tokens: dict[str, float] = {}

    def routes(self) -> list[web.RouteDef]:
        """Paths below each `hostUri`."""
        lease = "/provider/{owner}/lease/{dseq}/{gseq}/{oseq}"
        return [
            web.get("/provider/{owner}/status", self._status),
            web.get("/provider/{owner}/version", self._version),
            web.get("/provider/{owner}/address", self._address),
            web.get(f"{lease}/status", self._lease_status),
            web.get(f"{lease}/logs", self._logs),
        ]

    def issue(self, ttl_s: int) -> str:
        """A token for the gateways."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = self._chain.world.now() + ttl_s
        return token

    def host(self, owner: str) -> Host | None:
        """The host with this address."""
        hosts = self._chain.world.supply.hosts.values()
        return next((host for host in hosts if address(host.name) == owner), None)

    async def _status(self, request: web.Request) -> web.Response:
        host = self._reach(request)
        leases = len(self._chain.leases_of(host))
        return web.json_response(
            {"cluster": {"leases": leases}, "manifest": {"deployments": leases}}
        )

    async def _version(self, request: web.Request) -> web.Response:
        self._reach(request)
        return web.json_response({"akash": {"version": "v1.2.0"}})

    async def _address(self, request: web.Request) -> web.Response:
        return web.json_response({"address": address(self._reach(request).name)})

    async def _lease_status(self, request: web.Request) -> web.Response:
        deployment, lease = self._lease(request)
        found = lease_status(self._chain.world, deployment, lease)
        if found is None:
            raise web.HTTPNotFound(text="lease not found")
        return web.json_response(found)

    async def _logs(self, request: web.Request) -> web.WebSocketResponse:
        deployment, lease = self._lease(request)
        follow = request.query.get("follow") == "true"
        tail = int(request.query.get("tail", "-1"))
        wanted = request.query.get("service", "")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sent: dict[str, int] = {}
        while not socket.closed:
            logs = self._chain.world.executor.logs(deployment.lease_name(lease))
            for name, text in logs.items():
                if not wanted or name.rsplit("-", 1)[0] in wanted.split(","):
                    await _send_new(socket, name, text, sent, tail)
            if not follow or not lease.is_running:
                break
            await asyncio.sleep(0.2)
        await socket.close()
        return socket

    def _reach(self, request: web.Request) -> Host:
        host = self.host(request.match_info["owner"])
        if host is None:
            raise web.HTTPNotFound(text="no such provider")
        if not host.online and request.transport is not None:
            request.transport.abort()
        return host

    def _lease(self, request: web.Request) -> tuple[Deployment, Lease]:
        host = self._reach(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0) < self._chain.world.now():
            raise web.HTTPUnauthorized(text="unauthorized")
        deployment = self._chain.deployments.get(request.match_info["dseq"])
        for lease in deployment.leases if deployment else []:
            if str(lease.gseq) == request.match_info["gseq"] and lease.host is host:
                assert deployment is not None  # noqa: S101 -- its lease was just found
                return deployment, lease
        raise web.HTTPNotFound(text="lease not found")


async def _send_new(
    socket: web.WebSocketResponse, name: str, text: bytes, sent: dict[str, int], tail: int
) -> None:
    end = text.rfind(b"\n") + 1
    lines = text[sent.get(name, 0) : end].splitlines()
    if name not in sent and tail >= 0:
        lines = lines[len(lines) - min(tail, len(lines)) :]
    sent[name] = end
    for line in lines:
        await socket.send_json({"name": name, "message": line.decode(errors="replace")})
