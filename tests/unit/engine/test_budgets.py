"""Dollars are spoken for before they can be spent, and given back when they were not."""

from dataclasses import replace
from decimal import Decimal

import pytest

from overspill.core.errors import Conflict
from overspill.core.lease import Lease
from overspill.core.sla import Budget
from overspill.core.vocabulary import CapacityType, LeaseState
from overspill.engine import budgets
from overspill.engine.budgets import FORGOTTEN_AFTER_S
from overspill.ports import BudgetStatus
from overspill.testing.placing import make_job, make_lease, node, rent

from .world import World

JOB = make_job()
TEAM = JOB.ref.namespace


def lease(attempt: int = 1, cap: int = 30, state: LeaseState = LeaseState.PLANNED) -> Lease:
    return make_lease(JOB, rent("a1"), state, attempt=attempt, max_total_usd=Decimal(cap))


def budget(limit: int = 100, name: str = "gpu", **changes: object) -> Budget:
    return replace(Budget(TEAM, name, Decimal(limit)), **changes)  # type: ignore[arg-type]


def shown(world: World, name: str = "gpu") -> Budget:
    world.apply_budgets()
    return next(b for b in world.cluster.budgets if b.name == name)


async def test_the_cap_of_a_lease_is_reserved_in_full(world: World) -> None:
    world.put(budget())
    assert await budgets.reserve(world.engine, lease())
    found = shown(world)
    assert (found.committed_usd, found.free_usd) == (30, 70)
    assert [r.lease for r in found.reservations] == ["gl-train-1"]


async def test_reserving_twice_reserves_once(world: World) -> None:
    world.put(budget())
    await budgets.reserve(world.engine, lease())
    shown(world)
    assert await budgets.reserve(world.engine, lease())
    assert world.cluster.changes == []


async def test_the_last_dollars_are_given_once(world: World) -> None:
    world.put(budget(limit=50))
    assert await budgets.reserve(world.engine, lease(1))
    shown(world)
    assert not await budgets.reserve(world.engine, lease(2))
    assert shown(world).committed_usd == 30


async def test_two_admissions_at_once_cannot_both_win(world: World) -> None:
    world.put(budget(limit=50))
    world.cluster.refuses = Conflict("somebody else wrote it")
    with pytest.raises(Conflict):
        await budgets.reserve(world.engine, lease())


async def test_every_budget_of_the_namespace_must_have_the_money(world: World) -> None:
    world.put(budget(), budget(10, "small"))
    assert not await budgets.reserve(world.engine, lease())


async def test_another_namespace_has_its_own_budget(world: World) -> None:
    world.put(Budget("other", "gpu", Decimal(1)))
    assert await budgets.reserve(world.engine, lease())
    assert world.cluster.changes == []


async def test_home_takes_no_dollars(world: World) -> None:
    world.put(budget(limit=1))
    assert await budgets.reserve(world.engine, make_lease(JOB, node("n1", 8), LeaseState.PLANNED))
    assert world.cluster.changes == []


async def test_a_node_of_a_pool_does_and_what_it_cost_is_spent(world: World) -> None:
    world.put(budget())
    pool = replace(node("new-1", 1), capacity_type=CapacityType.ON_DEMAND)
    grown = make_lease(JOB, pool, LeaseState.PLANNED, max_total_usd=Decimal(30))
    assert grown.is_home
    assert await budgets.reserve(world.engine, grown)
    assert shown(world).committed_usd == 30
    world.put(replace(grown, state=LeaseState.CLOSED, billed_usd=Decimal("1.50")))
    await budgets.settle(world.engine)
    found = shown(world)
    assert (found.spent_usd, found.committed_usd) == (Decimal("1.50"), 0)


async def test_what_a_closed_lease_cost_is_spent_and_the_rest_goes_back(world: World) -> None:
    world.put(budget())
    await budgets.reserve(world.engine, lease())
    shown(world)
    world.put(replace(lease(state=LeaseState.CLOSED), billed_usd=Decimal("4.25")))
    await budgets.settle(world.engine)
    found = shown(world)
    assert (found.spent_usd, found.committed_usd) == (Decimal("4.25"), 0)
    assert found.free_usd == Decimal("95.75")


@pytest.mark.parametrize("state", [LeaseState.OPENING, LeaseState.ACTIVE, LeaseState.CLOSING])
async def test_what_may_still_cost_stays_reserved(world: World, state: LeaseState) -> None:
    world.put(budget())
    await budgets.reserve(world.engine, lease())
    shown(world)
    world.put(lease(state=state))
    await budgets.settle(world.engine)
    assert shown(world).committed_usd == 30


async def test_a_reservation_whose_lease_never_came_is_given_back_in_time(world: World) -> None:
    world.put(budget())
    await budgets.reserve(world.engine, lease())
    shown(world)
    await budgets.settle(world.engine)
    assert shown(world).committed_usd == 30, "its lease may be on its way"
    world.clock.advance(FORGOTTEN_AFTER_S + 1)
    await budgets.settle(world.engine)
    assert shown(world).committed_usd == 0


async def test_nothing_new_is_no_write(world: World) -> None:
    world.put(budget(period_started_at=world.clock.now()))
    await budgets.settle(world.engine)
    assert world.cluster.written(BudgetStatus) == []
