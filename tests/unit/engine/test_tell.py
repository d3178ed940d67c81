"""Who writes a job's status, when, and how often."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core import transition
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.placement import plan
from overspill.core.vocabulary import LeaseState, Phase, Workload
from overspill.engine.memory import Memory
from overspill.engine.place import _is_news
from overspill.engine.tell import tell_job
from overspill.ports import DeleteJob, Event
from overspill.testing.placing import make_job, make_lease, rent
from overspill.testing.placing import world as snapshot_of

from .world import World

OLD = timedelta(hours=1)


def job(world: World, **changes: Any) -> Job:
    """A job that came an hour ago."""
    return replace(make_job(), created_at=world.clock.now() - OLD, **changes)


async def told(world: World, thing: Job) -> None:
    """One telling; what was written is what the next look sees."""
    await tell_job(world.engine, thing.ref.uid)
    for change in world.statuses():
        status = dict(change.status)
        world.put(replace(change.job, status=status, conditions=tuple(status["conditions"])))


async def test_news_are_written_once(world: World) -> None:
    thing = job(world)
    lease = make_lease(thing, rent("a1"), LeaseState.ACTIVE)
    world.put(thing, lease)
    world.sees(lease, Phase.RUNNING)
    await told(world, thing)
    assert [s.status["phase"] for s in world.statuses()] == ["Running"]
    world.clock.advance(600)
    await told(world, thing)
    assert len(world.statuses()) == 1, "money alone is no news"


@pytest.mark.parametrize(
    "changes", [{"managed_by": "kueue.x-k8s.io/multikueue"}, {"deletion_requested": True}]
)
async def test_what_is_not_ours_or_goes_is_left_alone(
    world: World, changes: dict[str, Any]
) -> None:
    thing = job(world, **changes)
    world.put(thing)
    await told(world, thing)
    assert world.cluster.changes == []


async def test_a_job_that_is_no_more_is_not_told(world: World) -> None:
    await tell_job(world.engine, "nobody")
    assert world.cluster.changes == []


async def test_the_end_is_announced_once_and_wakes_what_is_left(world: World) -> None:
    thing = job(world)
    ended = transition.finished(
        make_lease(thing, rent("a1"), LeaseState.ACTIVE), 0, world.clock.now()
    )
    other = make_lease(thing, rent("a2"), LeaseState.ACTIVE, attempt=2)
    world.put(thing, ended, other)
    await told(world, thing)
    await told(world, thing)
    events = world.cluster.written(Event)
    assert [(e.reason, e.is_warning) for e in events] == [("CommandSucceeded", False)]
    assert {await world.engine.queue.get() for _ in range(2)} >= {("lease", other.uid)}


async def test_a_failure_is_a_warning(world: World) -> None:
    thing = job(world, backoff_limit=0)
    ended = transition.finished(
        make_lease(thing, rent("a1"), LeaseState.ACTIVE), 7, world.clock.now()
    )
    world.put(thing, ended)
    await told(world, thing)
    (event,) = world.cluster.written(Event)
    assert (event.reason, event.is_warning) == ("BackoffLimitExceeded", True)


async def test_a_finished_job_is_deleted_after_its_ttl_and_not_before_its_leases_are(
    world: World,
) -> None:
    thing = job(world, ttl_after_finished=timedelta(minutes=10))
    ended = transition.finished(
        make_lease(thing, rent("a1"), LeaseState.ACTIVE), 0, world.clock.now()
    )
    world.put(thing, ended)
    await told(world, thing)
    world.clock.advance(599)
    await told(world, thing)
    assert world.cluster.written(DeleteJob) == []
    world.clock.advance(1)
    await told(world, thing)
    assert world.cluster.written(DeleteJob) == [], "its lease is not proven gone"
    gone = transition.closed(ended, world.clock.now())
    world.put(replace(gone, has_finalizer=False))
    await told(world, thing)
    assert len(world.cluster.written(DeleteJob)) == 1


async def test_the_answer_to_an_older_spec_is_not_told_as_the_answer_to_the_new_one(
    world: World,
) -> None:
    thing = job(world, generation=2)
    world.put(thing)
    (old,) = plan(snapshot_of([thing], [], classes={}), world.clock.now())
    world.engine.memory.decisions[thing.ref.uid] = replace(old, generation=1)
    await told(world, thing)
    assert world.statuses() == []
    assert _is_news(world.engine, old), "the old answer to the new spec is news"
    world.engine.memory.decisions[thing.ref.uid] = old
    await told(world, thing)
    assert [s.status["phase"] for s in world.statuses()] == ["Refused"]
    assert not _is_news(world.engine, old)


async def due_again(world: World, uid: str) -> float | None:
    """In how many seconds the job is told again by itself."""
    timer = world.engine.queue._timers.get(("job", uid))
    return None if timer is None else timer[0] - asyncio.get_running_loop().time()


async def test_a_finish_by_that_passes_while_nothing_else_happens_is_told(world: World) -> None:
    due = world.clock.now() + timedelta(hours=2)
    thing = job(world, finish_by=due, work=timedelta(hours=3))
    lease = make_lease(thing, rent("a1"), LeaseState.ACTIVE)
    world.put(thing, lease)
    world.sees(lease, Phase.RUNNING)
    await told(world, thing)
    assert await due_again(world, thing.ref.uid) == pytest.approx(7201, abs=5)
    world.clock.advance(7201)
    await told(world, thing)
    await told(world, thing)
    outcomes = [s.status["sla"]["outcome"] for s in world.statuses()]
    assert outcomes == ["Open", "Broken"]


async def running_service(world: World) -> tuple[Job, Lease]:
    """A service that runs, and of which that was told."""
    thing = job(world, workload=Workload.INFERENCE)
    lease = make_lease(thing, rent("a1"), LeaseState.ACTIVE)
    world.put(thing, lease)
    world.sees(lease, Phase.RUNNING)
    await told(world, thing)
    return thing, lease


async def test_the_figures_of_a_service_are_written_once_a_period_and_only_when_they_change(
    world: World,
) -> None:
    thing, lease = await running_service(world)
    for _ in range(9):
        world.clock.advance(900)
        await told(world, thing)
    assert len(world.statuses()) == 1, "it is up all the time"
    assert await due_again(world, thing.ref.uid) == pytest.approx(900, abs=5)
    world.sees(lease, Phase.STARTING)
    await told(world, thing)
    for _ in range(3):
        world.clock.advance(450)
        await told(world, thing)
    shares = [s.status["sla"]["availability"] for s in world.statuses()]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)


async def test_a_restarted_operator_tells_nothing_of_a_service_it_has_not_looked_at(
    world: World,
) -> None:
    thing, _ = await running_service(world)
    world.engine.memory = Memory()
    world.clock.advance(600)
    await told(world, thing)
    assert len(world.statuses()) == 1
