"""Nodes that an autoscaler adds, in a plan: what is there goes first, and dollars wait for home."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.offer import Offer
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.sla import Budget
from overspill.core.snapshot import GrownPool, JobFacts
from overspill.core.vocabulary import CapacityType, LeaseState
from overspill.testing.placing import (
    ACCOUNTS,
    HOME,
    HOUR,
    NOW,
    make_job,
    make_lease,
    node,
    usd,
    world,
)

BOOT = timedelta(minutes=4)
POOL = replace(
    HOME,
    name="burst",
    capacity_type=CapacityType.ON_DEMAND,
    pool=GrownPool((("pool", "l4"),), "h100", boot=BOOT),
)
KEEN = {"burst_after": timedelta(0)}


def grown(name: str, *, new: bool, rate: str = "2") -> Offer:
    """A node of the pool with one GPU; a new one takes its time to boot."""
    offer = node(name, 1, 1, rate=usd(rate))
    attributes = (*offer.attributes, ("bootSeconds", "240")) if new else offer.attributes
    return replace(
        offer,
        provider="burst",
        place=f"burst/{name}",
        capacity_type=CapacityType.ON_DEMAND,
        cold_start=BOOT if new else timedelta(0),
        attributes=attributes,
    )


NEW = [grown(f"burst-new-{n}", new=True) for n in (1, 2)]


def decided(*offers: Offer, facts: JobFacts | None = None, **job: Any) -> Decision:
    wanted = make_job(work=2 * HOUR, **{**KEEN, **job})
    accounts = {**ACCOUNTS, "burst": POOL}
    known = {wanted.ref.uid: facts} if facts else {}
    (found,) = plan(world([wanted], offers, accounts=accounts, facts=known), NOW)
    return found


def test_a_pool_without_a_node_takes_a_job_that_home_cannot() -> None:
    found = decided(*NEW)
    assert (found.action, found.home_node) == (Action.PLACE, "burst-new-1")
    assert found.price_usd_per_hour == usd(2)
    cold = {line.name: line.usd for line in found.cost_lines}["coldStart"]
    assert cold == usd(2) * 4 / 60 // usd("0.000001") * usd("0.000001")


def test_a_node_that_is_there_goes_before_one_that_must_boot() -> None:
    assert decided(*NEW, grown("ip-1", new=False)).home_node == "ip-1"


def test_our_own_nodes_go_first() -> None:
    assert decided(*NEW, node("own", 8)).home_node == "own"


def test_what_costs_dollars_waits_for_a_busy_home() -> None:
    found = decided(*NEW, node("own", 0), burst_after=timedelta(minutes=10))
    assert (found.action, found.wait_until) == (Action.WAIT, NOW + timedelta(minutes=10))
    assert Reason.BURST_NOT_YET in {r.reason for r in found.rejected}
    assert decided(*NEW, node("own", 0)).home_node == "burst-new-1"


def test_a_pool_whose_node_never_came_is_left_alone_for_a_while() -> None:
    refused = JobFacts(excluded_offers=frozenset({("burst", "burst-new-1")}))
    found = decided(*NEW, facts=refused)
    assert found.action is Action.WAIT, "the second new node would not come either"
    there = decided(*NEW, grown("ip-1", new=False), facts=refused)
    assert there.home_node == "ip-1"


def test_each_new_node_is_sold_once() -> None:
    jobs = [make_job(name=f"job{n}", work=HOUR, **KEEN) for n in range(3)]
    accounts = {**ACCOUNTS, "burst": POOL}
    found = plan(world(jobs, NEW, accounts=accounts), NOW)
    assert [d.home_node for d in found] == ["burst-new-1", "burst-new-2", ""]


def planned(*jobs: Job, offers: list[Offer], left: str) -> list[Decision]:
    accounts = {**ACCOUNTS, "burst": POOL}
    budgets = (Budget("team", "gpu", usd(left)),)
    return list(plan(world(jobs, offers, accounts=accounts, budgets=budgets), NOW))


def keen(name: str, cap: str | None) -> Job:
    job = make_job(name, work=2 * HOUR, **KEEN)
    return replace(job, max_total_usd=None if cap is None else usd(cap))


def test_a_node_that_must_be_paid_takes_of_the_budget_what_it_may_cost() -> None:
    first, second = planned(keen("a", "30"), keen("b", "30"), offers=NEW, left="31")
    assert (first.action, first.max_total_usd) == (Action.PLACE, usd(30))
    assert second.action is Action.WAIT
    assert Reason.NAMESPACE_BUDGET_EXHAUSTED in {r.reason for r in second.rejected}


def test_our_own_nodes_take_nothing_of_it() -> None:
    (found,) = planned(keen("a", None), offers=[node("own", 8)], left="0.01")
    assert (found.action, found.max_total_usd) == (Action.PLACE, None)


def test_on_a_budget_nothing_is_grown_for_a_job_without_a_cap() -> None:
    (found,) = planned(keen("a", None), offers=NEW, left="100")
    assert (found.action, found.reason) == (Action.REFUSE, Reason.BUDGET_MISSING)
    assert "spec.budget.maxTotalUSD" in found.message


def test_without_a_budget_it_is_as_before() -> None:
    assert decided(*NEW, max_total_usd=None).action is Action.PLACE


def test_an_open_lease_on_a_pool_is_spoken_for_before_the_budget_shows_it() -> None:
    runs = keen("a", "30")
    lease = make_lease(runs, NEW[0], LeaseState.ACTIVE, is_home=True, max_total_usd=usd(30))
    accounts = {**ACCOUNTS, "burst": POOL}
    budgets = (Budget("team", "gpu", usd(40)),)
    seen = world([keen("b", "30")], NEW, accounts=accounts, budgets=budgets, leases=(lease,))
    (found,) = plan(seen, NOW)
    assert found.max_total_usd is not None
    assert found.max_total_usd < usd(13), "2 USD of the 30 are spent, 28 are still spoken for"
