"""A planned move: the successor waits for the checkpoint of its predecessor, and no longer."""

from dataclasses import replace
from datetime import timedelta

from overspill.core.lease import Lease
from overspill.core.vocabulary import LeaseState, Phase
from overspill.core.workload import LeaseRequest
from overspill.engine.drain import is_drained, may_start, newest_checkpoint
from overspill.serve.book import Event, NotToldYet
from overspill.testing.placing import make_checkpoint, make_job, make_lease, node, rent

from .world import World

JOB = replace(make_job(), checkpoint=make_checkpoint())
URL = "https://reports.example"
OLD = replace(
    make_lease(JOB, rent("a1"), LeaseState.ACTIVE), request=LeaseRequest(1, report_url=URL)
)
NEW = replace(
    make_lease(JOB, node("n1", 8), LeaseState.ACTIVE, attempt=2),
    request=LeaseRequest(1, report_url=URL),
)


def shown(world: World, *leases: Lease) -> None:
    world.put(JOB, *leases)


def greeted(world: World, lease: Lease) -> str:
    """What a runner hears that asks whether it may start."""
    try:
        return world.hears(lease, Event.HELLO)
    except NotToldYet:
        return "ask again"


async def test_nobody_starts_before_the_engine_has_spoken(world: World) -> None:
    shown(world, OLD)
    assert greeted(world, OLD) == "ask again"
    may_start(world.engine, OLD)
    assert greeted(world, OLD) == "run"


async def test_the_successor_waits_while_its_predecessor_runs(world: World) -> None:
    shown(world, OLD, NEW)
    may_start(world.engine, NEW)
    assert greeted(world, NEW) == "wait"


async def test_the_successor_starts_from_the_checkpoint_of_the_drain(world: World) -> None:
    shown(world, OLD, NEW)
    world.hears(OLD, checkpoint_uri="s3://b/gl-1/9", checkpoint_step=9)
    shown(world, replace(OLD, state=LeaseState.CLOSING))
    may_start(world.engine, NEW)
    assert greeted(world, NEW) == "run s3://b/gl-1/9"


async def test_without_a_report_url_there_is_nothing_to_hold_back(world: World) -> None:
    plain = replace(NEW, request=LeaseRequest(1))
    shown(world, OLD, plain)
    may_start(world.engine, plain)
    assert greeted(world, plain) == "ask again"  # nobody asks: it starts by itself


async def test_a_drain_asks_once_and_ends_with_a_new_checkpoint(world: World) -> None:
    shown(world, OLD)
    world.hears(OLD, checkpoint_uri="s3://b/1", checkpoint_step=1)
    assert not is_drained(world.engine, OLD)
    assert not is_drained(world.engine, OLD)
    assert world.hears(OLD, checkpoint_uri="s3://b/1", checkpoint_step=1) == "checkpoint"
    assert world.hears(OLD, checkpoint_uri="s3://b/1", checkpoint_step=1) == "run"
    assert not is_drained(world.engine, OLD)
    world.hears(OLD, checkpoint_uri="s3://b/2", checkpoint_step=2)
    assert is_drained(world.engine, OLD)


async def test_a_drain_ends_with_its_time(world: World) -> None:
    shown(world, OLD)
    world.hears(OLD, checkpoint_uri="s3://b/1", checkpoint_step=1)
    assert not is_drained(world.engine, OLD)
    world.clock.advance(59)
    assert not is_drained(world.engine, OLD)
    world.clock.advance(1)
    assert is_drained(world.engine, OLD)


async def test_there_is_nothing_to_wait_for_without_a_runner_a_contract_or_a_job(
    world: World,
) -> None:
    shown(world, OLD)
    assert is_drained(world.engine, OLD), "nobody ever reported"
    world.hears(OLD, Event.EXITED, exit_code=0)
    assert is_drained(world.engine, OLD), "the command has ended"
    world.cluster.jobs[JOB.ref.uid] = replace(JOB, checkpoint=None)
    world.hears(OLD)
    assert is_drained(world.engine, OLD), "the job has no checkpoint contract"
    world.cluster.jobs.clear()
    assert is_drained(world.engine, OLD), "the job is gone"


async def test_the_newest_durable_checkpoint_is_the_highest_step_of_an_earlier_attempt(
    world: World,
) -> None:
    known = replace(JOB, durable_checkpoint_uri="s3://b/status", durable_checkpoint_step=5)
    world.put(known, OLD, NEW)
    assert newest_checkpoint(world.engine, known, 2) == "s3://b/status"
    world.hears(OLD, checkpoint_uri="s3://b/old", checkpoint_step=4)
    assert newest_checkpoint(world.engine, known, 2) == "s3://b/status"
    world.hears(OLD, checkpoint_uri="s3://b/old", checkpoint_step=6)
    world.hears(NEW, checkpoint_uri="s3://b/new", checkpoint_step=99)
    assert newest_checkpoint(world.engine, known, 2) == "s3://b/old", "not of the attempt itself"
    assert newest_checkpoint(world.engine, JOB, 1) == ""


async def test_a_phase_says_nothing_about_a_drain(world: World) -> None:
    shown(world, OLD)
    world.sees(OLD, Phase.UNKNOWN)
    world.hears(OLD)
    assert not is_drained(world.engine, OLD)
    world.clock.advance(timedelta(seconds=61).total_seconds())
    assert is_drained(world.engine, OLD)
