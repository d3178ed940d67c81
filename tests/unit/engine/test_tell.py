"""Who writes a job's status, when, and how often."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core import transition
from overspill.core.job import Job
from overspill.core.placement import plan
from overspill.core.vocabulary import LeaseState, Phase
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
