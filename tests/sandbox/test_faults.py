"""Every fault switch does what it says, as often as told, and leaves a line in the ledger."""

import time

import httpx
import pytest

from .market import KEY, Market, sdl


async def test_a_lost_answer_has_done_its_work_and_is_recorded(market: Market) -> None:
    await market.fault("drop_response_after_commit", method="POST", path="/v1/deployments", count=1)
    with pytest.raises(httpx.TransportError):
        await market.create()
    assert (await market.summary())["by_key"][KEY]["created"] == 1
    await market.created()
    assert (await market.summary())["by_key"][KEY]["creates_received"] == 2


async def test_a_reset_before_executes_nothing(market: Market) -> None:
    await market.fault("reset_before", path="/v1/deployments", count=1)
    with pytest.raises(httpx.TransportError):
        await market.create()
    assert (await market.summary())["by_key"].get(KEY, {}).get("created", 0) == 0


async def test_a_late_request_executes_after_its_sender_gave_up(market: Market) -> None:
    await market.fault("execute_late", path="/v1/deployments", count=1, seconds=0.1)
    with pytest.raises(httpx.TransportError):
        await market.create()
    deadline = time.monotonic() + 10
    while (await market.summary())["open_deployments"] == 0:
        assert time.monotonic() < deadline
    assert (await market.summary())["by_key"][KEY]["created"] == 1


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [
        ({"status": 429, "body": "slow down", "headers": {"Retry-After": "7"}}, 429, "slow down"),
        ({"status": 500}, 500, ""),
        ({"status": 402, "body": {"message": "no money"}}, 402, '{"message": "no money"}'),
    ],
    ids=["429 in plain text", "500", "402 as JSON"],
)
async def test_a_status_stands_in_for_the_work(
    market: Market, rule: dict[str, object], status: int, body: str
) -> None:
    await market.fault("status", path="/v1/deployments", count=1, **rule)
    answer = await market.create()
    assert (answer.status_code, answer.text) == (status, body)
    assert (await market.summary())["open_deployments"] == 0
    if status == 429:
        assert answer.headers["Retry-After"] == "7"


async def test_a_500_after_the_work(market: Market) -> None:
    await market.fault("status_after_commit", path="/v1/deployments", count=1, status=503)
    assert (await market.create()).status_code == 503
    assert (await market.summary())["open_deployments"] == 1


async def test_html_instead_of_json(market: Market) -> None:
    await market.fault("html", path="/v1/gpu-prices", count=1)
    answer = await market.http.get("/v1/gpu-prices")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")


async def test_an_empty_list_with_200(market: Market) -> None:
    await market.created()
    await market.fault("empty_list", path="/akash/.*")
    answer = await market.http.get("/akash/deployment/v1beta4/deployments/list")
    assert answer.status_code == 200
    assert answer.json()["deployments"] == []


async def test_a_cut_off_answer(market: Market) -> None:
    await market.fault("truncate", path="/v1/gpu-prices", count=1, bytes=20)
    with pytest.raises(httpx.RemoteProtocolError):
        await market.http.get("/v1/gpu-prices")


async def test_an_oversized_answer(market: Market) -> None:
    await market.fault("oversize", path="/v1/gpu-prices", count=1, mib=2)
    assert len((await market.http.get("/v1/gpu-prices")).content) > 2 * 2**20


