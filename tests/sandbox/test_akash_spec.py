"""Every answer of the sandbox is one the official OpenAPI allows, and has no field it lacks."""

import re
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from .market import Market, sdl
from .spec import answer_schema, openapi, paths_like


def check(answer: httpx.Response) -> None:
    path = answer.request.url.path
    schema = answer_schema(answer.request.method, paths_like(path), answer.status_code)
    jsonschema.validate(answer.json(), schema)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/gpu-prices",
        "/v1/gpu",
        "/v1/gpu-models",
        "/v1/providers",
        "/v1/auditors",
        "/v1/blockchain-status",
        "/v1/market-data",
        "/v1/market-data/akt",
        "/v1/balances",
        "/v1/user/me",
        "/v1/wallets?userId=6f7c0f6e-0000-4000-8000-000000000000",
        "/v1/deployments",
        "/akash/deployment/v1beta4/deployments/list",
        "/akash/market/v1beta5/leases/list",
    ],
)
async def test_plain_reads(market: Market, path: str) -> None:
    await market.leased()
    check(await market.http.get(path))


async def test_one_provider(market: Market) -> None:
    owner = (await market.http.get("/v1/providers")).json()[0]["owner"]
    check(await market.http.get(f"/v1/providers/{owner}"))
    assert (await market.http.get("/v1/providers/nonsense")).status_code == 400


async def test_the_whole_life_of_a_deployment(market: Market) -> None:
    made = await market.create()
    check(made)
    data = made.json()["data"]
    market.advance(10)
    for path in (f"/v1/bids/{data['dseq']}", f"/v1/bids?dseq={data['dseq']}"):
        answer = await market.http.get(path)
        check(answer)
        assert len(answer.json()["data"]) == 2
    check(await market.lease(data, (await market.bids(data["dseq"]))[0]))
    check(await market.http.get(f"/v1/deployments/{data['dseq']}"))
    market.advance(60)
    check(await market.http.get(f"/v1/deployments/{data['dseq']}"))
    update = {"data": {"sdl": yaml.safe_dump(sdl(service={"env": ["A=b"]}))}}
    check(await market.http.put(f"/v1/deployments/{data['dseq']}", json=update))
    check(await market.http.delete(f"/v1/deployments/{data['dseq']}"))
    check(await market.http.get(f"/v1/deployments/{data['dseq']}"))


async def test_the_settings(market: Market) -> None:
    dseq = (await market.created())["dseq"]
    body: dict[str, Any] = {"data": {"dseq": dseq, "autoTopUpEnabled": True}}
    check(await market.http.post("/v2/deployment-settings", json=body))
    check(await market.http.get(f"/v2/deployment-settings/{dseq}"))
    change = {"data": {"autoTopUpEnabled": False}}
    check(await market.http.patch(f"/v2/deployment-settings/{dseq}", json=change))


async def test_bid_screening(market: Market) -> None:
    resource = {
        "id": 1,
        "cpu": {"units": {"val": "4000"}},
        "memory": {"quantity": {"val": "1073741824"}},
        "gpu": {
            "units": {"val": "1"},
            "attributes": [{"key": "vendor/nvidia/model/h100", "value": "true"}],
        },
        "storage": [{"name": "default", "quantity": {"val": "1073741824"}}],
    }
    price = {"denom": "uact", "amount": "5000"}
    body = {
        "resources": [{"resource": resource, "count": 1, "price": price}],
        "timezone": "UTC",
    }
    answer = await market.http.post("/v1/bid-screening", json=body)
    check(answer)
    assert len(answer.json()["providers"]) == 2


async def test_a_gateway_token(market: Market) -> None:
    body = {"data": {"ttl": 60, "leases": {"access": "full"}}}
    check(await market.http.post("/v1/create-jwt-token", json=body))


async def test_nothing_is_served_that_the_api_does_not_have(market: Market) -> None:
    known = {re.sub(r"\{\w+\??\}", "{}", path) for path in openapi()["paths"]}
    served = {
        re.sub(r"\{\w+\}", "{}", route.path)
        for route in market.app.akash.routes()
        if not route.path.startswith("/provider/")
    }
    assert served - known == {"/v1/market-data"}  # the specification's optional path segment
