"""From a bid to a lease and its end: idempotence, money per block, losses, closing."""

from decimal import Decimal

import yaml

from .market import KEY, Market, sdl


async def test_leasing_again_changes_nothing(market: Market) -> None:
    made = await market.created()
    market.advance(10)
    bids = await market.bids(made["dseq"])
    first = await market.lease(made, bids[0])
    again = await market.lease(made, bids[1])  # even for another bid: one lease means all exist
    assert first.status_code == again.status_code == 200
    assert [lease["id"]["provider"] for lease in again.json()["data"]["leases"]] == [
        bids[0]["id"]["provider"]
    ]
    assert market.events().count("leased") == 1


async def test_the_other_bids_are_lost(market: Market) -> None:
    dseq = await market.leased()
    assert sorted(bid["state"] for bid in await market.bids(dseq)) == ["active", "lost"]


async def test_a_host_that_filled_up_meanwhile_closes_its_bid(market: Market) -> None:
    wanted = {"gpu": {"units": 9, "attributes": {"vendor": {"nvidia": [{"model": "h100"}]}}}}
    first, second = await market.created(sdl("a", resources=wanted)), None
    second = await market.created(sdl("b", resources=wanted))
    market.advance(10)
    taken = await market.lease(first, (await market.bids(first["dseq"]))[0])
    late = await market.lease(second, (await market.bids(second["dseq"]))[0])
    assert taken.status_code == 200
    assert late.status_code == 400
    assert "no longer open" in late.json()["message"]


async def test_a_lease_boots_and_becomes_available(market: Market) -> None:
    dseq = await market.leased()
    status = (await market.the_lease(dseq))["status"]
    assert status["services"]["job"]["available"] == 0
    market.advance(5)
    status = (await market.the_lease(dseq))["status"]
    assert status["services"]["job"]["available"] == status["services"]["job"]["total"] == 1
    assert status["forwarded_ports"]["job"][0]["port"] == 8080


async def test_a_wrong_manifest_is_422_and_the_lease_bills(market: Market) -> None:
    made = await market.created()
    market.advance(10)
    bid = (await market.bids(made["dseq"]))[0]
    answer = await market.lease({**made, "manifest": made["manifest"] + " "}, bid)
    assert answer.status_code == 422
    assert answer.json()["code"] == "manifest_not_delivered"
    lease = await market.the_lease(made["dseq"])
    assert (lease["state"], lease["status"]) == ("active", None)
    market.advance(301)
    lease = await market.the_lease(made["dseq"])
    assert lease["reason"] == "lease_closed_reason_manifest_timeout"
    assert Decimal((await market.summary())["billed_usd"]) > 0


async def test_an_hour_costs_the_hourly_price(market: Market) -> None:
    dseq = await market.leased()
    market.advance(3600)
    await market.http.delete(f"/v1/deployments/{dseq}")
    leased = next(e for e in market.app.world.ledger.entries() if e.event == "leased")
    billed = Decimal((await market.summary())["billed_usd"])
    hourly = Decimal(leased.usd_per_hour)
    assert abs(billed - hourly) <= hourly / 600  # to the block


async def test_an_empty_escrow_ends_the_lease_and_nothing_more_is_taken(market: Market) -> None:
    dseq = await market.leased()
    market.advance(24 * 3600)
    lease = await market.the_lease(dseq)
    assert lease["state"] == "insufficient_funds"
    assert lease["reason"] == "lease_closed_reason_insufficient_funds"
    summary = await market.summary()
    assert Decimal("4.99") < Decimal(summary["billed_usd"]) <= 5
    assert summary["held"] == {}
    assert Decimal(summary["wallet_usd"]) + Decimal(summary["billed_usd"]) == 10_000


