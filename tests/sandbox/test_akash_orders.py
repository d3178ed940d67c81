"""From an SDL to bids: what is accepted, who bids, at what price, for how long."""

from decimal import Decimal

import pytest

from overspill.sandbox.options import SandboxOptions

from .conftest import open_market
from .market import KEY, Market, sdl

PRICES = ("2412.785388", "2629.452055")


async def test_the_key_is_asked_for(market: Market) -> None:
    answer = await market.http.post("/v1/deployments", json={}, headers={"x-api-key": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"


async def test_two_creates_are_two_escrows(market: Market) -> None:
    first, second = await market.created(), await market.created()
    assert first["dseq"] != second["dseq"]
    summary = await market.summary()
    assert summary["double_creates"] == {KEY: sorted([first["dseq"], second["dseq"]])}
    assert summary["wallet_usd"] == "9990"


async def test_bids_come_after_a_while_from_hosts_that_have_the_gpu(market: Market) -> None:
    made = await market.created()
    assert await market.bids(made["dseq"]) == []
    market.advance(10)
    bids = await market.bids(made["dseq"])
    assert {bid["state"] for bid in bids} == {"open"}
    assert len(bids) == 2  # aurora and borealis; zero has H100s too, but nobody audited it


async def test_a_bid_is_the_host_rate_in_uact_per_block(market: Market) -> None:
    made = await market.created()
    market.advance(10)
    prices = sorted(Decimal(b["price"]["amount"]) for b in await market.bids(made["dseq"]))
    # 1.42 or 1.55 USD per hour for the GPU; 4 CPUs, 16 GiB, 50 GiB of disk: 20.20 USD a month of
    # 730 hours; over 600 blocks of 6 s, in millionths
    assert prices == [pytest.approx(Decimal(p), abs=Decimal("1e-5")) for p in PRICES]


@pytest.mark.parametrize(("cap", "bids"), [(2412, 0), (2413, 1), (2629, 1), (2630, 2)], ids=str)
async def test_no_bid_is_above_the_price_of_the_sdl(market: Market, cap: int, bids: int) -> None:
    pricing = {"pricing": {"job": {"denom": "uact", "amount": cap}}}
    made = await market.created(sdl(placement=pricing))
    market.advance(10)
    assert len(await market.bids(made["dseq"])) == bids


@pytest.mark.parametrize(
    ("gpu", "hosts"),
    [
        ({"model": "h100", "interface": "sxm"}, 1),
        ({"model": "a100", "ram": "80Gi"}, 1),
        ({"model": "a100"}, 2),
        ({"model": "b300"}, 0),
    ],
    ids=["by interface", "by memory", "by model", "nobody has it"],
)
async def test_hosts_answer_for_the_gpu_they_carry(
    market: Market, gpu: dict[str, str], hosts: int
) -> None:
    wanted = {"gpu": {"units": 1, "attributes": {"vendor": {"nvidia": [gpu]}}}}
    made = await market.created(sdl(resources=wanted))
    market.advance(10)
    assert len(await market.bids(made["dseq"])) == hosts


async def test_a_region_narrows_the_hosts(market: Market) -> None:
    made = await market.created(sdl(placement={"attributes": {"region": "eu-west"}}))
    market.advance(10)
    assert len(await market.bids(made["dseq"])) == 1


async def test_more_gpus_than_a_host_has_get_no_bid(market: Market) -> None:
    wanted = {"gpu": {"units": 17, "attributes": {"vendor": {"nvidia": [{"model": "h100"}]}}}}
    made = await market.created(sdl(resources=wanted))
    market.advance(10)
    assert await market.bids(made["dseq"]) == []


async def test_a_bid_lapses_after_five_minutes(market: Market) -> None:
    made = await market.created()
    market.advance(10)
    bid = (await market.bids(made["dseq"]))[0]
    market.advance(310)
    answer = await market.lease(made, bid)
    assert answer.status_code == 400
    assert "no longer open" in answer.json()["message"]


async def test_a_deployment_without_lease_is_closed_after_ten_minutes(market: Market) -> None:
    made = await market.created()
    market.advance(599)
    assert (await market.read(made["dseq"]))["deployment"]["state"] == "active"
    market.advance(2)
    assert (await market.read(made["dseq"]))["deployment"]["state"] == "closed"
    assert (await market.summary())["wallet_usd"] == "10000"


async def test_a_trial_account_loses_its_quote_to_the_next_create() -> None:
    async with open_market(SandboxOptions(trial=True)) as market:
        first = await market.created()
        await market.created(sdl("another"))
        assert (await market.read(first["dseq"]))["deployment"]["state"] == "closed"


async def test_a_create_without_money_is_402_and_recorded(market: Market) -> None:
    await market.control("wallet", usd="4.99")
    answer = await market.create()
    assert answer.status_code == 402
    assert "Not enough balance" in answer.json()["message"]
    assert market.events() == ["create_received", "create_refused"]


async def test_the_price_is_rewritten_to_uact_and_the_auditor_added(market: Market) -> None:
    await market.created()
    listed = await market.http.get("/akash/deployment/v1beta4/deployments/list")
    spec = listed.json()["deployments"][0]["groups"][0]["group_spec"]
    assert spec["name"] == KEY
    assert spec["resources"][0]["price"]["denom"] == "uact"
    auditors = await market.http.get("/v1/auditors")
    assert spec["requirements"]["signed_by"]["any_of"] == [auditors.json()[0]["address"]]


@pytest.mark.parametrize(
    "change",
    [
        {"version": "3.0"},
        {"services": {}},
        {"deployment": {"other": {}}},
        {"resources": {"gpu": {"units": 1}}},
        {"resources": {"cpu": {"units": 0}}},
        {"resources": {"memory": {"size": "lots"}}},
        {"service": {"image": ""}},
        {"service": {"env": {"A": "b"}}},
        {"placement": {"pricing": {}}},
        {"placement": {"pricing": {"job": {"denom": "usd", "amount": 1}}}},
        {"placement": {"pricing": {"job": {"denom": "uact", "amount": 0}}}},
    ],
    ids=[
        "unknown version",
        "no services",
        "a service without deployment",
        "gpu without vendor",
        "no cpu",
        "not a size",
        "no image",
        "env is a mapping",
        "no price",
        "dollars",
        "free",
    ],
)
async def test_a_wrong_sdl_is_400(market: Market, change: dict[str, object]) -> None:
    answer = await market.create(sdl(**change))
    assert answer.status_code == 400
    assert set(answer.json()) >= {"error", "message", "code", "type"}
    assert (await market.summary())["open_deployments"] == 0


@pytest.mark.parametrize(
    "body", [{}, {"data": {}}, {"data": {"sdl": 5}}, {"data": {"sdl": "{"}}, []], ids=str
)
async def test_a_wrong_body_is_400_and_recorded(market: Market, body: object) -> None:
    answer = await market.http.post("/v1/deployments", json=body)
    assert answer.status_code == 400
    assert market.events("")[0] == "create_received"
