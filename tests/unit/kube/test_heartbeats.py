"""Heartbeats are timed on our own monotonic clock, and blindness is held against no node."""

import asyncio
from datetime import timedelta

import pytest

from overspill.core.errors import ClusterUnavailable
from overspill.kube.heartbeats import Heartbeats
from overspill.kube.resources import NODE_LEASES
from overspill.testing.fakeapi import FakeApi, Fault
from overspill.testing.fakeclock import FakeClock


@pytest.fixture
def beats(api: FakeApi, clock: FakeClock) -> Heartbeats:
    return Heartbeats(api, clock)


async def renew(api: FakeApi, node: str, at: str) -> None:
    await api.put(f"{NODE_LEASES}/{node}", {"spec": {"renewTime": at}})


async def test_age_counts_from_when_we_saw_it_move_whatever_its_clock_says(
    api: FakeApi, clock: FakeClock, beats: Heartbeats
):
    await renew(api, "n", "1999-01-01T00:00:00Z")
    await beats.poll()
    assert beats.age_s("n") == 0
    await clock.advance(5)
    await beats.poll()
    assert beats.age_s("n") == 5
    await renew(api, "n", "1998-01-01T00:00:00Z")
    await beats.poll()
    assert beats.age_s("n") == 0


async def test_a_jump_of_the_wall_clock_changes_no_age(
    api: FakeApi, clock: FakeClock, beats: Heartbeats
):
    await renew(api, "n", "2026-01-01T00:00:00Z")
    await beats.poll()
    clock.jump_wall(timedelta(hours=1))
    assert beats.age_s("n") == 0
    assert not beats.is_blind()


async def test_an_unknown_or_vanished_node_has_no_age(
    api: FakeApi, clock: FakeClock, beats: Heartbeats
):
    assert beats.age_s("n") is None
    await renew(api, "n", "a")
    await beats.poll()
    await api.remove(f"{NODE_LEASES}/n")
    await beats.poll()
    assert beats.age_s("n") is None


async def test_blind_until_the_first_poll_and_when_polls_fail(
    api: FakeApi, clock: FakeClock, beats: Heartbeats
):
    assert beats.is_blind()
    await beats.poll()
    assert not beats.is_blind()
    await clock.advance(15.1)
    assert beats.is_blind()


async def test_an_outage_of_the_api_server_is_held_against_no_node(
    api: FakeApi, clock: FakeClock, beats: Heartbeats
):
    await renew(api, "n", "a")
    task = asyncio.create_task(beats.run())
    await clock.settle()
    api.fail(Fault("list", NODE_LEASES, ClusterUnavailable("away"), times=24))
    await clock.advance(120)
    assert beats.is_blind()
    await clock.advance(5)
    assert not beats.is_blind()
    age = beats.age_s("n")
    assert age is not None
    assert age <= 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_dead_node_is_found_within_25_seconds_as_suspect_and_45_as_lost(
    api: FakeApi, clock: FakeClock, beats: Heartbeats
):
    await renew(api, "n", "last")
    died = clock.monotonic()
    await clock.advance(4.9)  # the poll that sees the last renewal comes almost a period later
    task = asyncio.create_task(beats.run())
    await clock.settle()
    seen: dict[int, float] = {}
    while clock.monotonic() - died < 60:
        await clock.advance(0.5)
        for limit in (20, 40):
            if (beats.age_s("n") or 0) >= limit:
                seen.setdefault(limit, clock.monotonic() - died)
    assert seen[20] <= 25.5
    assert seen[40] <= 45.5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
