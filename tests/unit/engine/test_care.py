"""The care of an Active lease: which ceiling was reached, who is told before, what is believed."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from overspill.core.job import Attempt, Job
from overspill.core.lease import Lease
from overspill.core.reasons import Reason
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase
from overspill.engine.care import care_for
from overspill.serve.book import Event
from overspill.testing.placing import make_checkpoint, make_job, make_lease, node, rent

from .world import World

HOUR = timedelta(hours=1)
LIMITED = replace(make_job(), active_deadline=HOUR)


def active(world: World, job: Job, deadline: datetime, **changes: object) -> Lease:
    """An Active lease that was opened a moment ago."""
    now = world.clock.now()
    lease = make_lease(
        job, rent("a1"), LeaseState.ACTIVE, hard_deadline=deadline, active_since=now, created_at=now
    )
    lease = replace(lease, **changes)  # type: ignore[arg-type]
    world.put(job, lease)
    world.sees(lease, Phase.RUNNING)
    return lease


async def looked(world: World, lease: Lease) -> Lease:
    await care_for(world.engine, lease)
    return world.cluster.leases[lease.uid]


async def closed_for(world: World, lease: Lease) -> ClosingReason | None:
    found = await looked(world, lease)
    return found.closing.reason if found.closing else None


async def test_a_lease_before_its_ceiling_is_kept(world: World) -> None:
    lease = active(world, make_job(), world.clock.now() + HOUR)
    world.clock.advance(3599)
    assert await closed_for(world, lease) is None


async def test_at_the_ceiling_of_its_money_it_is_closed(world: World) -> None:
    lease = active(world, make_job(), world.clock.now() + HOUR)
    world.clock.advance(3600)
    assert await closed_for(world, lease) is ClosingReason.BUDGET_EXCEEDED


async def test_the_users_time_is_counted_from_the_first_start(world: World) -> None:
    created = world.clock.now() - 5 * HOUR
    job = replace(LIMITED, created_at=created)
    lease = active(world, job, world.clock.now() + HOUR)
    world.clock.advance(3600)
    assert await closed_for(world, lease) is ClosingReason.DEADLINE_EXCEEDED


async def test_the_users_time_counts_over_all_attempts(world: World) -> None:
    started = world.clock.now() - timedelta(minutes=50)
    before = Attempt(1, "gl-1", "home", "home/n1", started)
    job = replace(LIMITED, attempts=(before,))
    lease = active(world, job, started + HOUR, attempt=2)
    world.clock.advance(600)
    assert await closed_for(world, lease) is ClosingReason.DEADLINE_EXCEEDED


async def test_money_may_end_before_the_users_time(world: World) -> None:
    lease = active(world, LIMITED, world.clock.now() + HOUR / 2)
    world.clock.advance(1800)
    assert await closed_for(world, lease) is ClosingReason.BUDGET_EXCEEDED


async def test_the_workload_is_told_once_before_the_ceiling(world: World) -> None:
    lease = active(world, make_job(), world.clock.now() + HOUR)
    world.book.permit_start(lease.name, "")
    world.clock.advance(3600 - 121)
    await care_for(world.engine, lease)
    assert world.hears(lease) == "run"
    world.clock.advance(2)
    await care_for(world.engine, lease)
    assert lease.name in world.engine.memory.near_ceiling
    assert world.hears(lease) == "checkpoint"
    await care_for(world.engine, lease)
    assert world.hears(lease) == "run"


async def test_the_end_of_the_command_closes_the_lease(world: World) -> None:
    lease = active(world, make_job(), world.clock.now() + HOUR)
    world.hears(lease, Event.EXITED, exit_code=4)
    found = await looked(world, lease)
    assert found.closing is not None
    assert (found.closing.reason, found.closing.message) == (
        ClosingReason.FINISHED, "exit code 4",
    )  # fmt: skip


async def test_a_wrong_place_is_closed_and_left_out_for_a_while(world: World) -> None:
    job = make_job()
    lease = active(world, job, world.clock.now() + HOUR, max_usd_per_hour=Decimal(1))
    seen = world.engine.memory.seen[lease.name]
    seen.observation = replace(seen.observation, price_usd_per_hour=Decimal(3))
    assert await closed_for(world, lease) is ClosingReason.MISMATCH
    assert (job.ref.uid, "akash", "a1") in world.engine.memory.excluded


async def test_a_lost_home_place_stops_costing_at_once(world: World) -> None:
    job, now = make_job(), world.clock.now()
    lease = make_lease(job, node("n1", 8), LeaseState.ACTIVE, active_since=now, created_at=now,
                       hard_deadline=now + 9 * HOUR)  # fmt: skip
    world.put(job, lease)
    world.sees(lease, Phase.LOST)
    world.clock.advance(3600)
    found = await looked(world, lease)
    assert (found.state, found.closed_at) == (LeaseState.CLOSING, world.clock.now())
    assert found.cost_usd(world.clock.now() + 9 * HOUR) == found.offer.price_usd_per_hour


def five(world: World) -> list[Lease]:
    """Five jobs that run at the market, all of which look lost."""
    found = []
    for number in range(5):
        job = make_job(name=f"job-{number}")
        lease = active(world, job, world.clock.now() + 9 * HOUR)
        world.sees(lease, Phase.LOST)
        found.append(lease)
    return found


async def test_many_losses_at_once_are_not_believed_at_first(world: World) -> None:
    reasons = [await closed_for(world, lease) for lease in five(world)]
    assert reasons == [ClosingReason.LOST] * 3 + [None, None]
    last = world.cluster.leases["lease-job-4-1"]
    assert world.engine.memory.degraded[last.name][0] is Reason.FAILOVER_STOPPED


@pytest.mark.parametrize(("waited", "believed"), [(200, False), (301, True)])
async def test_what_still_looks_lost_after_a_while_is_believed(
    world: World, waited: float, believed: bool
) -> None:
    world.settle(failover_stop_s=300)
    leases = five(world)
    for _ in range(2):
        for lease in leases:
            if world.cluster.leases[lease.uid].state is LeaseState.ACTIVE:
                await care_for(world.engine, lease)
        world.clock.advance(50)
    world.clock.advance(waited - 50)
    last = leases[-1]
    for lease in leases:  # the others are seen lost again within the same minute
        world.engine.memory.losses.append((world.clock.monotonic(), lease.name))
    assert (await closed_for(world, last) is ClosingReason.LOST) is believed


async def test_a_job_that_was_suspended_checkpoints_before_it_is_closed(world: World) -> None:
    job = replace(make_job(), suspend=True, checkpoint=make_checkpoint())
    lease = active(world, job, world.clock.now() + HOUR)
    world.hears(lease, checkpoint_uri="s3://b/1", checkpoint_step=1)
    assert await closed_for(world, lease) is None
    assert world.hears(lease, checkpoint_uri="s3://b/1", checkpoint_step=1) == "checkpoint"
    world.hears(lease, checkpoint_uri="s3://b/2", checkpoint_step=2)
    assert await closed_for(world, lease) is ClosingReason.SUSPENDED


async def test_a_checkpoint_that_never_comes_is_waited_for_no_longer_than_the_drain(
    world: World,
) -> None:
    job = replace(make_job(), suspend=True, checkpoint=make_checkpoint())
    lease = active(world, job, world.clock.now() + HOUR)
    world.hears(lease, checkpoint_uri="s3://b/1", checkpoint_step=1)
    assert await closed_for(world, lease) is None
    world.clock.advance(60)
    assert await closed_for(world, lease) is ClosingReason.SUSPENDED
