"""The informer follows, survives every way a watch can end, and heals by LIST."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from overspill.core.errors import ClusterUnavailable, Gone
from overspill.kube.answers import Refused
from overspill.kube.informer import Informer, Source
from overspill.kube.mapping import Unreadable
from overspill.testing.fakeapi import FakeApi, Fault
from overspill.testing.fakeclock import FakeClock

PATH = "/api/v1/things"


def keep(obj: dict) -> str | None:
    """Keeps the spec's word; `skip` does not matter, `rubbish` cannot be read."""
    word = obj["spec"]["word"]
    if word == "rubbish":
        raise Unreadable("spec.word is rubbish")
    return None if word == "skip" else f"{obj['metadata']['name']}={word}"


@pytest.fixture
def informer(api: FakeApi, clock: FakeClock) -> Informer[str]:
    return Informer(api, clock, Source(PATH), keep)


@asynccontextmanager
async def running(informer: Informer[str], clock: FakeClock) -> AsyncIterator[None]:
    task = asyncio.create_task(informer.run())
    await clock.settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put(api: FakeApi, name: str, word: str) -> None:
    await api.put(f"{PATH}/{name}", {"spec": {"word": word}})


def lists(api: FakeApi) -> int:
    return api.calls.count(("list", PATH))


def watches(api: FakeApi) -> int:
    return api.calls.count(("watch", PATH))


async def test_it_lists_then_follows(api: FakeApi, clock: FakeClock, informer: Informer[str]):
    await put(api, "a", "one")
    assert not informer.synced
    async with running(informer, clock):
        assert informer.synced
        assert informer.items() == ["a=one"]
        await put(api, "a", "two")
        await put(api, "b", "new")
        await clock.settle()
        assert sorted(informer.items()) == ["a=two", "b=new"]
        await api.remove(f"{PATH}/a")
        await clock.settle()
        assert informer.items() == ["b=new"]
    assert (lists(api), watches(api)) == (1, 1)


async def test_listeners_hear_changes_and_the_last_value_of_what_went(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    heard: list[str] = []
    informer.listen(heard.append)
    async with running(informer, clock):
        await put(api, "a", "one")
        await api.put(f"{PATH}/a", {"spec": {"word": "one"}, "status": {"noise": 1}})
        await put(api, "a", "skip")
        await clock.settle()
    assert heard == ["a=one", "a=one"]
    assert informer.items() == []


async def test_an_unreadable_object_is_left_out(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    async with running(informer, clock):
        await put(api, "a", "rubbish")
        await put(api, "b", "fine")
        await clock.settle()
        assert informer.items() == ["b=fine"]


async def test_a_watch_that_ends_early_is_followed_by_another_without_a_list(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    async with running(informer, clock):
        for _ in range(3):
            await clock.advance(15)
            await api.end_watches()
            await clock.settle()
        await put(api, "a", "late")
        await clock.settle()
        assert informer.items() == ["a=late"]
    assert (lists(api), watches(api)) == (1, 4)


async def test_a_watch_that_lasted_its_time_is_followed_by_a_list_that_heals_what_it_missed(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    """An event that never came must not be missed for ever, a delete least of all."""
    await put(api, "a", "one")
    await put(api, "ghost", "boo")
    async with running(informer, clock):
        api.muted = True
        await api.remove(f"{PATH}/ghost")
        await put(api, "a", "two")
        await clock.advance(54)
        await api.end_watches()
        await clock.settle()
        assert informer.items() == ["a=two"]
    assert (lists(api), watches(api)) == (2, 2)


async def test_too_old_a_version_in_the_stream_brings_a_list_that_heals(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    await put(api, "a", "one")
    await put(api, "ghost", "boo")
    async with running(informer, clock):
        api.muted = True
        await api.remove(f"{PATH}/ghost")
        await put(api, "a", "two")
        await api.compact()
        api.muted = False
        await clock.advance(1)
        assert informer.items() == ["a=two"]
    assert lists(api) == 2


async def test_too_old_a_version_at_the_start_of_a_watch_brings_a_list(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    api.fail(Fault("watch", PATH, Gone("too old")))
    async with running(informer, clock):
        await clock.advance(1)
    assert (lists(api), watches(api)) == (2, 2)


async def test_a_broken_watch_goes_on_from_where_it_was(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    api.fail(Fault("watch", PATH, ClusterUnavailable("silent for 70 s"), times=3))
    async with running(informer, clock):
        await put(api, "a", "missed")
        await clock.advance(10)
        assert informer.items() == ["a=missed"]
    assert (lists(api), watches(api)) == (1, 4)


async def test_a_refused_watch_starts_anew(api: FakeApi, clock: FakeClock, informer: Informer[str]):
    api.fail(Fault("watch", PATH, Refused("forbidden", status=403)))
    async with running(informer, clock):
        await clock.advance(1)
    assert lists(api) == 2


async def test_retries_of_a_list_grow_apart_to_half_a_minute(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    api.fail(Fault("list", PATH, ClusterUnavailable("away"), times=10_000))
    async with running(informer, clock):
        await clock.advance(600)
        first = lists(api)
        await clock.advance(300)
        assert 10 <= lists(api) - first <= 20
        assert not informer.synced
        assert informer.last_event_age_s == pytest.approx(900)


async def test_a_server_that_hangs_up_at_once_does_not_make_us_spin(
    api: FakeApi, clock: FakeClock, informer: Informer[str]
):
    async with running(informer, clock):
        for _ in range(20):
            await api.end_watches()
            await clock.settle()
        assert watches(api) <= 2
        await clock.advance(1)
        assert watches(api) > 1


async def test_silence_is_measured(api: FakeApi, clock: FakeClock, informer: Informer[str]):
    async with running(informer, clock):
        await clock.advance(40)
        assert informer.last_event_age_s == pytest.approx(40)
        await put(api, "a", "one")
        await clock.settle()
        assert informer.last_event_age_s == 0
