"""The Console API's paths that need no key: prices, hosts, and the chain's own lists.

Built by `market.py`.
"""

from aiohttp import web

from overspill.sandbox.markets.akash import catalog, wire
from overspill.sandbox.markets.akash.address import address, is_address
from overspill.sandbox.markets.akash.chain import Chain
from overspill.sandbox.markets.akash.errors import validation_error
from overspill.sandbox.markets.akash.gateway import Gateway
from overspill.sandbox.markets.akash.matching import AUDITOR
from overspill.sandbox.markets.akash.requests import json_body, page_of
from overspill.sandbox.markets.akash.state import Deployment
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World


class PublicApi:
    """What anybody may ask."""

    def __init__(self, chain: Chain, gateway: Gateway) -> None:
        self._chain = chain
        self._world = chain.world
        self._gateway = gateway

    def routes(self) -> list[web.RouteDef]:
        """The paths that need no key."""
        return [
            web.get("/v1/gpu-prices", self._gpu_prices),
            web.get("/v1/gpu", self._gpu),
            web.get("/v1/gpu-models", self._gpu_models),
            web.get("/v1/providers", self._providers),
            web.get("/v1/providers/{address}", self._provider),
            web.get("/v1/auditors", self._auditors),
            web.post("/v1/bid-screening", self._bid_screening),
            web.get("/v1/blockchain-status", self._blockchain_status),
            web.get("/v1/market-data", self._market_data),
            web.get("/v1/market-data/{coin}", self._market_data),
            web.get("/akash/deployment/{version}/deployments/list", self._chain_list),
            web.get("/akash/deployment/{version}/deployments/info", self._chain_info),
            web.get("/akash/market/{version}/leases/list", self._chain_leases),
        ]

    async def _gpu_prices(self, request: web.Request) -> web.Response:
        return web.json_response(catalog.gpu_prices(self._hosts()))

    async def _gpu(self, request: web.Request) -> web.Response:
        query = request.query
        hosts = [
            host
            for host in self._hosts()
            if query.get("provider", address(host.name)) == address(host.name)
            and query.get("vendor", "nvidia") == "nvidia"
            and query.get("model", host.gpu.model) == host.gpu.model
            and query.get("memory_size", host.gpu.ram) == host.gpu.ram
        ]
        return web.json_response(catalog.gpu_capacity(hosts))

    async def _gpu_models(self, request: web.Request) -> web.Response:
        return web.json_response(catalog.gpu_models(self._hosts()))

    async def _providers(self, request: web.Request) -> web.Response:
        wanted = set(filter(None, request.query.get("addresses", "").split(",")))
        return web.json_response(
            [
                catalog.provider_json(host, self._world.base_url, self._world.now())
                for host in self._hosts()
                if not wanted or address(host.name) in wanted
            ]
        )

    async def _provider(self, request: web.Request) -> web.Response:
        owner = request.match_info["address"]
        if not is_address(owner):
            return web.Response(status=400, text="Invalid address")
        host = self._gateway.host(owner)
        if host is None:
            return web.Response(status=404, text="Provider not found")
        told = catalog.provider_detail(host, self._world.base_url, self._world.now())
        if lie := self._world.faults.take("gateway_elsewhere", provider=host.name):
            told["hostUri"] = lie.text("uri", "")
        return web.json_response(told)

    async def _auditors(self, request: web.Request) -> web.Response:
        entry = {"id": "sandbox", "name": "Sandbox", "address": AUDITOR, "website": ""}
        return web.json_response([entry])

    async def _bid_screening(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        if not isinstance(body.get("resources"), list):
            raise validation_error(["resources"], "Required")
        if not isinstance(body.get("timezone"), str):
            raise validation_error(["timezone"], "Required")
        base, now = self._world.base_url, self._world.now()
        return web.json_response(catalog.screen(self._hosts(), body, base, now))

    async def _blockchain_status(self, request: web.Request) -> web.Response:
        return web.json_response({"isBlockchainReachable": True})

    async def _market_data(self, request: web.Request) -> web.Response:
        figures = ("volume", "marketCap", "marketCapRank", "priceChange24h")
        body = {**dict.fromkeys(figures, 0), "priceChangePercentage24": 0, "price": 1.0}
        return web.json_response(body)

    async def _chain_list(self, request: web.Request) -> web.Response:
        found = listed(self._world, self._chain, request.query.get("filters.state"))
        owner = request.query.get("filters.owner")
        found = [d for d in found if owner in {None, d.owner}]
        page, next_key = page_of(found, request.query, self._world.faults)
        return web.json_response(
            {
                "deployments": [wire.chain_json(deployment) for deployment in page],
                "pagination": {"next_key": next_key, "total": str(len(found))},
            }
        )

    async def _chain_info(self, request: web.Request) -> web.Response:
        found = self._chain.deployments.get(request.query.get("id.dseq", ""))
        if found is None or request.query.get("id.owner") != found.owner:
            return web.Response(status=404, text="Deployment not found")
        return web.json_response(wire.chain_json(found))

    async def _chain_leases(self, request: web.Request) -> web.Response:
        query = request.query
        found = [
            (deployment, lease)
            for deployment in self._chain.deployments.values()
            for lease in deployment.leases
            if query.get("filters.owner", deployment.owner) == deployment.owner
            and query.get("filters.dseq", deployment.dseq) == deployment.dseq
            and query.get("filters.state", lease.state) == lease.state
            and query.get("filters.provider", lease.provider) == lease.provider
        ]
        page, next_key = page_of(found, query, self._world.faults)
        return web.json_response(
            {
                "leases": [wire.chain_lease_json(*item) for item in page],
                "pagination": {"next_key": next_key, "total": str(len(found))},
            }
        )

    def _hosts(self) -> list[Host]:
        return list(self._world.supply.hosts.values())


def listed(world: World, chain: Chain, state: str | None) -> list[Deployment]:
    """The deployments the lists show: those whose lag is over."""
    now = world.now()
    return [
        deployment
        for deployment in chain.deployments.values()
        if state in {None, deployment.state} and deployment.listed_at <= now
    ]