async def test_auto_top_up_keeps_a_lease_alive(market: Market) -> None:
    dseq = await market.leased()
    body = {"data": {"dseq": dseq, "autoTopUpEnabled": True}}
    answer = await market.http.post("/v2/deployment-settings", json=body)
    assert answer.json()["data"]["autoTopUpEnabled"] is True
    market.advance(24 * 3600)
    assert (await market.the_lease(dseq))["state"] == "active"
    await market.http.delete(f"/v1/deployments/{dseq}")
    summary = await market.summary()
    assert Decimal(summary["billed_usd"]) > 30
    assert Decimal(summary["wallet_usd"]) + Decimal(summary["billed_usd"]) == 10_000


async def test_closing_twice_is_success_and_the_rest_comes_back(market: Market) -> None:
    dseq = await market.leased()
    for _ in range(2):
        answer = await market.http.delete(f"/v1/deployments/{dseq}")
        assert answer.json() == {"data": {"success": True}}
    assert (await market.the_lease(dseq))["reason"] == "lease_closed_owner"
    assert market.events().count("closed") == 1
    listed = await market.http.get("/v1/deployments")
    assert listed.json()["data"]["deployments"] == []


async def test_what_does_not_exist_is_404(market: Market) -> None:
    for call in (market.http.get, market.http.delete):
        answer = await call("/v1/deployments/123")
        assert (answer.status_code, answer.json()["message"]) == (404, "Deployment not found")


async def test_a_closed_deployment_gives_no_lease(market: Market) -> None:
    made = await market.created()
    market.advance(10)
    bid = (await market.bids(made["dseq"]))[0]
    await market.http.delete(f"/v1/deployments/{made['dseq']}")
    answer = await market.lease(made, bid)
    assert answer.status_code == 400
    assert "Deployment closed" in answer.json()["message"]


async def test_an_update_gives_a_new_hash_and_keeps_the_lease(market: Market) -> None:
    dseq = await market.leased()
    before = await market.read(dseq)
    text = yaml.safe_dump(sdl(service={"env": ["A=b"]}))
    answer = await market.http.put(f"/v1/deployments/{dseq}", json={"data": {"sdl": text}})
    after = answer.json()["data"]
    assert after["deployment"]["hash"] != before["deployment"]["hash"]
    assert [lease["state"] for lease in after["leases"]] == ["active"]
    assert market.events().count("leased") == 1


async def test_two_placements_are_leased_together(market: Market) -> None:
    document = sdl("a")
    document["services"]["web"] = document["services"]["job"]
    document["profiles"]["placement"]["b"] = document["profiles"]["placement"]["a"]
    document["deployment"]["web"] = {"b": {"profile": "job", "count": 1}}
    made = await market.created(document)
    market.advance(10)
    chosen = {bid["id"]["gseq"]: bid["id"] for bid in await market.bids(made["dseq"])}
    body = {"manifest": made["manifest"], "leases": list(chosen.values())}
    answer = await market.http.post("/v1/leases", json=body)
    assert {lease["id"]["gseq"] for lease in answer.json()["data"]["leases"]} == {1, 2}
    assert (await market.summary())["open_leases"] == 2


async def test_the_lists_have_pages(market: Market) -> None:
    for number in range(5):
        await market.created(sdl(f"key-{number}"))
    seen: list[str] = []
    query = {"pagination.limit": "2"}
    while True:
        answer = await market.http.get("/akash/deployment/v1beta4/deployments/list", params=query)
        body = answer.json()
        seen += [item["groups"][0]["group_spec"]["name"] for item in body["deployments"]]
        if body["pagination"]["next_key"] is None:
            break
        query["pagination.key"] = body["pagination"]["next_key"]
    assert seen == [f"key-{number}" for number in range(5)]
    own = (await market.http.get("/v1/deployments", params={"skip": 4, "limit": 4})).json()["data"]
    assert len(own["deployments"]) == 1
    assert own["pagination"] == {"total": 5, "skip": 4, "limit": 4, "hasMore": False}


async def test_one_key_leased_twice_is_a_double(market: Market) -> None:
    dseqs = [await market.leased(), await market.leased()]
    assert (await market.summary())["doubles"] == {KEY: sorted(dseqs)}
