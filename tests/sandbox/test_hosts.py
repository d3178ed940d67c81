"""Hosts that die, come back, change their price or lie."""

import httpx
import pytest

from .market import KEY, Market


async def host_of(market: Market) -> str:
    hosts = (await market.http.get("/_sandbox/hosts")).json()["hosts"]
    return next(str(host["name"]) for host in hosts if host["leases"])


async def test_a_dead_host_leaves_an_active_lease_without_status(market: Market) -> None:
    dseq = await market.leased()
    host = await host_of(market)
    await market.control(f"hosts/{host}/kill")
    market.advance(3600)
    lease = await market.the_lease(dseq)
    assert (lease["state"], lease["status"]) == ("active", None)
    assert float((await market.summary())["accrued_usd"]) > 1  # it bills on


async def test_a_dead_host_bids_no_more_and_is_offline(market: Market) -> None:
    for host in ("aurora", "borealis"):
        await market.control(f"hosts/{host}/kill")
    made = await market.created()
    market.advance(30)
    assert await market.bids(made["dseq"]) == []
    providers = (await market.http.get("/v1/providers")).json()
    assert {p["name"] for p in providers if not p["isOnline"]} == {"aurora", "borealis"}


async def test_the_gateway_answers_until_the_host_dies(market: Market) -> None:
    await market.leased()
    name = await host_of(market)
    providers = (await market.http.get("/v1/providers")).json()
    uri = next(p["hostUri"] for p in providers if p["name"] == name)
    assert (await market.http.get(f"{uri}/status")).json()["cluster"]["leases"] == 1
    await market.control(f"hosts/{name}/kill")
    with pytest.raises(httpx.TransportError):
        await market.http.get(f"{uri}/status")


async def test_a_dead_host_may_close_its_leases_later(market: Market) -> None:
    dseq = await market.leased()
    await market.control(f"hosts/{await host_of(market)}/kill", close_after_s=60)
    assert (await market.the_lease(dseq))["state"] == "active"
    market.advance(61)
    lease = await market.the_lease(dseq)
    assert (lease["state"], lease["reason"]) == ("closed", "lease_closed_reason_unstable")
    assert (await market.read(dseq))["deployment"]["state"] == "active"  # escrow is still held


async def test_a_host_that_comes_back_boots_its_leases_again(market: Market) -> None:
    dseq = await market.leased()
    host = await host_of(market)
    await market.control(f"hosts/{host}/kill")
    await market.control(f"hosts/{host}/revive")
    market.advance(5)
    assert (await market.the_lease(dseq))["status"]["services"]["job"]["available"] == 1


async def test_a_reclaimed_lease_ends_with_its_window(market: Market) -> None:
    dseq = await market.leased()
    await market.control(f"leases/{KEY}/reclaim", window_s=600)
    assert (await market.the_lease(dseq))["state"] == "reclaiming"
    market.advance(601)
    lease = await market.the_lease(dseq)
    assert lease["reason"] == "lease_closed_reason_decommission"


async def test_a_new_price_is_bid_and_shown(market: Market) -> None:
    await market.control("hosts/aurora/price", usd_per_gpu_hour="9.00")
    prices = (await market.http.get("/v1/gpu-prices")).json()["models"]
    sxm = next(m for m in prices if m["model"] == "h100" and m["interface"] == "sxm")
    assert sxm["price"]["med"] == 9.0


async def test_what_is_rented_is_no_longer_available(market: Market) -> None:
    before = (await market.http.get("/v1/gpu-prices")).json()["availability"]["available"]
    dseq = await market.leased()
    during = (await market.http.get("/v1/gpu-prices")).json()["availability"]["available"]
    await market.http.delete(f"/v1/deployments/{dseq}")
    after = (await market.http.get("/v1/gpu-prices")).json()["availability"]["available"]
    assert (during, after) == (before - 1, before)


async def test_control_says_what_it_does_not_know(market: Market) -> None:
    for path in ("hosts/nowhere/kill", "leases/none/cut"):
        answer = await market.http.post(f"/_sandbox/{path}", json={})
        assert answer.status_code == 404
        assert "There is no" in answer.json()["message"]


async def test_cutting_a_lease_that_runs_nothing_is_refused_with_the_reason(market: Market) -> None:
    await market.leased()
    answer = await market.http.post(f"/_sandbox/leases/{KEY}/cut", json={})
    assert answer.status_code == 409
    assert "no network" in answer.json()["message"]
