"""The hosts' gateways: what a token grants, and how a log is asked for and ends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from overspill.sandbox.markets.akash.jwt import Asked, Tokens, fault_of
from overspill.sandbox.markets.akash.logs import Wanted, wanted_of

from .market import Market

OWNER, HOST = "akash1us", "akash1host"
LOGS = Asked(HOST, dseq=17, gseq=1, oseq=1, scope="logs")


def granular(**changes: Any) -> dict[str, Any]:
    deployment = {"dseq": 17, "gseq": 1, "oseq": 1, "scope": ["logs"], "services": ["job"]}
    inner = {name: value for name, value in {**deployment, **changes}.items() if value is not None}
    permission = {"provider": HOST, "access": "granular", "deployments": [inner]}
    return {"access": "granular", "permissions": [permission]}


def at_provider(**permission: Any) -> dict[str, Any]:
    return {"access": "granular", "permissions": [{"provider": HOST, **permission}]}


@pytest.mark.parametrize(
    ("leases", "asked", "is_allowed"),
    [
        ({"access": "full"}, LOGS, True),
        ({"access": "scoped", "scope": ["logs", "status"]}, LOGS, True),
        ({"access": "scoped", "scope": ["status"]}, LOGS, False),
        (at_provider(access="full"), LOGS, True),
        (at_provider(access="full"), replace(LOGS, provider="akash1other"), False),
        (at_provider(access="scoped", scope=["logs"]), LOGS, True),
        (at_provider(access="scoped", scope=["shell"]), LOGS, False),
        (granular(), LOGS, True),
        (granular(), replace(LOGS, scope="shell"), False),
        (granular(), replace(LOGS, dseq=18), False),
        (granular(), replace(LOGS, gseq=2), False),
        (granular(), replace(LOGS, oseq=2), False),
        (granular(gseq=None, oseq=None), replace(LOGS, gseq=2, oseq=3), True),
        (granular(), replace(LOGS, provider="akash1other"), False),
    ],
    ids=[
        "full",
        "scoped",
        "scoped to another",
        "full at the host",
        "full at another host",
        "scoped at the host",
        "scoped to another at the host",
        "this lease",
        "another scope",
        "another deployment",
        "another group",
        "another order",
        "any group and order",
        "this lease elsewhere",
    ],
)
def test_a_token_grants_what_it_says(
    leases: Mapping[str, Any], asked: Asked, is_allowed: bool
) -> None:
    assert fault_of(leases) == ""
    tokens = Tokens(OWNER)
    assert tokens.allows(tokens.issue(leases, 1000, 60), asked, 1001) is is_allowed


def test_a_token_has_its_time_and_its_maker() -> None:
    tokens = Tokens(OWNER)
    token = tokens.issue({"access": "full"}, 1000, 60)
    assert [tokens.allows(token, LOGS, now) for now in (999, 1000, 1059, 1060)] == [
        False,
        True,
        True,
        False,
    ]
    assert not Tokens(OWNER).allows(token, LOGS, 1000)
    assert not tokens.allows("", LOGS, 1000)
    assert not tokens.allows(token + "x", LOGS, 1000)


@pytest.mark.parametrize(
    "leases",
    [
        None,
        {},
        {"access": "none"},
        {"access": "full", "scope": ["logs"]},
        {"access": "scoped"},
        {"access": "scoped", "scope": ["log"]},
        {"access": "scoped", "scope": [{}]},
        {"access": "granular"},
        {"access": "granular", "permissions": []},
        {"access": "granular", "permissions": [{"access": "full"}]},
        at_provider(access="none"),
        at_provider(access="granular"),
        granular(dseq="17"),
        granular(gseq=None),
        granular(services=None),
        granular(scope=[]),
    ],
    ids=str,
)
async def test_what_cannot_be_granted_is_refused(market: Market, leases: Any) -> None:
    body = {"data": {"ttl": 60, "leases": leases}}
    answer = await market.http.post("/v1/create-jwt-token", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "BadRequestError")


@pytest.mark.parametrize("ttl", [None, 0, -1, "60"])
async def test_a_token_needs_a_time(market: Market, ttl: Any) -> None:
    body = {"data": {"ttl": ttl, "leases": {"access": "full"}}}
    answer = await market.http.post("/v1/create-jwt-token", json=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, Wanted(False, -1, frozenset())),
        (
            {"follow": "true", "tail": "0", "service": "a,b"},
            Wanted(True, 0, frozenset({"a", "b"})),
        ),
        ({"service": "a,"}, 'parameter "service" must not contain trailing comma'),
        ({"follow": "yes"}, 'parameter "follow" contains invalid value'),
        ({"tail": "-2"}, 'parameter "tail" contains invalid value'),
        ({"tail": "ten"}, 'parameter "tail" contains invalid value'),
    ],
    ids=["nothing", "all", "comma", "follow", "less than all", "no number"],
)
def test_a_query_is_read_or_refused(query: dict[str, str], wanted: Wanted | str) -> None:
    assert wanted_of(query) == wanted


async def opened(market: Market, dseq: str, query: str = "", scope: str = "logs") -> list[Any]:
    """The lines of the log, then the close code; or the status where there is no websocket."""
    lease = await market.the_lease(dseq)
    url = f"{market.app.world.base_url}/provider/{lease['id']['provider']}/lease/{dseq}/1/1/logs"
    body = {"data": {"ttl": 60, "leases": {"access": "scoped", "scope": [scope]}}}
    answer = await market.http.post("/v1/create-jwt-token", json=body)
    headers = {"Authorization": f"Bearer {answer.json()['data']['token']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        try:
            async with session.ws_connect(url + query) as stream:
                return [message.json() async for message in stream] + [stream.close_code]
        except aiohttp.WSServerHandshakeError as refused:
            return [refused.status]


def printed(market: Market, text: bytes) -> None:
    market.app.world.executor.logs = lambda _: {"job-0": text}  # type: ignore[method-assign]  # the idle executor prints nothing


async def test_a_log_is_sent_line_by_line_and_then_it_hangs_up(market: Market) -> None:
    dseq = await market.leased()
    printed(market, b"one\ntwo\nhalf")
    lines = [{"name": "job-0", "message": word} for word in ("one", "two")]
    assert (await opened(market, dseq))[:-1] == lines
    assert (await opened(market, dseq, "?tail=1"))[:-1] == lines[1:]
    assert (await opened(market, dseq, "?service=job"))[:-1] == lines


async def test_what_cannot_be_shown_is_said_in_the_close_code(market: Market) -> None:
    dseq = await market.leased()
    assert await opened(market, dseq) == [4000]
    printed(market, b"one\n")
    assert await opened(market, dseq, "?service=other") == [4000]
    await market.control("faults", action="log_breaks", code=4002, lines=1, count=1)
    assert await opened(market, dseq) == [{"name": "job-0", "message": "one"}, 4002]
    await market.http.delete(f"/v1/deployments/{dseq}")
    assert await opened(market, dseq) == [4000]


async def test_a_log_is_for_who_may_read_logs(market: Market) -> None:
    dseq = await market.leased()
    printed(market, b"one\n")
    assert await opened(market, dseq, scope="status") == [401]
    assert await opened(market, dseq, "?tail=ten") == [400]


async def test_a_lease_of_another_host_is_not_found(market: Market) -> None:
    dseq = await market.leased()
    (deployment,) = market.app.chain.deployments.values()
    (lease,) = deployment.leases
    lease.gseq = 2  # the one that is asked for is none of this host's any more
    assert await opened(market, dseq) == [4001]
