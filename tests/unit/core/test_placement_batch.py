"""What many jobs in one plan do to each other: GPUs, dollars, turns."""

from dataclasses import replace
from datetime import timedelta

from overspill.core.decision import Action, Decision
from overspill.core.offer import Offer
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.sla import Budget
from overspill.core.vocabulary import Burst, CapacityType, LeaseState
from overspill.testing.placing import (
    ACCOUNTS,
    AKASH,
    HOME,
    HOUR,
    MINUTE,
    NOW,
    STANDARD,
    decide,
    make_job,
    make_lease,
    node,
    rent,
    usd,
    world,
)

GUARANTEED = replace(STANDARD, name="guaranteed", is_default=False, priority=100)
CLASSES = {"standard": STANDARD, "guaranteed": GUARANTEED}


def by_name(decisions: tuple[Decision, ...]) -> dict[str, Decision]:
    return {d.job.name: d for d in decisions}


def places(*decisions: Decision) -> list[str]:
    return [d.offer.place if d.offer and d.action is Action.PLACE else "" for d in decisions]


def test_the_last_gpus_go_to_one_job_only() -> None:
    jobs = [make_job("a", 4), make_job("b", 4)]
    found = plan(world(jobs, [node("n1", 4)]), NOW)
    assert sorted(places(*found)) == ["", "home/n1"]


def test_the_fullest_node_that_fits_is_filled_first() -> None:
    found = decide(make_job(gpus=2), node("n1", 8), node("n2", 3), node("n3", 2), node("n4", 1))
    assert found.home_node == "n3"


def test_a_whole_node_is_kept_free_where_a_used_one_is_as_tight() -> None:
    found = decide(make_job(gpus=2), node("n1", 2, total=2), node("n2", 2, total=8))
    assert found.home_node == "n2"


def test_the_higher_class_goes_first() -> None:
    jobs = [make_job("low"), make_job("high", sla_class="guaranteed")]
    found = by_name(plan(world(jobs, [node("n1", 1)], classes=CLASSES), NOW))
    assert found["high"].action is Action.PLACE
    assert found["low"].reason is Reason.WAITING_FOR_HOME


def test_waiting_lifts_a_job_above_the_higher_class() -> None:
    old = make_job("low", created_at=NOW - 5 * HOUR, burst=Burst.NEVER)
    other = make_job("lower", created_at=NOW, burst=Burst.NEVER)
    high = make_job("high", sla_class="guaranteed", burst=Burst.NEVER)
    found = by_name(plan(world([high, other, old], [node("n1", 1)], classes=CLASSES), NOW))
    assert found["low"].action is Action.PLACE


def test_less_slack_goes_first_within_a_class() -> None:
    calm = make_job("calm", created_at=NOW - HOUR, burst=Burst.NEVER)
    tight = make_job("tight", work=HOUR, finish_by=NOW + 2 * HOUR, burst=Burst.NEVER)
    found = by_name(plan(world([calm, tight], [node("n1", 1)]), NOW))
    assert found["tight"].action is Action.PLACE


def test_decisions_come_in_the_order_of_the_jobs() -> None:
    jobs = [make_job(name) for name in ("c", "a", "b")]
    found = plan(world(jobs, [node("n1", 8)]), NOW)
    assert [d.job.name for d in found] == ["c", "a", "b"]


def test_a_starving_job_keeps_the_nodes_nearest_to_fitting() -> None:
    large = make_job("large", 8, created_at=NOW - HOUR, burst=Burst.NEVER)
    small = make_job("small", 1, created_at=NOW - MINUTE, burst=Burst.NEVER)
    found = by_name(plan(world([small, large], [node("n1", 6), node("n2", 2)]), NOW))
    assert found["small"].home_node == "n2"
    patient = replace(large, created_at=NOW - 2 * MINUTE)
    found = by_name(plan(world([small, patient], [node("n1", 6)]), NOW))
    assert found["small"].home_node == "n1"


def test_a_gang_is_never_split_between_home_and_market() -> None:
    gang = make_job(gpus=4, num_nodes=2, created_at=NOW - HOUR)
    found = decide(gang, node("n1", 4), rent(gpus=4), rent("a2", gpus=8, node_count=2))
    assert found.offer is not None
    assert found.offer.place == "akash/a2"


def test_a_gang_takes_the_tightest_nodes_of_one_kind() -> None:
    gang = make_job(gpus=2, num_nodes=2)
    odd = node("n0", 2, gpu_model="a100-80gb")
    found = decide(gang, odd, node("n1", 8), node("n2", 3), node("n3", 2))
    assert found.offer is not None
    assert found.offer.attribute("nodes") == "n3,n2"


def both_rent(*, limit: str, cap: str = "10") -> list[str]:
    jobs = [
        make_job(name, burst=Burst.ONLY, max_total_usd=usd(cap), work=HOUR) for name in ("a", "b")
    ]
    budget = Budget("team", "month", usd(limit))
    return places(*plan(world(jobs, [rent("a1"), rent("a2")], budgets=(budget,)), NOW))


def test_two_jobs_cannot_both_take_the_last_dollars() -> None:
    assert both_rent(limit="12", cap="11") == ["akash/a1", ""]


def test_a_budget_that_holds_both_lets_both_pass() -> None:
    assert both_rent(limit="20") == ["akash/a1", "akash/a2"]


