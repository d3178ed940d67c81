"""One leader at a time, on monotonic clocks, and none that acts past its deadline."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from overspill.core.errors import ClusterUnavailable
from overspill.kube.elector import Elector, Term
from overspill.kube.watchdog import Watchdog
from overspill.testing.fakeapi import FakeApi, Fault, lost_answer
from overspill.testing.fakeclock import FakeClock

PATH = Term("ops", "x").path


class HandWatchdog(Watchdog):
    """Without its thread; the test calls `check`."""

    def start(self) -> None:
        """Nothing to start."""


@dataclass
class Replica:
    elector: Elector
    watchdog: HandWatchdog
    task: asyncio.Task[None]
    ended: list[str] = field(default_factory=list)


class Replicas:
    """Starts electors over one API server and one clock."""

    def __init__(self, api: FakeApi, clock: FakeClock) -> None:
        self.api, self.clock = api, clock
        self.all: list[Replica] = []

    async def start(self, identity: str, api: FakeApi | None = None) -> Replica:
        ended: list[str] = []
        watchdog = HandWatchdog(self.clock.monotonic, ended.append)
        elector = Elector(api or self.api, self.clock, Term("ops", identity), watchdog)
        replica = Replica(elector, watchdog, asyncio.create_task(elector.run()), ended)
        self.all.append(replica)
        await self.clock.settle()
        return replica


@pytest.fixture
async def replicas(api: FakeApi, clock: FakeClock) -> AsyncIterator[Replicas]:
    replicas = Replicas(api, clock)
    yield replicas
    for replica in replicas.all:
        replica.task.cancel()
    await asyncio.gather(*(r.task for r in replicas.all), return_exceptions=True)


async def test_the_first_one_creates_the_lease_and_leads(replicas: Replicas, api: FakeApi):
    a = await replicas.start("a_10.0.0.1:8443")
    assert a.elector.is_leader
    assert a.elector.epoch == 1
    assert a.elector.holder() == "a_10.0.0.1:8443"
    spec = (await api.get(PATH))["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("a_10.0.0.1:8443", 15)
    assert spec["renewTime"] == "2026-01-01T00:00:00.000000Z"
    await asyncio.wait_for(a.elector.wait_leader(), 1)


async def test_the_second_one_waits_while_the_first_renews(replicas: Replicas, clock: FakeClock):
    a, b = await replicas.start("a"), await replicas.start("b")
    await clock.advance(600)
    assert a.elector.is_leader
    assert not b.elector.is_leader
    assert b.elector.holder() == "a"
    assert (await replicas.api.get(PATH))["spec"]["leaseTransitions"] == 1


async def test_a_dead_leader_is_succeeded_within_20_seconds_never_before_15(
    replicas: Replicas, clock: FakeClock
):
    a, b = await replicas.start("a"), await replicas.start("b")
    await clock.advance(30)
    a.task.cancel()
    last = clock.monotonic()
    while not b.elector.is_leader:
        await clock.advance(0.1)
        assert clock.monotonic() - last < 20
    assert a.elector.remaining_s() == 0
    assert b.elector.epoch == 2


async def test_a_released_lease_is_taken_within_3_seconds(replicas: Replicas, clock: FakeClock):
    a, b = await replicas.start("a"), await replicas.start("b")
    await a.elector.release()
    assert not a.elector.is_leader
    await clock.advance(3)
    assert b.elector.is_leader
    assert a.ended == []


async def test_a_renewal_cut_off_by_the_release_does_not_keep_the_lease(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a, b = await replicas.start("a"), await replicas.start("b")
    a.task.cancel()
    await api.patch(PATH, {"spec": {"renewTime": "2026-01-01T00:00:01.000000Z"}})
    await a.elector.release()
    await clock.advance(3)
    assert b.elector.is_leader


async def test_releasing_never_takes_the_lease_from_another(replicas: Replicas, api: FakeApi):
    a = await replicas.start("a")
    a.task.cancel()
    await api.patch(PATH, {"spec": {"holderIdentity": "b"}})
    await a.elector.release()
    assert (await api.get(PATH))["spec"]["holderIdentity"] == "b"


async def test_skewed_wall_clocks_mean_nothing(replicas: Replicas, clock: FakeClock):
    a, b = await replicas.start("a"), await replicas.start("b")
    clock.jump_wall(timedelta(hours=-5))
    await clock.advance(60)
    clock.jump_wall(timedelta(hours=48))
    await clock.advance(60)
    assert a.elector.is_leader
    assert not b.elector.is_leader


async def test_remaining_time_runs_from_before_the_last_renewal(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    assert a.elector.remaining_s() == 15
    await clock.advance(1.5)
    assert a.elector.remaining_s() == 13.5
    api.fail(Fault("patch", PATH, ClusterUnavailable("away"), times=1000))
    await clock.advance(8)
    assert a.elector.remaining_s() == pytest.approx(5.5)
    await clock.advance(6)
    assert a.elector.remaining_s() == 0
    assert not a.elector.is_leader


async def test_the_watchdog_ends_a_leader_that_could_not_renew(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    await clock.advance(2)
    assert a.watchdog.check()
    api.fail(Fault("patch", PATH, ClusterUnavailable("away"), times=1000))
    await clock.advance(9.9)
    assert a.watchdog.check()
    assert a.ended == []
    await clock.advance(0.2)
    assert not a.watchdog.check()
    assert len(a.ended) == 1


async def test_some_failed_renewals_do_not_end_a_leader(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    for _ in range(10):
        api.fail(Fault("patch", PATH, ClusterUnavailable("away"), times=3))
        await clock.advance(9)
        assert a.watchdog.check()
    assert a.elector.is_leader
    assert a.elector.epoch == 1


async def test_a_renewal_whose_answer_was_lost_is_recognised_as_ours(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    api.fail(lost_answer("patch", PATH))
    await clock.advance(2)
    await clock.advance(4)
    assert a.watchdog.check()
    assert a.elector.remaining_s() > 12
    assert a.ended == []


async def test_a_leader_that_finds_another_in_its_place_ends_at_once(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    await api.patch(PATH, {"spec": {"holderIdentity": "usurper"}})
    await clock.advance(6)
    assert not a.elector.is_leader
    assert a.ended == ["usurper holds the election lease now"]
    assert a.task.done()


async def test_a_label_written_by_others_does_not_cost_the_leadership(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    await api.patch(PATH, {"metadata": {"labels": {"team": "x"}}})
    await clock.advance(6)
    assert a.elector.is_leader
    assert a.elector.remaining_s() > 12


async def test_a_deleted_lease_is_made_again_with_a_higher_term(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    a = await replicas.start("a")
    await api.remove(PATH)
    await clock.advance(2)
    assert a.elector.is_leader
    assert a.elector.epoch == 2
    assert (await api.get(PATH))["spec"]["holderIdentity"] == "a"


async def test_a_claim_whose_answer_was_lost_is_claimed_again_not_believed(
    replicas: Replicas, clock: FakeClock, api: FakeApi
):
    await api.create(Term("ops", "x").collection, {"metadata": {"name": "overspill"}, "spec": {}})
    api.fail(lost_answer("patch", PATH))
    a = await replicas.start("a")
    assert not a.elector.is_leader
    await clock.advance(3)
    assert a.elector.is_leader
    assert a.elector.epoch == 2


async def test_two_claims_at_once_have_one_winner(replicas: Replicas, clock: FakeClock):
    for name in ("a", "b", "c"):
        await replicas.start(name)
    await clock.advance(10)
    assert sum(r.elector.is_leader for r in replicas.all) == 1


async def test_a_leader_cut_off_never_overlaps_with_its_successor(
    replicas: Replicas, clock: FakeClock
):
    cut = CutApi(replicas.api)
    a, b = await replicas.start("a", cut), await replicas.start("b")
    await clock.advance(21)
    cut.is_cut = True
    while not b.elector.is_leader:
        await clock.advance(0.05)
        assert not (a.elector.is_leader and b.elector.is_leader)
    assert not a.elector.is_leader
    assert not a.watchdog.check()


class CutApi(FakeApi):
    """Another replica's way to the same server, which can be cut."""

    def __init__(self, inner: FakeApi) -> None:
        super().__init__()
        self.inner, self.is_cut = inner, False

    async def get(self, *args, **kwargs):
        return await self._through(self.inner.get, args, kwargs)

    async def patch(self, *args, **kwargs):
        return await self._through(self.inner.patch, args, kwargs)

    async def create(self, *args, **kwargs):
        return await self._through(self.inner.create, args, kwargs)

    async def _through(self, call, args, kwargs):
        if self.is_cut:
            raise ClusterUnavailable("cut")
        return await call(*args, **kwargs)
