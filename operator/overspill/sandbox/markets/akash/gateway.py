"""The hosts' own gateways: status without a token, lease status and logs with one.

Real hosts listen with TLS on their `hostUri`; here it is a path on the sandbox's server. A host
that is down resets the connection, as an unreachable one would.
"""

from typing import Any

from aiohttp import web

from overspill.sandbox.markets.akash import logs, wire
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.chain import OWNER, Chain
from overspill.sandbox.markets.akash.jwt import Asked, Tokens
from overspill.sandbox.markets.akash.state import Deployment, Lease
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

_BEARER = "bearer "


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
        self.tokens = Tokens(OWNER)

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
        found = self._lease(self._admitted(request, "status"), request)
        status = lease_status(self._chain.world, *found) if found else None
        if status is None:
            raise web.HTTPNotFound(text="lease not found")
        return web.json_response(status)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        host = self._admitted(request, "logs")
        wanted = logs.wanted_of(request.query)
        if isinstance(wanted, str):
            raise web.HTTPBadRequest(text=wanted)
        return await logs.streamed(self._chain.world, request, self._lease(host, request), wanted)

    def _reach(self, request: web.Request) -> Host:
        host = self.host(request.match_info["owner"])
        if host is None:
            raise web.HTTPNotFound(text="no such provider")
        if not host.online and request.transport is not None:
            request.transport.abort()
        return host

    def _admitted(self, request: web.Request, scope: str) -> Host:
        """The host, for a token that grants this on the lease of the path; else 401."""
        host, match = self._reach(request), request.match_info
        dseq, gseq, oseq = (int(match[name]) for name in ("dseq", "gseq", "oseq"))
        asked = Asked(address(host.name), dseq, gseq, oseq, scope)
        given = request.headers.get("Authorization", "")
        token = given[len(_BEARER) :] if given.lower().startswith(_BEARER) else ""
        if not self.tokens.allows(token, asked, self._chain.world.now()):
            raise web.HTTPUnauthorized(
                text='{"message":"unauthorized access"}', content_type="application/json"
            )
        return host

    def _lease(self, host: Host, request: web.Request) -> tuple[Deployment, Lease] | None:
        """The lease of the path, if this host has or had it."""
        deployment = self._chain.deployments.get(request.match_info["dseq"])
        for lease in deployment.leases if deployment else []:
            if str(lease.gseq) == request.match_info["gseq"] and lease.host is host:
                assert deployment is not None  # noqa: S101 -- its lease was just found
                return deployment, lease
        return None
