"""The full LIST heals what every ear missed within its period, and counts only real misses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from overspill.core.errors import ClusterUnavailable, Gone, OverspillError
from overspill.kube.resources import Kind, collection
from overspill.kube.store import Store
from overspill.kube.truth import Truth
from overspill.testing.fakeapi import FakeApi, Fault
from overspill.testing.fakeclock import FakeClock
from overspill.testing.kube_samples import job_json

JOBS = collection(Kind.JOB, "team-a")


@pytest.fixture
def truth(api: FakeApi, store: Store, clock: FakeClock) -> Truth:
    return Truth(api, store, clock)


@asynccontextmanager
async def running(truth: Truth, clock: FakeClock) -> AsyncIterator[None]:
    task = asyncio.create_task(truth.run())
    await clock.settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_list_of_every_kind_syncs_the_store(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth
):
    await api.create(JOBS, job_json())
    async with running(truth, clock):
        assert store.synced
        assert len(store.view().jobs) == 1
    assert truth.finds.total() == 0


async def test_a_missed_event_is_healed_and_counted_within_a_period(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth
):
    async with running(truth, clock):
        await api.create(JOBS, job_json())
        await clock.advance(60)
        assert len(store.view().jobs) == 1
        await clock.advance(5)
    assert truth.finds == {Kind.JOB: 1}


async def test_an_ear_that_is_a_moment_later_than_the_list_missed_nothing(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth
):
    async with running(truth, clock):
        job = await api.create(JOBS, job_json())
        await clock.advance(60)
        assert len(store.view().jobs) == 1
        store.put(Kind.JOB, job)
        await clock.advance(60)
    assert truth.finds.total() == 0


async def test_our_own_writes_are_no_finds(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth
):
    async with running(truth, clock):
        store.note_write(Kind.JOB, await api.create(JOBS, job_json()))
        await clock.advance(120)
    assert truth.finds.total() == 0


async def test_one_kind_that_cannot_be_listed_keeps_only_itself_unsynced(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth
):
    away = ClusterUnavailable("its storage is starting")
    api.fail(Fault("list", collection(Kind.BUDGET), away, times=2))
    await api.create(JOBS, job_json())
    async with running(truth, clock):
        assert len(store.view().jobs) == 1
        assert not store.synced
        await clock.advance(4)
        assert store.synced


async def test_idle_costs_one_list_of_each_kind_a_minute(
    api: FakeApi, clock: FakeClock, truth: Truth
):
    async with running(truth, clock):
        before = len(api.calls)
        await clock.advance(600)
        assert len(api.calls) - before == 10 * len(Kind)


@pytest.mark.parametrize(
    ("error", "told"),
    [(Gone("404: no such kind"), [Kind.BUDGET]), (ClusterUnavailable("away"), [])],
    ids=["a kind that was made anew", "a kind that could not be listed"],
)
async def test_whoever_must_listen_again_is_told(
    api: FakeApi, store: Store, clock: FakeClock, error: OverspillError, told: list[Kind]
):
    back: list[Kind] = []
    truth = Truth(api, store, clock, on_return=back.append)
    api.fail(Fault("list", collection(Kind.BUDGET), error, times=2))
    async with running(truth, clock):
        assert back == []
        await clock.advance(120)
    assert back == told
