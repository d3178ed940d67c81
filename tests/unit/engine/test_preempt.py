"""A lease that the plan wants to be left: it saves first, closes as Preempted, or runs on."""

from dataclasses import replace

from overspill.core.decision import Action, Decision
from overspill.core.lease import Lease
from overspill.core.reasons import Reason
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase
from overspill.core.workload import LeaseRequest
from overspill.engine.care import care_for
from overspill.engine.preempt import mark
from overspill.ports import LeaseStatus
from overspill.testing.placing import HOME, NOW, make_checkpoint, make_job, make_lease, node

from .world import World

JOB = replace(make_job(), checkpoint=make_checkpoint())
HELD = replace(
    make_lease(JOB, node("n1", 8), LeaseState.ACTIVE),
    request=LeaseRequest(1, report_url="https://reports.example"),
)
LEAVES = Decision(JOB.ref, Action.WAIT, Reason.MAKES_ROOM, "makes room", NOW, from_lease=HELD.name)
STAYS = Decision(JOB.ref, Action.STAY, Reason.RUNNING_WELL, "runs", NOW, from_lease=HELD.name)


async def cared(world: World) -> Lease:
    """The lease after one look."""
    (lease,) = world.cluster.leases.values()
    await care_for(world.engine, lease)
    (lease,) = world.cluster.leases.values()
    return lease


def running(world: World) -> None:
    world.put(JOB, HELD, HOME)
    world.sees(HELD, Phase.RUNNING)
    world.hears(HELD, checkpoint_uri="s3://b/1", checkpoint_step=1)


async def test_it_saves_and_only_then_it_is_left(world: World) -> None:
    running(world)
    mark(world.engine, [LEAVES])
    assert (await cared(world)).state is LeaseState.ACTIVE
    assert world.hears(HELD, checkpoint_uri="s3://b/1", checkpoint_step=1) == "checkpoint"
    assert (await cared(world)).state is LeaseState.ACTIVE
    world.hears(HELD, checkpoint_uri="s3://b/2", checkpoint_step=2)
    left = await cared(world)
    assert left.state is LeaseState.CLOSING
    assert left.closing is not None
    assert (left.closing.reason, left.closing.message) == (ClosingReason.PREEMPTED, "makes room")


async def test_who_does_not_save_is_left_when_its_time_is_over(world: World) -> None:
    running(world)
    mark(world.engine, [LEAVES])
    await cared(world)
    world.clock.advance(world.engine.settings.drain_s)
    assert (await cared(world)).state is LeaseState.CLOSING


async def test_a_plan_that_no_longer_says_so_lets_it_run_and_asks_anew_later(world: World) -> None:
    running(world)
    mark(world.engine, [LEAVES])
    await cared(world)
    mark(world.engine, [STAYS])
    world.clock.advance(world.engine.settings.drain_s)
    assert (await cared(world)).state is LeaseState.ACTIVE
    mark(world.engine, [LEAVES])
    assert (await cared(world)).state is LeaseState.ACTIVE  # it has its whole time to save again
    assert not world.cluster.written(LeaseStatus)


async def test_only_what_is_new_is_woken(world: World) -> None:
    running(world)
    mark(world.engine, [LEAVES])
    assert await world.engine.queue.get() == world.engine.lease_key(HELD)
    world.engine.queue.done(world.engine.lease_key(HELD))
    mark(world.engine, [LEAVES])
    assert world.engine.memory.leaving == {HELD.name: "makes room"}
    assert world.engine.queue.is_idle