def test_a_lease_reserves_no_more_than_the_namespace_has() -> None:
    budget = Budget("team", "month", usd(12))
    found = decide(make_job(burst=Burst.ONLY), rent(), budgets=(budget,))
    assert found.max_total_usd == usd(12)


def test_home_takes_nothing_of_the_namespace_budget() -> None:
    budget = Budget("team", "month", usd(0))
    assert decide(make_job(), node("n1", 8), budgets=(budget,)).action is Action.PLACE


def test_an_open_lease_that_the_budget_does_not_show_yet_is_counted() -> None:
    other = make_job("other")
    lease = make_lease(other, rent("a9"), LeaseState.PLANNED, max_total_usd=usd(45))
    budget = Budget("team", "month", usd(50))
    job = make_job(burst=Burst.ONLY, work=3 * HOUR)
    found = plan(
        world([job], [rent()], budgets=(budget,), leases=(lease,), accounts={"akash": AKASH}), NOW
    )
    assert found[0].reason is Reason.NAMESPACE_BUDGET_EXHAUSTED


def test_the_limit_of_an_account_holds_within_one_plan() -> None:
    jobs = [make_job(name, burst=Burst.ONLY) for name in ("a", "b")]
    accounts = {"akash": replace(AKASH, max_leases=1)}
    found = plan(world(jobs, [rent("a1"), rent("a2")], accounts=accounts), NOW)
    assert places(*found) == ["akash/a1", ""]
    assert found[1].reason is Reason.PROVIDER_LIMIT


def test_one_whole_offer_serves_one_job() -> None:
    jobs = [make_job(name, burst=Burst.ONLY) for name in ("a", "b")]
    found = plan(world(jobs, [rent("a1", gpus=8)], accounts={"akash": AKASH}), NOW)
    assert places(*found) == ["akash/a1", ""]


def test_a_divisible_offer_serves_as_many_as_it_has_gpus() -> None:
    jobs = [make_job(name, 2, burst=Burst.ONLY) for name in ("a", "b", "c")]
    offer = rent("a1", "8", gpus=4, is_divisible=True)
    found = plan(world(jobs, [offer], accounts={"akash": AKASH}), NOW)
    assert places(*found) == ["akash/a1", "akash/a1", ""]


def with_lease(state: LeaseState, *, offer: Offer, seen: Offer) -> Decision:
    lease = make_lease(make_job("other", 8), offer, state)
    lease = replace(lease, request=replace(lease.request, gpu_count=8))
    job = make_job(gpus=8, burst=Burst.ALLOWED)
    return plan(world([job], [seen], leases=(lease,), accounts=ACCOUNTS), NOW)[0]


def test_a_planned_lease_holds_the_gpus_that_home_still_shows_free() -> None:
    free = node("n1", 8)
    found = with_lease(LeaseState.PLANNED, offer=free, seen=free)
    assert found.reason is Reason.WAITING_FOR_HOME


def test_a_lease_that_home_has_counted_is_not_counted_twice() -> None:
    seen = node("n1", 8, total=16, leases="gl-other-1")
    found = with_lease(LeaseState.OPENING, offer=node("n1", 16, total=16), seen=seen)
    assert found.action is Action.PLACE


def test_a_catalogue_older_than_a_lease_shows_its_gpus_as_free_in_vain() -> None:
    old = rent("a1", gpus=8, as_of=NOW - 2 * HOUR)
    job = make_job(gpus=8, burst=Burst.ONLY)
    lease = make_lease(make_job("other", 8), old, LeaseState.ACTIVE)
    only = {"akash": AKASH}
    held = plan(world([job], [old], leases=(lease,), accounts=only), NOW)[0]
    assert held.reason is Reason.NO_CAPACITY_NOW
    fresh = replace(old, as_of=NOW)
    free = plan(world([job], [fresh], leases=(lease,), accounts=only), NOW)[0]
    assert free.action is Action.PLACE


def test_ended_and_deleted_jobs_get_no_decision() -> None:
    done = make_job("done", conditions=({"type": "Complete", "status": "True"},))
    deleted = make_job("deleted", deletion_requested=True)
    assert plan(world([done, deleted], [node("n1", 8)]), NOW) == ()


def test_a_pool_of_rented_nodes_in_the_cluster_counts_as_home() -> None:
    pool = replace(HOME, name="pool", capacity_type=CapacityType.ON_DEMAND)
    offer = node("p1", 8, provider="pool", capacity_type=CapacityType.ON_DEMAND)
    job = make_job(burst=Burst.NEVER, max_total_usd=None)
    found = plan(world([job], [offer], accounts={"pool": pool}), NOW)[0]
    assert found.home_node == "p1"


def test_losers_are_grouped_and_few() -> None:
    offers = [rent(f"a{i}", gpu_model=f"m{i % 40}") for i in range(400)]
    found = decide(make_job(models=("h100",)), *offers)
    assert len(found.rejected) == 32
    assert all(r.offers == 10 for r in found.rejected if r.provider == "akash")


def test_a_slow_home_tick_changes_nothing_for_who_came_first() -> None:
    jobs = [make_job(f"j{i}", created_at=NOW - timedelta(seconds=i)) for i in range(3)]
    found = by_name(plan(world(jobs, [node("n1", 1)]), NOW))
    assert found["j2"].action is Action.PLACE
