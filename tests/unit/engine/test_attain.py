"""Who counts what a class attained, how often it is written, and what a restart may cost."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from overspill.core.errors import ClusterUnavailable
from overspill.core.job import Job
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import Workload
from overspill.engine.attain import LAG, note, show_classes
from overspill.engine.memory import Memory
from overspill.ports import ClassStatus
from overspill.telemetry import SLA_AVAILABILITY, SLA_PROMISES
from overspill.testing.placing import HOUR, STANDARD, make_job

from .world import World

LATER = 1200.0
"""More than a period and the lag."""


def due(name: str, world: World, **changes: Any) -> Job:
    """A job that came now and has an hour."""
    now = world.clock.now()
    return replace(make_job(name), created_at=now, finish_by=now + HOUR, **changes)


def ended(job: Job, at: datetime) -> Job:
    found = {
        "type": "Complete", "status": "True", "reason": "CommandSucceeded",
        "lastTransitionTime": stamp(at),
    }  # fmt: skip
    return replace(job, conditions=(found,))


async def shown(world: World) -> dict[str, Any] | None:
    """One pass; what was written of the class is what the next pass sees."""
    await show_classes(world.engine)
    writes = world.cluster.written(ClassStatus)
    world.cluster.changes.clear()
    assert len(writes) <= 1
    if not writes:
        return None
    world.put(replace(writes[0].klass, status=writes[0].status))
    found: dict[str, Any] = writes[0].status["attained"]
    return found


def counts(found: dict[str, Any] | None) -> tuple[int, int, int]:
    assert found is not None
    return found["promisesMade"], found["promisesKept"], found["promisesBroken"]


async def test_promises_are_counted_and_written_once_a_period(world: World) -> None:
    world.put(STANDARD, job := due("a", world), due("b", world))
    assert await shown(world) is None, "what just happened may not all be told yet"
    world.clock.advance(LATER)
    assert counts(await shown(world)) == (2, 0, 0)
    world.put(ended(job, world.clock.now()))
    world.clock.advance(LAG.total_seconds() + 15)
    assert await shown(world) is None, "not so soon after the last write"
    world.clock.advance(LATER)
    assert counts(await shown(world)) == (2, 1, 0)
    world.clock.advance(HOUR.total_seconds())
    assert counts(await shown(world)) == (2, 1, 1)


async def test_nothing_new_is_no_write(world: World) -> None:
    world.put(STANDARD, ended(due("a", world), world.clock.now()))
    world.clock.advance(LATER)
    assert await shown(world) is not None
    for _ in range(5):
        world.clock.advance(86400)
        assert await shown(world) is None


async def test_a_class_without_promises_is_never_written(world: World) -> None:
    world.put(STANDARD, make_job())
    world.clock.advance(LATER)
    assert await shown(world) is None


@pytest.mark.parametrize("restarts", [False, True], ids=["one leader", "another leader each time"])
async def test_another_leader_goes_on_from_what_is_written(world: World, restarts: bool) -> None:
    world.put(STANDARD)
    for number in range(6):
        job = due(f"j{number}", world)
        world.put(job)
        world.clock.advance(LATER)
        await shown(world)
        if restarts:
            world.engine.memory = Memory()
        if number % 2:
            world.put(ended(job, world.clock.now()))
    world.clock.advance(2 * HOUR.total_seconds())
    assert counts(await shown(world)) == (6, 3, 3)


async def test_a_job_that_is_deleted_at_its_end_was_promised_and_kept(world: World) -> None:
    world.put(STANDARD, job := due("a", world))
    world.put(ended(job, world.clock.now()))
    note(world.engine, job.ref.uid)
    del world.cluster.jobs[job.ref.uid]
    world.clock.advance(LATER)
    assert counts(await shown(world)) == (1, 1, 0)
    world.clock.advance(LATER)
    assert await shown(world) is None
    assert world.engine.memory.shares == {}, "what is counted is forgotten"


async def test_a_job_that_its_user_deletes_breaks_nothing(world: World) -> None:
    world.put(STANDARD, job := due("a", world))
    await shown(world)
    del world.cluster.jobs[job.ref.uid]
    world.clock.advance(3 * HOUR.total_seconds())
    assert counts(await shown(world)) == (1, 0, 0)


async def test_a_write_that_failed_is_counted_again_not_twice(world: World) -> None:
    world.put(STANDARD, due("a", world))
    world.clock.advance(LATER)
    world.cluster.refuses = ClusterUnavailable("no answer")
    assert await shown(world) is None
    world.cluster.refuses = None
    assert counts(await shown(world)) == (1, 0, 0)


async def test_the_default_class_keeps_the_promises_of_jobs_that_name_none(world: World) -> None:
    other = replace(STANDARD, name="other", is_default=False)
    world.put(STANDARD, other, due("a", world), due("b", world, sla_class="other"))
    world.clock.advance(LATER)
    await show_classes(world.engine)
    found = {w.klass.name: w.status["attained"] for w in world.cluster.written(ClassStatus)}
    assert [counts(found[name])[0] for name in ("standard", "other")] == [1, 1]


async def test_metrics_say_the_same(world: World) -> None:
    since = world.clock.now()
    service = {"firstRunTime": stamp(since), "downSeconds": 0, "suspendedSeconds": 0}
    down = {"standing": "Down", "startTime": stamp(since + timedelta(seconds=300))}
    status = {"sla": {"service": {**service, "breaks": [down]}}}
    job = replace(make_job("s"), created_at=since, workload=Workload.INFERENCE, status=status)
    world.put(STANDARD, job, due("a", world))
    world.clock.advance(LATER)
    found = await shown(world)
    assert found is not None
    assert (found["wantedSeconds"], found["downSeconds"]) == (600, 300)
    assert SLA_AVAILABILITY.labels("standard")._value.get() == float(found["availability"]) == 0.5
    assert SLA_PROMISES.labels("standard", "made")._value.get() == 1
