"""A small API server and a small market behind a fault proxy, over real sockets on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp import web

from overspill.testing.faultproxy import Action, FaultProxies, Lane, Rule
from overspill.testing.faultproxy.upstream import Upstream, kube_described, market_upstream

KEY = "gl-0123abcd-0123456789abcdef01"
SPACE = "case-1"
LEASES = f"/apis/overspill.dev/v1alpha1/namespaces/{SPACE}/gpuleases"


@dataclass
class Server:
    """Counts what was carried out; a collection of three pods, and a watch of them."""

    seen: list[str] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        if "watch" in request.query:
            return await self._watch(request)
        if request.path.endswith("/pods"):
            page = [pod(n) for n in range(int(request.query.get("limit", "3")))]
            return web.json_response({"items": page, "metadata": {"resourceVersion": "9"}})
        body = await request.read()
        if request.method == "POST" and body:
            return web.json_response(json.loads(body), status=201)
        return web.json_response({"n": len(self.seen), "things": [1, 2, 3]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        since = int(request.query.get("resourceVersion", "0"))
        for number in range(since, 4):
            event = {"type": "ADDED", "object": pod(number)}
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer


def pod(number: int) -> dict[str, Any]:
    meta = {"name": f"p{number}", "namespace": SPACE, "resourceVersion": str(number + 1)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield made
    await runner.cleanup()


@pytest.fixture
def proxies() -> Iterator[FaultProxies]:
    with FaultProxies() as running:
        yield running


@dataclass
class Bench:
    """Both proxies before the one server, and who asks through them."""

    server: Server
    proxies: FaultProxies
    api: str
    market: str
    client: httpx.AsyncClient

    async def rules(self, *rules: Rule) -> Lane:
        """These rules strike from now on, in the case's namespace and everywhere else."""
        lane = Lane(7, rules)
        await asyncio.to_thread(self.proxies.use, {SPACE: lane})
        return lane

    async def rule(self, action: Action, to: str = ".*", **rest: Any) -> Lane:
        """One rule."""
        return await self.rules(Rule(action, to, **rest))

    async def record(self, *, seq: int, state: str = "Opening", external_id: str = "") -> None:
        """The API server confirms a write of the lease."""
        status = {"state": state, "permit": {"seq": seq}, "handle": {"externalID": external_id}}
        meta = {"name": KEY, "namespace": SPACE}
        body = {"kind": "GPULease", "metadata": meta, "status": status}
        (await self.client.post(self.api + LEASES, json=body)).raise_for_status()

    async def buy(self) -> httpx.Response:
        """A request to the market that costs."""
        return await self.client.put(self.market + "/api/v0/asks/77/", json={"label": KEY})

    async def watched(self, since: str = "0") -> Sequence[dict[str, Any]]:
        """Every event of one watch."""
        query = {"watch": "true", "resourceVersion": since}
        answer = await self.client.get(self.api + "/api/v1/pods", params=query)
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
async def bench(server: Server, proxies: FaultProxies) -> AsyncIterator[Bench]:
    kube = Upstream(server.url, kube_described, is_kube=True)
    api = await asyncio.to_thread(proxies.add, "api", kube)
    market = await asyncio.to_thread(proxies.add, "vast", market_upstream("vast", server.url))
    async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
        yield Bench(server, proxies, api, market, client)
