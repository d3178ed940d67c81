"""Each failure of a watch, as its client meets it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from overspill.testing.faultproxy import Action, Rule

from .conftest import Bench

EVENT = "api event pods"


def names(events: Sequence[dict[str, Any]]) -> list[str]:
    return [e["object"]["metadata"].get("name", e["type"]) for e in events]


async def test_without_a_rule_every_event_passes(bench: Bench):
    assert names(await bench.watched()) == ["p0", "p1", "p2", "p3"]
    assert names(await bench.watched("3")) == ["p3"]


async def test_one_event_never_comes(bench: Bench):
    lane = await bench.rule(Action.DROP_EVENT, EVENT, at=1)
    assert names(await bench.watched()) == ["p0", "p2", "p3"]
    assert lane.counts[EVENT] == 4


async def test_one_event_comes_twice(bench: Bench):
    await bench.rule(Action.DOUBLE_EVENT, EVENT, at=3)
    assert names(await bench.watched()) == ["p0", "p1", "p2", "p3", "p3"]


async def test_a_lying_bookmark_stands_where_the_event_should(bench: Bench):
    await bench.rule(Action.LYING_BOOKMARK, EVENT, at=2)
    events = await bench.watched()
    assert names(events) == ["p0", "p1", "BOOKMARK", "p3"]
    assert events[2]["object"]["metadata"] == {"resourceVersion": "3"}


async def test_an_old_bookmark_sends_the_client_back(bench: Bench):
    await bench.rule(Action.OLD_BOOKMARK, EVENT, at=1)
    events = await bench.watched("1")
    assert names(events) == ["p1", "p2", "BOOKMARK"]
    assert events[-1]["object"]["metadata"] == {"resourceVersion": "1"}


async def test_a_version_that_is_too_old_as_a_status(bench: Bench):
    await bench.rule(Action.REFUSE, "api watch pods", status=410)
    (event,) = await bench.watched()
    assert event["code"] == 410


async def test_a_version_that_is_too_old_in_the_stream(bench: Bench):
    await bench.rule(Action.GONE_IN_STREAM, "api watch pods", events=1)
    events = await bench.watched()
    assert [e["type"] for e in events] == ["ADDED", "ERROR"]
    assert events[-1]["object"]["code"] == 410


async def test_a_stream_that_is_torn(bench: Bench):
    await bench.rule(Action.CUT, "api watch pods", events=1)
    with pytest.raises(httpx.TransportError):
        await bench.watched()


async def test_a_half_open_stream_is_silent_and_stays(bench: Bench):
    await bench.rule(Action.HALF_OPEN, "api watch pods", events=1)
    query = {"watch": "true"}
    async with bench.client.stream("GET", bench.api + "/api/v1/pods", params=query) as answer:
        lines = answer.aiter_lines()
        assert "p0" in await anext(lines)
        with pytest.raises(httpx.ReadTimeout):
            await anext(lines)


async def test_a_late_event_holds_up_all_after_it(bench: Bench):
    await bench.rules(Rule(Action.LATE_EVENT, EVENT, at=1, seconds=0.2))
    began = asyncio.get_running_loop().time()
    assert names(await bench.watched()) == ["p0", "p1", "p2", "p3"]
    assert asyncio.get_running_loop().time() - began >= 0.2
