"""The ear begins where the truth LIST ended, and survives every way a watch can end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from overspill.core.errors import ClusterUnavailable, Gone
from overspill.kube.ear import Ear
from overspill.kube.following import Source
from overspill.kube.resources import Kind, collection
from overspill.kube.store import Store
from overspill.kube.truth import Truth
from overspill.testing.fakeapi import FakeApi, Fault
from overspill.testing.fakeclock import FakeClock
from overspill.testing.kube_samples import job_json

JOBS = collection(Kind.JOB)
MINE = collection(Kind.JOB, "team-a")


@pytest.fixture
def truth(api: FakeApi, store: Store, clock: FakeClock) -> Truth:
    return Truth(api, store, clock)


@pytest.fixture
def ear(api: FakeApi, store: Store, clock: FakeClock, truth: Truth) -> Ear:
    return Ear(api, clock, Source(JOBS), Kind.JOB, truth, store)


@asynccontextmanager
async def running(ear: Ear, truth: Truth, clock: FakeClock) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in (ear.run(), truth.run())]
    await clock.settle()
    await clock.advance(0.5)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def names(store: Store) -> list[str]:
    return sorted(job.ref.name for job in store.view().jobs.values())


def lists(api: FakeApi) -> int:
    return api.calls.count(("list", JOBS))


async def test_it_hears_what_follows_the_truth_list_and_lists_nothing_itself(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth, ear: Ear
):
    await api.create(MINE, job_json("old"))
    async with running(ear, truth, clock):
        await api.create(MINE, job_json("new"))
        await clock.settle()
        assert names(store) == ["new", "old"]
        await api.remove(f"{MINE}/old")
        await clock.settle()
        assert names(store) == ["new"]
        await clock.advance(70)
    assert lists(api) == 2  # the truth's: at the start and after a minute
    assert truth.finds.total() == 0


async def test_too_old_a_version_brings_one_list_that_counts_as_heard(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth, ear: Ear
):
    async with running(ear, truth, clock):
        api.muted = True
        await api.create(MINE, job_json("unseen"))
        api.muted = False
        await api.compact()
        await clock.advance(2)
        assert names(store) == ["unseen"]
        await api.create(MINE, job_json("later"))
        await clock.settle()
        assert names(store) == ["later", "unseen"]
        await clock.advance(70)
    assert truth.finds.total() == 0


async def test_a_watch_refused_as_too_old_ends_nothing(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth, ear: Ear
):
    """410 as a status, for which kopf would end the process."""
    api.fail(Fault("watch", JOBS, Gone("too old resource version"), times=3))
    async with running(ear, truth, clock):
        await clock.advance(10)
        await api.create(MINE, job_json())
        await clock.settle()
        assert names(store) == ["train"]


async def test_a_broken_watch_goes_on_from_where_it_was(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth, ear: Ear
):
    api.fail(Fault("watch", JOBS, ClusterUnavailable("away")))
    async with running(ear, truth, clock):
        await api.create(MINE, job_json())
        await clock.advance(1)
        assert names(store) == ["train"]
    assert lists(api) == 1


async def test_a_missing_crd_makes_it_wait_and_not_silent(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth, ear: Ear
):
    """A restart would heal nothing: liveness must not ask for one."""
    async with running(ear, truth, clock):
        for verb in ("list", "watch"):
            api.fail(Fault(verb, JOBS, Gone("no such kind"), times=1000))
        await api.end_watches()
        await clock.advance(300)
        assert ear.last_event_age_s < 60
        api.faults_end()
        await clock.advance(60)
        await api.create(MINE, job_json())
        await clock.settle()
        assert names(store) == ["train"]


async def test_after_a_restore_it_follows_the_older_versions(
    api: FakeApi, store: Store, clock: FakeClock, truth: Truth, ear: Ear
):
    async with running(ear, truth, clock):
        await api.create(MINE, job_json("lost"))
        await clock.settle()
        store.replace(Kind.JOB, [], "50")  # a LIST of a server that went back
        assert names(store) == []
        await api.end_watches()
        await clock.advance(2)
        assert store.era(Kind.JOB) == 1
        assert names(store) == ["lost"]  # version 50 is where its watch went on from
