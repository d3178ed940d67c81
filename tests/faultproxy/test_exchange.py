"""Each failure of an exchange is what it says: what the client sees, and what was carried out."""

import asyncio

import httpx
import pytest

from overspill.testing.faultproxy import Action, Rule

from .conftest import KEY, LEASES, SPACE, Bench

THING = f"/api/v1/namespaces/{SPACE}/configmaps/a"
PODS = "/api/v1/pods"


async def done(bench: Bench) -> int:
    """How many requests were carried out, the late ones too."""
    await asyncio.to_thread(bench.proxies.calm)
    return len(bench.server.seen)


async def test_without_a_rule_everything_passes_as_it_is(bench: Bench):
    answer = await bench.client.get(bench.api + THING, params={"a": "b c"})
    assert (answer.status_code, answer.json()["n"]) == (200, 1)
    assert bench.server.seen == [f"GET {THING}"]


CASES = {
    Action.RESET: (httpx.TransportError, 0),
    Action.HANG: (httpx.TransportError, 0),
    Action.LOSE_ANSWER: (httpx.TransportError, 1),
    Action.TRUNCATE: (httpx.TransportError, 1),
    Action.LATE: (httpx.TransportError, 1),
    Action.REFUSE: (503, 0),
    Action.ERROR_AFTER: (503, 1),
    Action.TWICE: (200, 2),
    Action.REPLAY: (200, 2),
    Action.DELAY: (200, 1),
    Action.SLOW_ANSWER: (200, 1),
}


@pytest.mark.parametrize("action", CASES, ids=str)
async def test_what_is_seen_and_what_was_carried_out(bench: Bench, action: Action):
    await bench.rule(action, seconds=0.05)
    expected, carried_out = CASES[action]
    if isinstance(expected, int):
        assert (await bench.client.get(bench.api + THING)).status_code == expected
    else:
        with pytest.raises(expected):
            await bench.client.get(bench.api + THING)
    assert await done(bench) == carried_out


async def test_a_refusal_is_a_status_at_the_api_server_and_a_page_at_a_market(bench: Bench):
    await bench.rule(Action.REFUSE, status=410)
    assert (await bench.client.get(bench.api + THING)).json()["reason"] == "Expired"
    assert "html" in (await bench.client.get(bench.market + "/x")).text


async def test_the_second_answer_of_two_is_told(bench: Bench):
    await bench.rule(Action.TWICE)
    assert (await bench.client.get(bench.api + THING)).json()["n"] == 2


async def test_an_old_list_is_one_that_was_true_before(bench: Bench):
    first = await bench.client.get(bench.market + "/v1/things")
    await bench.client.get(bench.market + "/v1/things")
    await bench.rule(Action.OLD_LIST, seconds=30)
    assert (await bench.client.get(bench.market + "/v1/things")).text == first.text


async def test_a_short_list_lacks_the_last(bench: Bench):
    await bench.rule(Action.SHORT_LIST)
    assert (await bench.client.get(bench.market + "/x")).json()["things"] == [1, 2]


async def test_short_pages_are_asked_of_the_server_itself(bench: Bench):
    await bench.rule(Action.SHORT_PAGES, "api list pods")
    answer = await bench.client.get(bench.api + PODS, params={"limit": "500"})
    assert len(answer.json()["items"]) == 2


async def test_a_server_that_is_gone_is_a_bad_gateway(bench: Bench):
    bench.proxies._proxies["api"].upstream.url = "http://127.0.0.1:9"
    assert (await bench.client.get(bench.api + THING)).status_code == 502


async def test_a_create_without_a_record_is_seen_when_it_is_sent(bench: Bench):
    await bench.buy()
    assert bench.proxies.audit.violations[0].startswith("I1")


async def test_a_create_under_its_permit_is_right_and_a_second_one_is_not(bench: Bench):
    await bench.record(seq=1)
    await bench.buy()
    assert bench.proxies.audit.violations == []
    await bench.buy()
    assert bench.proxies.audit.violations[0].startswith("I4")


async def test_copies_the_proxy_made_are_not_the_client_s(bench: Bench):
    await bench.record(seq=1)
    await bench.rule(Action.TWICE, "vast .*")
    await bench.buy()
    assert bench.proxies.audit.violations == []
    assert bench.proxies.audit.copies == {KEY: 1}


@pytest.mark.parametrize(("state", "wrong"), [("Active", 1), ("Closing", 0)])
async def test_what_is_active_must_not_be_ended(bench: Bench, state: str, wrong: int):
    await bench.record(seq=1, state=state, external_id="31")
    await bench.client.delete(bench.market + "/api/v0/instances/31/")
    assert len(bench.proxies.audit.violations) == wrong


async def test_a_record_whose_answer_was_lost_is_committed_all_the_same(bench: Bench):
    await bench.rule(Action.LOSE_ANSWER, "api create gpuleases")
    with pytest.raises(httpx.TransportError):
        await bench.record(seq=1)
    await bench.buy()
    assert bench.proxies.audit.violations == []


async def test_a_market_s_request_belongs_to_the_case_whose_lease_it_carries(bench: Bench):
    lane = await bench.rules(Rule(Action.REFUSE, "vast PUT /api/v0/asks/.", status=500))
    await bench.record(seq=1)
    assert (await bench.buy()).status_code == 500
    assert lane.struck == {"refuse vast PUT /api/v0/asks/*": 1}


async def test_the_past_is_listed_and_watches_are_silent_until_it_catches_up(bench: Bench):
    async def list_pods() -> int:
        return len((await bench.client.get(bench.api + PODS)).json()["items"])

    await bench.client.get(bench.api + PODS, params={"limit": "1"})
    snapshot = await asyncio.to_thread(bench.proxies.snapshot, "api")
    seen = len(bench.server.seen)
    await asyncio.to_thread(bench.proxies.serve_past, "api", snapshot)
    assert await list_pods() == 3
    waiting = asyncio.create_task(bench.watched("2"))
    await asyncio.sleep(0)
    assert (await bench.client.get(bench.api + THING)).status_code == 200
    assert bench.server.seen[seen:] == [f"GET {THING}"]
    await asyncio.to_thread(bench.proxies.catch_up, "api")
    assert [e["object"]["metadata"]["name"] for e in await waiting] == ["p2", "p3"]


async def test_only_lists_of_the_whole_cluster_are_from_the_past(bench: Bench):
    await bench.client.get(bench.api + PODS)
    snapshot = await asyncio.to_thread(bench.proxies.snapshot, "api")
    await asyncio.to_thread(bench.proxies.serve_past, "api", snapshot)
    before = len(bench.server.seen)
    await bench.client.get(bench.api + LEASES)
    assert len(bench.server.seen) == before + 1
