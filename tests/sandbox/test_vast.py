"""The Vast.ai market of the sandbox where our adapter does not go: its own client's other ways."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.markets.vast.market import VastMarket
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.rentals import Rental


@dataclass
class Market:
    app: SandboxApp
    http: httpx.AsyncClient

    async def offers(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.http.post("/api/v0/bundles", json=query)
        found: list[dict[str, Any]] = answer.json()["offers"]
        return found

    async def take(self, **body: Any) -> httpx.Response:
        ask = (await self.offers(gpu_name={"eq": "H100_SXM"}, num_gpus={"eq": 1}))[0]["id"]
        return await self.http.put(f"/api/v0/asks/{ask}/", json={"image": "x", **body})

    async def show(self, id_: int) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.http.get(f"/api/v0/instances/{id_}/")).json()
        return dict(shown["instances"])

    def rental(self, id_: int) -> Rental:
        market = self.app.markets["vast"]
        assert isinstance(market, VastMarket)
        return market.rentals.all[str(id_)]

    def advance(self, seconds: float) -> None:
        self.app.world.timeline.run(self.app.world.clock.advance(seconds))
        self.app.fleet.settle()


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    async with running(SandboxOptions(markets=("vast",))) as app:
        headers = {"Authorization": "Bearer sandbox-key"}
        base = app.urls["vast"]
        async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
            yield Market(app, http)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"num_gpus": {"gte": "8"}, "gpu_name": {"in": ["L40S"]}}, {("L40S", 8)}),
        ({"geolocation": {"in": ["CZ"]}, "num_gpus": {"lt": 2}}, {("A100 PCIE", 1)}),
        ({"gpu_name": {"eq": "H100 SXM"}, "num_gpus": {"in": [4]}}, {("H100 SXM", 4)}),
        ({"dph_total": {"lte": 0.14}, "reliability": {"gt": 0.985}}, {("Tesla T4", 1)}),
        (
            {"verified": {"eq": False}, "dph_total": {"lt": 0.2}},
            {("Tesla T4", 1), ("Tesla P100", 1)},
        ),
        (
            {
                "gpu_name": {"neq": "L40S"},
                "machine_id": {"notin": []},
                "limit": 0,
                "cpu_ghz": {"gt": 1},
            },
            set(),
        ),
    ],
    ids=["gte and in", "country", "spelled with a blank", "money", "any host", "unknown field"],
)
async def test_filters(market: Market, query: dict[str, Any], expected: set[Any]) -> None:
    found = await market.offers(**query)
    assert {(offer["gpu_name"], offer["num_gpus"]) for offer in found} == expected


async def test_order_and_limit(market: Market) -> None:
    found = await market.offers(order=[["dph_total", "desc"]], limit=3)
    prices = [offer["dph_total"] for offer in found]
    assert len(prices) == 3
    assert prices == sorted(prices, reverse=True)


async def test_dockers_flags_may_come_as_one_string(market: Market) -> None:
    made = await market.take(env='-e A="one two" -p 8000:8000/udp', onstart="echo $A")
    rental = market.rental(made.json()["new_contract"])
    assert dict(rental.service.env) == {"A": "one two"}
    assert [(port.port, port.protocol) for port in rental.service.ports] == [(8000, "UDP")]
    # without arguments the market's own entrypoint runs, and then the start script
    assert [*rental.service.command, *rental.service.args] == ["/bin/sh", "-c", "echo $A"]


async def test_arguments_may_come_as_one_string(market: Market) -> None:
    made = await market.take(args_str="bash -c 'echo hello'")
    rental = market.rental(made.json()["new_contract"])
    assert [*rental.service.command, *rental.service.args] == ["bash", "-c", "echo hello"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"onstart": "x" * 4049}, "4048 characters"),
        ({"runtype": "vm"}, "runtype vm"),
        ({"env": 7}, "env"),
        ({"env": {"-p x:y": "1"}}, "port"),
        ({"env": {f"-p {n}:{n}": "1" for n in range(1, 66)}}, "64 ports"),
        ({"image": ""}, "image"),
    ],
    ids=["long onstart", "runtype", "env", "port", "too many ports", "no image"],
)
async def test_refusals(market: Market, body: dict[str, Any], words: str) -> None:
    answer = await market.take(**body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_args")
    assert words in answer.json()["msg"]
    assert market.app.world.ledger.entries()[-1].event == "create_refused"


async def test_a_bid_that_is_too_low_leaves_a_stopped_instance(market: Market) -> None:
    answer = await market.take(price=0.01)
    left = answer.json()["new_contract"]
    assert answer.status_code == 400
    shown = await market.show(left)
    assert (shown["actual_status"], shown["intended_status"]) == (None, "stopped")
    market.advance(3600)
    assert 0 < market.rental(left).charged < 0.01  # its disk


async def test_a_stopped_instance_pays_for_its_disk_only(market: Market) -> None:
    id_ = (await market.take(disk=100)).json()["new_contract"]
    await market.http.put(f"/api/v0/instances/{id_}/", json={"state": "stopped"})
    before = market.rental(id_).charged
    market.advance(3600)
    paid = market.rental(id_).charged - before
    assert abs(float(paid) - 0.15 * 100 / 730) < 0.0001
    assert (await market.show(id_))["actual_status"] == "stopped"


async def test_an_offline_host_is_not_paid(market: Market) -> None:
    id_ = (await market.take()).json()["new_contract"]
    market.advance(60)
    await market.http.post("/_sandbox/hosts/aurora/kill")
    before = market.rental(id_).charged
    market.advance(3600)
    assert market.rental(id_).charged == before
    await market.http.post("/_sandbox/hosts/aurora/revive")
    market.advance(3600)
    assert market.rental(id_).charged > before


async def test_logs_come_from_another_address(market: Market) -> None:
    id_ = (await market.take()).json()["new_contract"]
    told = await market.http.put(f"/api/v0/instances/request_logs/{id_}/", json={"tail": "10"})
    address = told.json()["result_url"]
    assert (await market.http.get(address)).status_code == 400  # with our key
    async with httpx.AsyncClient(trust_env=False) as stranger:
        assert (await stranger.get(address)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v0/instances/x/", 400),
        ("DELETE", "/api/v0/instances/1/", 404),
        ("PUT", "/api/v0/asks/1/", 404),
        ("GET", "/api/v1/instances/?after_token=rubbish", 400),
    ],
)
async def test_what_is_not_there(market: Market, method: str, path: str, status: int) -> None:
    body = {"image": "x"} if method == "PUT" else None
    answer = await market.http.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["success"] is False


async def test_a_wrong_key_is_refused_in_the_markets_way(market: Market) -> None:
    wrong = {"Authorization": "Bearer no"}
    listing = await market.http.get("/api/v1/instances/", headers=wrong)
    search = await market.http.post("/api/v0/bundles/", json={}, headers=wrong)
    assert (listing.status_code, search.status_code) == (401, 404)
    assert search.json()["msg"] == "Invalid user key"
