"""Deadlines and bounds of the market connection, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel

from overspill.clock import SystemClock
from overspill.core.errors import OpenUncertain, Unavailable
from overspill.providers._http import Call, Limits, MarketHttp, Target

READ = Call("GET", "/thing", "read the thing")
COST = Call("POST", "/thing", "buy the thing", costs=True)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class Thing(BaseModel):
    n: int


@asynccontextmanager
async def market(talk: Talk, **limits: float) -> AsyncIterator[MarketHttp]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = Limits(request_timeout_s=0.4, retry_pause_s=0.01, **limits)  # type: ignore[arg-type]  # bytes are ints
    http = MarketHttp(Target("m", f"http://127.0.0.1:{port}"), SystemClock(), limits=given)
    try:
        yield http
    finally:
        await http.aclose()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"content-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b'content-length: 100\r\n\r\n{"n":')
    await writer.drain()


@pytest.mark.parametrize("talk", [silent, dripping, hanging_up])
async def test_whatever_the_market_does_the_call_ends_in_time(talk: Talk) -> None:
    async with market(talk) as http, asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await http.read(READ, Thing)
        with pytest.raises(OpenUncertain):
            await http.send(COST, Thing)


async def test_an_endless_answer_is_left_after_the_bound() -> None:
    written = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()
            written += 0x10000

    async with market(endless, answer_bytes=100_000) as http, asyncio.timeout(5):
        with pytest.raises(OpenUncertain, match="longer than 100000 bytes"):
            await http.send(COST, Thing)
    assert written < 16 * 2**20  # what the sockets buffer, not what there was


async def test_nobody_listening_costs_nothing() -> None:
    async with market(silent) as http:
        pass
    gone = MarketHttp(Target("m", "http://127.0.0.1:1"), SystemClock(), limits=Limits(0.4))
    with pytest.raises(Unavailable):
        await gone.send(COST, Thing)
    await gone.aclose()
    await http.aclose()


async def test_our_own_pace_holds_reads_back_and_lets_orders_through() -> None:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b'content-length: 8\r\nconnection: close\r\n\r\n{"n": 1}')
        await writer.drain()

    async with market(answering, requests_per_second=1) as http, asyncio.timeout(5):
        await http.read(READ, Thing)
        with pytest.raises(Unavailable, match="our own requests"):
            await http.send(READ, Thing)
        assert (await http.send(COST, Thing)).n == 1
