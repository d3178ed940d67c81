"""The one way to a market: how answers become errors, and what may be repeated."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.providers._http import Call, Limits, MarketHttp, Target, error_text, is_local
from overspill.testing.clock import ManualClock

READ = Call("GET", "/thing", "read the thing")
COST = Call("POST", "/thing", "buy the thing", body={"a": 1}, costs=True)


class Thing(BaseModel):
    n: int


def market(
    answer: Callable[[httpx.Request], httpx.Response], limits: Limits | None = None
) -> MarketHttp:
    def refusals(status: int, text: str) -> ProviderError | None:
        return NoCapacity("all are taken") if "sold out" in text else None

    target = Target("m", "https://m.invalid", {"x-key": SecretStr("hush")}, refusals)
    return MarketHttp(target, ManualClock(), limits=limits, transport=httpx.MockTransport(answer))


def always(status: int, **parts: object) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, **parts)  # type: ignore[arg-type]  # by name


async def test_an_answer_is_parsed_and_the_key_travels() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-key"] == "hush"
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, json={"n": 1})

    assert (await market(answer).read(READ, Thing)).n == 1


@pytest.mark.parametrize(
    ("status", "read", "cost"),
    [
        (301, Unavailable, OpenUncertain),
        (400, Unavailable, OfferRejected),
        (401, AuthRejected, AuthRejected),
        (402, InsufficientFunds, InsufficientFunds),
        (403, AuthRejected, AuthRejected),
        (404, LeaseNotFound, OfferRejected),
        (408, Unavailable, OpenUncertain),
        (409, Unavailable, OpenUncertain),
        (410, LeaseNotFound, OfferRejected),
        (422, Unavailable, OfferRejected),
        (425, Unavailable, OpenUncertain),
        (429, RateLimited, RateLimited),
        (500, Unavailable, OpenUncertain),
        (503, Unavailable, OpenUncertain),
    ],
)
async def test_every_status_has_its_error(
    status: int, read: type[ProviderError], cost: type[ProviderError]
) -> None:
    with pytest.raises(ProviderError) as reading:
        await market(always(status)).read(READ, Thing)
    with pytest.raises(ProviderError) as costing:
        await market(always(status)).send(COST, Thing)
    assert type(reading.value) is read
    assert type(costing.value) is cost
    assert str(costing.value) == f"m: could not buy the thing: the market answered {status}"


async def test_the_adapters_own_words_come_first() -> None:
    answer = always(400, json={"message": "Sorry, SOLD OUT, key hush"})
    with pytest.raises(NoCapacity, match="all are taken") as refused:
        await market(answer).send(COST, Thing)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("status", [500, 503])
async def test_no_text_makes_a_server_error_definitive(status: int) -> None:
    with pytest.raises(OpenUncertain):
        await market(always(status, text="sold out")).send(COST, Thing)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("17", 17),
        ("", 10),
        ("soon", 10),
        ("-5", 10),
        ("999999999999", 600),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 10),
    ],
)
async def test_how_long_to_wait(raw: str, seconds: int) -> None:
    with pytest.raises(RateLimited) as limited:
        await market(always(429, headers={"retry-after": raw})).read(READ, Thing)
    assert limited.value.retry_after == timedelta(seconds=seconds)


async def test_a_read_is_tried_twice_and_a_cost_once() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(503)

    with pytest.raises(Unavailable):
        await market(answer).read(READ, Thing)
    with pytest.raises(OpenUncertain):
        await market(answer).send(COST, Thing)
    assert seen == ["GET", "GET", "POST"]


async def test_the_second_try_may_succeed() -> None:
    answers = [httpx.Response(502), httpx.Response(200, json={"n": 2})]
    assert (await market(lambda request: answers.pop(0)).read(READ, Thing)).n == 2


@pytest.mark.parametrize("status", [401, 404, 429])
async def test_a_clear_refusal_is_not_tried_again(status: int) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(status)

    with pytest.raises(ProviderError):
        await market(answer).read(READ, Thing)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"n": "x"}', b'{"n": NaN}', b"[" * 100_000, b"\xff", b'{"n": 1'],
    ids=["empty", "html", "wrong type", "not a number", "deep", "not utf-8", "cut"],
)
async def test_rubbish_is_no_answer(body: bytes) -> None:
    with pytest.raises(Unavailable):
        await market(always(200, content=body)).read(READ, Thing)
    with pytest.raises(OpenUncertain):
        await market(always(200, content=body)).send(COST, Thing)


async def test_long_answers_are_cut_and_long_refusals_still_read() -> None:
    small = Limits(answer_bytes=100, error_bytes=100)
    with pytest.raises(Unavailable, match="longer than 100"):
        await market(always(200, content=b" " * 101), small).read(READ, Thing)
    text = "sold out" + " " * 1000
    with pytest.raises(NoCapacity):
        await market(always(400, text=text), small).send(COST, Thing)


@pytest.mark.parametrize(
    ("broken", "cost"),
    [
        (httpx.ConnectError, Unavailable),
        (httpx.ConnectTimeout, Unavailable),
        (httpx.PoolTimeout, Unavailable),
        (httpx.WriteTimeout, OpenUncertain),
        (httpx.ReadTimeout, OpenUncertain),
        (httpx.ReadError, OpenUncertain),
        (httpx.RemoteProtocolError, OpenUncertain),
    ],
)
async def test_only_what_never_left_is_known_to_cost_nothing(
    broken: type[httpx.TransportError], cost: type[ProviderError]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise broken("hush", request=request)

    with pytest.raises(ProviderError) as costing:
        await market(answer).send(COST, Thing)
    assert type(costing.value) is cost
    assert "hush" not in str(costing.value)
    with pytest.raises(Unavailable):
        await market(answer).read(READ, Thing)


def test_what_an_error_body_says() -> None:
    assert error_text(b'{"error": "BadRequest", "message": "No Bid"}') == "no bid badrequest"
    assert error_text(b"<p>Plain</p>") == "<p>plain</p>"
    assert error_text(b"[1]") == ""
    assert error_text(b'{"message": {"x": 1}}') == ""


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://10.1.2.3", True),
        ("http://8.8.8.8", False),
        ("http://localhost.example", False),
        ("http://", False),
    ],
)
def test_what_is_local(endpoint: str, local: bool) -> None:
    assert is_local(endpoint) is local
