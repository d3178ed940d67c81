"""Several markets in one sandbox: own ports, shared hosts, ledger, clock and control."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from overspill.sandbox import markets
from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

ALL = ("akash", "vast", "runpod")
AUTH = {"authorization": "Bearer sandbox-key", "x-api-key": "sandbox-key"}


@pytest.fixture
async def app() -> AsyncIterator[SandboxApp]:
    async with running(SandboxOptions(markets=ALL)) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers=AUTH, trust_env=False) as client:
        yield client


async def rent(app: SandboxApp, http: httpx.AsyncClient, key: str, *where: str) -> None:
    """One H100 on Vast.ai and one on RunPod, under one key."""
    if "vast" in where:
        url, query = app.urls["vast"], {"gpu_name": {"eq": "H100 SXM"}, "num_gpus": {"eq": 1}}
        offers = (await http.post(f"{url}/api/v0/bundles/", json=query)).json()["offers"]
        body: dict[str, Any] = {"image": "x", "label": key, "args": ["true"]}
        made = await http.put(f"{url}/api/v0/asks/{offers[0]['id']}/", json=body)
        assert made.status_code == 200, made.text
    if "runpod" in where:
        gpu = {"id": "NVIDIA H100 80GB HBM3", "count": 1}
        body = {"name": key, "image": "x", "gpu": gpu}
        made = await http.post(f"{app.urls['runpod']}/v2/pods", json=body)
        assert made.status_code == 201, made.text


async def test_each_market_has_a_port_and_its_own_paths(
    app: SandboxApp, http: httpx.AsyncClient
) -> None:
    assert list(app.urls) == list(ALL)
    assert len(set(app.urls.values())) == 3
    assert (await http.get(f"{app.urls['runpod']}/v2/pods")).json()["pods"] == []
    assert (await http.get(f"{app.urls['akash']}/v2/pods")).status_code == 404


async def test_hosts_ledger_and_control_are_shared(
    app: SandboxApp, http: httpx.AsyncClient
) -> None:
    await rent(app, http, "gl-a", "vast", "runpod")
    for url in app.urls.values():
        summary = (await http.get(f"{url}/_sandbox/summary")).json()
        assert summary["by_market"]["vast"]["open"] == 1
        assert summary["by_market"]["runpod"]["open"] == 1
        assert list(summary["doubles"]) == ["gl-a"]  # one key, two markets, at one time
        assert set(summary["wallets_usd"]) == set(ALL)
    hosts = (await http.get(f"{app.urls['akash']}/_sandbox/hosts")).json()["hosts"]
    aurora = next(host for host in hosts if host["name"] == "aurora")
    assert aurora["free_gpus"] == 14
    assert {entry.market for entry in app.world.ledger.entries()} == {"vast", "runpod"}


async def test_a_fault_can_be_meant_for_one_market(
    app: SandboxApp, http: httpx.AsyncClient
) -> None:
    app.world.faults.add({"action": "status", "status": 503, "market": "vast"})
    assert (await http.get(f"{app.urls['vast']}/api/v1/instances/")).status_code == 503
    assert (await http.get(f"{app.urls['runpod']}/v2/pods")).status_code == 200


async def test_one_accounts_money_can_be_set_alone(
    app: SandboxApp, http: httpx.AsyncClient
) -> None:
    control = f"{app.urls['akash']}/_sandbox"
    await http.post(f"{control}/wallet", json={"usd": "3", "market": "vast"})
    wallets = (await http.get(f"{control}/summary")).json()["wallets_usd"]
    assert [Decimal(wallets[name]) for name in ALL] == [10_000, 3, 10_000]
    wrong = await http.post(f"{control}/wallet", json={"usd": "3", "market": "nobody"})
    assert wrong.status_code == 404


async def test_a_lease_is_found_by_its_key_whatever_its_market(
    app: SandboxApp, http: httpx.AsyncClient
) -> None:
    await rent(app, http, "gl-a", "runpod")
    await rent(app, http, "gl-b", "vast")
    control = f"{app.urls['akash']}/_sandbox"
    for key in ("gl-a", "gl-b"):
        assert (await http.post(f"{control}/leases/{key}/close", json={})).status_code == 200
    assert (await http.get(f"{control}/summary")).json()["open_leases"] == 0


async def test_a_host_may_sell_on_one_market_only(tmp_path: Path) -> None:
    gpu = {"model": "h100", "ram": "80Gi", "interface": "sxm"}
    host = {"gpu": gpu, "gpus": 8, "usd_per_gpu_hour": "2"}
    supply = tmp_path / "supply.json"
    only = [{**host, "name": name, "markets": [name]} for name in ("vast", "runpod")]
    supply.write_text(json.dumps({"hosts": only}))
    async with running(SandboxOptions(markets=("vast", "runpod"), supply=supply)) as app:
        for name, market in app.markets.items():
            assert list(market.world.supply.hosts) == [name]


async def test_a_key_lost_over_time_is_billed_by_each_market(
    app: SandboxApp, http: httpx.AsyncClient
) -> None:
    await rent(app, http, "gl-a", "vast", "runpod")
    await http.post(f"{app.urls['vast']}/_sandbox/clock/advance", json={"seconds": 3600})
    summary = (await http.get(f"{app.urls['vast']}/_sandbox/summary")).json()
    # 1.55 USD/h each, with a disk; Vast.ai's boot of 3 s is free
    assert 3.09 < float(summary["accrued_usd"]) < 3.12


def test_the_process_tells_every_url() -> None:
    with Sandbox.start(SandboxOptions(markets=("vast", "runpod"))) as market:
        assert list(market.urls) == ["vast", "runpod"]
        assert market.url == market.urls["vast"]


def test_a_market_that_is_not_there_is_named() -> None:
    assert markets.known() == sorted(markets.known())
    with pytest.raises(ValueError, match="There is no market 'nobody'; there are akash"):
        markets.create("nobody")


@pytest.mark.parametrize("action", sorted(markets.faults()))
def test_each_markets_own_faults_are_explained(action: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "sandbox.md"
    assert f"`{action}`" in page.read_text(encoding="utf-8")
