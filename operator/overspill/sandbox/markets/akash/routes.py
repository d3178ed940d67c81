"""The Console API's paths: authentication, reading requests, answering in the API's own words.

One object per sandbox, built by `app.py`; decides nothing that the chain decides.
"""

import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from overspill.sandbox.clock import iso
from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.akash import catalog, wire
from overspill.sandbox.markets.akash.address import address, is_address
from overspill.sandbox.markets.akash.chain import MARKET, OWNER, Chain, key_of
from overspill.sandbox.markets.akash.errors import ApiError, validation_error
from overspill.sandbox.markets.akash.gateway import Gateway, lease_status
from overspill.sandbox.markets.akash.matching import AUDITOR
from overspill.sandbox.markets.akash.state import BLOCKS_PER_HOUR, Deployment, usd
from overspill.sandbox.supply import Host

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

USER_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "overspill-sandbox-user"))


class AkashApi:
    """Handlers over one chain."""

    def __init__(self, chain: Chain, api_key: str) -> None:
        self._chain = chain
        self._world = chain.world
        self._api_key = api_key
        self._gateway = Gateway(chain)

    def routes(self) -> list[web.RouteDef]:
        """Every path, those that need the key wrapped with its check."""
        private, public = self._private, self._public
        return [
            web.get("/v1/gpu-prices", public(self._gpu_prices)),
            web.get("/v1/gpu", public(self._gpu)),
            web.get("/v1/gpu-models", public(self._gpu_models)),
            web.get("/v1/providers", public(self._providers)),
            web.get("/v1/providers/{address}", public(self._provider)),
            web.get("/v1/auditors", public(self._auditors)),
            web.post("/v1/bid-screening", public(self._bid_screening)),
            web.get("/v1/blockchain-status", public(self._blockchain_status)),
            web.get("/v1/market-data", public(self._market_data)),
            web.get("/v1/market-data/{coin}", public(self._market_data)),
            web.get("/akash/deployment/{version}/deployments/list", public(self._chain_list)),
            web.get("/akash/deployment/{version}/deployments/info", public(self._chain_info)),
            web.get("/akash/market/{version}/leases/list", public(self._chain_leases)),
            web.get("/v1/balances", private(self._balances)),
            web.get("/v1/user/me", private(self._me)),
            web.get("/v1/wallets", private(self._wallets)),
            web.post("/v1/deployments", private(self._create)),
            web.get("/v1/deployments", private(self._list)),
            web.get("/v1/deployments/{dseq}", private(self._read)),
            web.put("/v1/deployments/{dseq}", private(self._update)),
            web.delete("/v1/deployments/{dseq}", private(self._close)),
            web.get("/v1/bids", private(self._bids)),
            web.get("/v1/bids/{dseq}", private(self._bids)),
            web.post("/v1/leases", private(self._lease)),
            web.post("/v1/create-jwt-token", private(self._jwt)),
            web.post("/v2/deployment-settings", private(self._make_settings)),
            web.get("/v2/deployment-settings/{dseq}", private(self._settings)),
            web.patch("/v2/deployment-settings/{dseq}", private(self._change_settings)),
            *self._gateway.routes(),
        ]

    def key_of(self, path: str, body: bytes) -> str:
        """The key a request is about, for fault rules; empty when it has none."""
        if path == "/v1/deployments":
            return _create_key(body)
        dseq = path.rsplit("/", 1)[-1]
        if path == "/v1/leases":
            leases = _loads(body).get("leases") or [{}]
            dseq = str(leases[0].get("dseq", ""))
        found = self._chain.deployments.get(dseq)
        return found.key if found else ""

    def host_down(self, host: Host) -> None:
        """The host vanished."""
        self._chain.host_down(host)

    def host_up(self, host: Host) -> None:
        """The host came back."""
        self._chain.host_up(host)

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
        now = self._world.now()
        return web.json_response(catalog.provider_detail(host, self._world.base_url, now))

    async def _auditors(self, request: web.Request) -> web.Response:
        entry = {"id": "sandbox", "name": "Sandbox", "address": AUDITOR, "website": ""}
        return web.json_response([entry])

    async def _bid_screening(self, request: web.Request) -> web.Response:
        body = await _json(request)
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
        found = self._listed(request.query.get("filters.state"))
        owner = request.query.get("filters.owner")
        found = [d for d in found if owner in {None, d.owner}]
        page, next_key = _page(found, request.query)
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
        page, next_key = _page(found, query)
        return web.json_response(
            {
                "leases": [wire.chain_lease_json(*item) for item in page],
                "pagination": {"next_key": next_key, "total": str(len(found))},
            }
        )

    async def _balances(self, request: web.Request) -> web.Response:
        balance = float(usd(self._chain.wallet))
        held = sum(float(usd(d.escrow.funds)) for d in self._chain.deployments.values())
        return web.json_response(
            {"data": {"balance": balance, "deployments": held, "total": balance + held}}
        )

    async def _me(self, request: web.Request) -> web.Response:
        body = {"id": USER_ID, "userId": USER_ID, "username": "sandbox", "email": "sandbox@local"}
        return web.json_response(
            {"data": {**body, "emailVerified": True, "subscribedToNewsletter": False}}
        )

    async def _wallets(self, request: web.Request) -> web.Response:
        wallet = {
            "id": 1,
            "userId": request.query.get("userId", USER_ID),
            "creditAmount": float(usd(self._chain.wallet)),
            "address": OWNER,
            "denom": wire.DENOM,
            "isTrialing": self._chain.options.trial,
            "topUpMinAmountUsd": 20,
            "createdAt": "2026-01-01T00:00:00.000Z",
        }
        return web.json_response({"data": [wallet]})

    async def _create(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self._world.ledger.write(
            Event.CREATE_RECEIVED, market=MARKET, key=_create_key(raw), detail={"bytes": len(raw)}
        )
        data = _data(await _json(request))
        if not isinstance(data.get("sdl"), str):
            raise validation_error(["data", "sdl"], "Required")
        made = self._chain.create(data["sdl"], data.get("deposit"))
        signed = {"code": 0, "transactionHash": _transaction(made.dseq), "rawLog": ""}
        body = {"dseq": made.dseq, "manifest": made.manifest, "signTx": signed}
        return web.json_response({"data": body}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        skip, limit = _number(request, "skip", 0), _number(request, "limit", 1000)
        found = self._listed("active")
        page = found[skip : skip + limit]
        pagination = {
            "total": len(found),
            "skip": skip,
            "limit": limit,
            "hasMore": skip + len(page) < len(found),
        }
        listed = [wire.listed_json(deployment) for deployment in page]
        return web.json_response({"data": {"deployments": listed, "pagination": pagination}})

    async def _read(self, request: web.Request) -> web.Response:
        return self._detailed(self._chain.get(_dseq(request)))

    async def _update(self, request: web.Request) -> web.Response:
        data = _data(await _json(request))
        if not isinstance(data.get("sdl"), str):
            raise validation_error(["data", "sdl"], "Required")
        return self._detailed(self._chain.update(_dseq(request), data["sdl"]))

    async def _close(self, request: web.Request) -> web.Response:
        self._chain.close(_dseq(request))
        return web.json_response({"data": {"success": True}})

    async def _bids(self, request: web.Request) -> web.Response:
        deployment = self._chain.deployments.get(_dseq(request))
        bids = deployment.bids if deployment else []
        return web.json_response(
            {"data": [wire.bid_json(deployment, b) for b in bids if deployment]}
        )

    async def _lease(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if not isinstance(body.get("manifest"), str):
            raise validation_error(["manifest"], "Required")
        leases = body.get("leases")
        if not isinstance(leases, list) or not leases:
            raise validation_error(["leases"], "Required")
        for lease in leases:
            if not {"dseq", "gseq", "oseq", "provider"} <= set(lease):
                raise validation_error(["leases"], "Required")
        return self._detailed(self._chain.lease(leases, body["manifest"]))

    async def _jwt(self, request: web.Request) -> web.Response:
        data = _data(await _json(request))
        token = self._gateway.issue(int(data.get("ttl", 1800)))
        return web.json_response({"data": {"token": token}}, status=201)

    async def _make_settings(self, request: web.Request) -> web.Response:
        data = _data(await _json(request))
        deployment = self._chain.get(str(data.get("dseq")))
        deployment.auto_top_up = bool(data.get("autoTopUpEnabled", False))
        return web.json_response(self._settings_json(deployment), status=201)

    async def _settings(self, request: web.Request) -> web.Response:
        return web.json_response(self._settings_json(self._chain.get(_dseq(request))))

    async def _change_settings(self, request: web.Request) -> web.Response:
        deployment = self._chain.get(_dseq(request))
        data = _data(await _json(request))
        deployment.auto_top_up = bool(data.get("autoTopUpEnabled", deployment.auto_top_up))
        return web.json_response(self._settings_json(deployment))

    def _settings_json(self, deployment: Deployment) -> dict[str, Any]:
        rate = sum(float(lease.price) for lease in deployment.running)
        body = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, deployment.dseq)),
            "userId": USER_ID,
            "dseq": deployment.dseq,
            "autoTopUpEnabled": deployment.auto_top_up,
            "estimatedTopUpAmount": rate * BLOCKS_PER_HOUR * 48 / 1e6,
            "topUpFrequencyMs": 48 * 3_600_000,
            "createdAt": iso(deployment.created_at),
            "updatedAt": iso(self._world.now()),
        }
        return {"data": body}

    def _detailed(self, deployment: Deployment) -> web.Response:
        statuses = {
            lease.gseq: lease_status(self._world, deployment, lease) for lease in deployment.leases
        }
        return web.json_response({"data": wire.detailed_json(deployment, statuses)})

    def _listed(self, state: str | None) -> list[Deployment]:
        now = self._world.now()
        return [
            deployment
            for deployment in self._chain.deployments.values()
            if state in {None, deployment.state} and deployment.listed_at <= now
        ]

    def _hosts(self) -> list[Host]:
        return list(self._world.supply.hosts.values())

    def _private(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("x-api-key", "")
            if not hmac.compare_digest(given.encode(), self._api_key.encode()):
                return _error(ApiError(401, "Unauthorized"))
            return await self._public(handler)(request)

        return guarded

    def _public(self, handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            self._world.timeline.run(self._world.clock.now())
            self._chain.settle_all()
            try:
                return await handler(request)
            except ApiError as error:
                return _error(error)

        return answered


def _error(error: ApiError) -> web.Response:
    return web.json_response(error.body(), status=error.status)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise ApiError(400, "Malformed JSON in request body") from error
    if not isinstance(body, dict):
        raise validation_error([], "Expected object")
    return body


def _data(body: Mapping[str, Any]) -> dict[str, Any]:
    data = body.get("data")
    if not isinstance(data, dict):
        raise validation_error(["data"], "Required")
    return data


def _dseq(request: web.Request) -> str:
    dseq = request.match_info.get("dseq") or request.query.get("dseq", "")
    if not dseq.isdigit():
        raise validation_error(["dseq"], "Invalid dseq format")
    return dseq


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise validation_error([name], "Expected number")
    return int(text)


def _page(items: list[Any], query: Mapping[str, str]) -> tuple[list[Any], str | None]:
    offset = int(query.get("pagination.key") or query.get("pagination.offset") or 0)
    limit = int(query.get("pagination.limit") or 100)
    end = offset + limit
    return items[offset:end], str(end) if end < len(items) else None


def _transaction(dseq: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, dseq).hex.upper() * 2


def _loads(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _create_key(body: bytes) -> str:
    data = _loads(body).get("data")
    sdl = data.get("sdl") if isinstance(data, dict) else None
    return key_of(sdl) if isinstance(sdl, str) else ""
