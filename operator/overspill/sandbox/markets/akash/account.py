"""The Console API's paths that need a key, answered in the API's own words.

Built by `market.py`, which checks the key; decides nothing that the chain decides.
"""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from overspill.sandbox.clock import iso
from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.akash import wire
from overspill.sandbox.markets.akash.chain import MARKET, OWNER, Chain
from overspill.sandbox.markets.akash.errors import validation_error
from overspill.sandbox.markets.akash.gateway import Gateway, lease_status
from overspill.sandbox.markets.akash.jwt import fault_of
from overspill.sandbox.markets.akash.public import listed
from overspill.sandbox.markets.akash.requests import (
    create_key,
    data_of,
    dseq_of,
    json_body,
    most_of,
    number_of,
    transaction_of,
)
from overspill.sandbox.markets.akash.state import BLOCKS_PER_HOUR, Deployment, usd

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

USER_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "overspill-sandbox-user"))


class AccountApi:
    """What needs the key: deployments, bids, leases, wallet, settings."""

    def __init__(self, chain: Chain, gateway: Gateway) -> None:
        self._chain = chain
        self._world = chain.world
        self._gateway = gateway

    def routes(self) -> list[web.RouteDef]:
        """The paths that need the key."""
        return [
            web.get("/v1/balances", self._balances),
            web.get("/v1/user/me", self._me),
            web.get("/v1/wallets", self._wallets),
            web.post("/v1/deployments", self._create),
            web.get("/v1/deployments", self._list),
            web.get("/v1/deployments/{dseq}", self._read),
            web.put("/v1/deployments/{dseq}", self._update),
            web.delete("/v1/deployments/{dseq}", self._close),
            web.get("/v1/bids", self._bids),
            web.get("/v1/bids/{dseq}", self._bids),
            web.post("/v1/leases", self._lease),
            web.post("/v1/create-jwt-token", self._jwt),
            web.post("/v2/deployment-settings", self._make_settings),
            web.get("/v2/deployment-settings/{dseq}", self._settings),
            web.patch("/v2/deployment-settings/{dseq}", self._change_settings),
        ]

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
        if "userId" not in request.query:
            raise validation_error(["userId"], "Required")
        wallet = {
            "id": 1,
            "userId": request.query["userId"],
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
            Event.CREATE_RECEIVED, market=MARKET, key=create_key(raw), detail={"bytes": len(raw)}
        )
        data = data_of(await json_body(request))
        if not isinstance(data.get("sdl"), str):
            raise validation_error(["data", "sdl"], "Required")
        made = self._chain.create(data["sdl"], data.get("deposit"))
        signed = {"code": 0, "transactionHash": transaction_of(made.dseq), "rawLog": ""}
        body = {"dseq": made.dseq, "manifest": made.manifest, "signTx": signed}
        return web.json_response({"data": body}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        skip, asked = number_of(request, "skip", 0), number_of(request, "limit", 1000)
        limit = most_of(self._world.faults, asked)
        found = listed(self._world, self._chain, "active")
        page = found[skip : skip + limit]
        pagination = {
            "total": len(found),
            "skip": skip,
            "limit": limit,
            "hasMore": skip + len(page) < len(found),
        }
        shown = [wire.listed_json(deployment) for deployment in page]
        return web.json_response({"data": {"deployments": shown, "pagination": pagination}})

    async def _read(self, request: web.Request) -> web.Response:
        return self._detailed(self._chain.get(dseq_of(request)))

    async def _update(self, request: web.Request) -> web.Response:
        data = data_of(await json_body(request))
        if not isinstance(data.get("sdl"), str):
            raise validation_error(["data", "sdl"], "Required")
        return self._detailed(self._chain.update(dseq_of(request), data["sdl"]))

    async def _close(self, request: web.Request) -> web.Response:
        self._chain.close(dseq_of(request))
        return web.json_response({"data": {"success": True}})

    async def _bids(self, request: web.Request) -> web.Response:
        deployment = self._chain.deployments.get(dseq_of(request))
        bids = deployment.bids if deployment else []
        return web.json_response(
            {"data": [wire.bid_json(deployment, b) for b in bids if deployment]}
        )

    async def _lease(self, request: web.Request) -> web.Response:
        body = await json_body(request)
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
        data = data_of(await json_body(request))
        ttl_s, leases = data.get("ttl"), data.get("leases")
        if not isinstance(ttl_s, int) or ttl_s <= 0:
            raise validation_error(["data", "ttl"], "Number must be greater than 0")
        fault = fault_of(leases)
        if fault or not isinstance(leases, dict):
            raise validation_error(["data", "leases"], fault)
        token = self._gateway.tokens.issue(leases, self._world.now(), ttl_s)
        return web.json_response({"data": {"token": token}}, status=201)

    async def _make_settings(self, request: web.Request) -> web.Response:
        data = data_of(await json_body(request))
        deployment = self._chain.get(str(data.get("dseq")))
        deployment.auto_top_up = bool(data.get("autoTopUpEnabled", False))
        return web.json_response(self._settings_json(deployment), status=201)

    async def _settings(self, request: web.Request) -> web.Response:
        return web.json_response(self._settings_json(self._chain.get(dseq_of(request))))

    async def _change_settings(self, request: web.Request) -> web.Response:
        deployment = self._chain.get(dseq_of(request))
        data = data_of(await json_body(request))
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