@pytest.mark.parametrize("action", ["delay", "delay_response"])
async def test_a_delay_holds_the_answer(market: Market, action: str) -> None:
    await market.fault(action, path="/v1/gpu-prices", count=1, seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        await market.http.get("/v1/gpu-prices", timeout=0.2)
    assert (await market.http.get("/v1/gpu-prices", timeout=5)).status_code == 200


async def test_a_new_deployment_stays_out_of_the_lists(market: Market) -> None:
    await market.fault("list_lag", seconds=30)
    made = await market.created()
    for path, name in (("/v1/deployments", "data"), ("/akash/deployment/v1/deployments/list", "")):
        body = (await market.http.get(path)).json()
        assert (body[name] if name else body)["deployments"] == []
    assert (await market.read(made["dseq"]))["deployment"]["state"] == "active"
    market.advance(31)
    assert len((await market.http.get("/v1/deployments")).json()["data"]["deployments"]) == 1


async def test_the_status_is_null_for_a_time_and_then_back(market: Market) -> None:
    dseq = await market.leased()
    market.advance(5)
    await market.fault("status_null", key=KEY, for_s=120)
    assert (await market.the_lease(dseq))["status"] is None
    assert (await market.the_lease(dseq))["state"] == "active"
    market.advance(121)
    assert (await market.the_lease(dseq))["status"]["services"]["job"]["available"] == 1


async def test_a_bid_closes_between_list_and_lease(market: Market) -> None:
    await market.fault("bid_closes", count=1)
    made = await market.created()
    market.advance(10)
    first, second = await market.bids(made["dseq"])
    assert (await market.lease(made, first)).status_code == 400
    assert (await market.lease(made, second)).status_code == 200


async def test_no_bids_and_late_bids(market: Market) -> None:
    await market.fault("no_bids", key="none", count=1)
    await market.fault("late_bid", key="late", seconds=120)
    none, late = await market.created(sdl("none")), await market.created(sdl("late"))
    market.advance(100)
    assert await market.bids(none["dseq"]) == await market.bids(late["dseq"]) == []
    market.advance(30)
    assert await market.bids(none["dseq"]) == []
    assert len(await market.bids(late["dseq"])) == 2


@pytest.mark.parametrize("reason", ["unstable", "decommission", "unspecified"])
async def test_the_host_ends_the_lease(market: Market, reason: str) -> None:
    await market.fault("lease_closes", seconds=60, reason=reason)
    dseq = await market.leased()
    market.advance(61)
    lease = await market.the_lease(dseq)
    assert (lease["state"], lease["reason"]) == ("closed", f"lease_closed_reason_{reason}")
    assert lease["closed_on"] != "0"


async def test_the_host_reclaims_the_lease(market: Market) -> None:
    await market.fault("reclaiming", seconds=60, window_s=600)
    dseq = await market.leased()
    market.advance(61)
    assert (await market.the_lease(dseq))["state"] == "reclaiming"
    market.advance(600)
    assert (await market.the_lease(dseq))["state"] == "closed"


async def test_a_close_that_does_not_stick(market: Market) -> None:
    dseq = await market.leased()
    await market.fault("close_sticks", count=1)
    answer = await market.http.delete(f"/v1/deployments/{dseq}")
    assert answer.json() == {"data": {"success": True}}
    assert (await market.read(dseq))["deployment"]["state"] == "active"
    await market.http.delete(f"/v1/deployments/{dseq}")
    assert (await market.read(dseq))["deployment"]["state"] == "closed"


async def test_a_manifest_refused_once_is_taken_the_second_time(market: Market) -> None:
    await market.fault("manifest_refused", count=1)
    made = await market.created()
    market.advance(10)
    bid = (await market.bids(made["dseq"]))[0]
    assert (await market.lease(made, bid)).status_code == 422
    assert (await market.lease(made, bid)).status_code == 200
    assert market.events().count("leased") == 1


async def test_running_without_endpoints(market: Market) -> None:
    await market.fault("empty_endpoints")
    dseq = await market.leased()
    market.advance(5)
    status = (await market.the_lease(dseq))["status"]
    assert status["services"]["job"]["available"] == 1
    assert status["forwarded_ports"] == {}


async def test_rules_count_skip_match_by_key_and_follow_their_seed(market: Market) -> None:
    await market.fault("status", path="/v1/deployments", key="bad-.*", after=1, count=1, status=500)
    codes = [(await market.create(sdl(f"bad-{n}"))).status_code for n in range(3)]
    assert codes == [201, 500, 201]
    assert (await market.create(sdl("good"))).status_code == 201


async def test_a_probability_is_repeatable_by_seed(market: Market) -> None:
    async def run(seed: int) -> list[int]:
        await market.http.delete("/_sandbox/faults")
        await market.fault("status", path="/v1/gpu", probability=0.5, seed=seed, status=503)
        return [(await market.http.get("/v1/gpu")).status_code for _ in range(20)]

    first, again, other = await run(1), await run(1), await run(2)
    assert first == again != other
    assert set(first) == {200, 503}


async def test_every_strike_is_in_the_ledger(market: Market) -> None:
    await market.fault("status", path="/v1/gpu", count=1, status=503)
    await market.http.get("/v1/gpu")
    strikes = [e for e in market.app.world.ledger.entries() if e.event == "fault"]
    assert [strike.detail["action"] for strike in strikes] == ["status"]


async def test_an_unknown_action_is_refused_with_the_list(market: Market) -> None:
    answer = await market.http.post("/_sandbox/faults", json={"action": "explode"})
    assert answer.status_code == 400
    assert "drop_response_after_commit" in answer.json()["message"]
