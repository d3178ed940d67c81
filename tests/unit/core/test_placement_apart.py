"""Copies of a service stand on hosts that do not fail together, where that costs little more."""

from dataclasses import replace

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.offer import Offer
from overspill.core.placement import plan
from overspill.core.vocabulary import LeaseState, Workload
from overspill.testing.placing import NOW, make_job, make_lease, node, rent, world

CHAT = make_job("chat", workload=Workload.INFERENCE)


def copy(number: int) -> Job:
    job = make_job(f"chat-{number}", workload=Workload.INFERENCE)
    return replace(job, owner_name="chat", owner_uid=CHAT.ref.uid)


def places(*offers: Offer, copies: int = 2) -> list[str]:
    """Where the copies of one batch go."""
    jobs = [CHAT, *(copy(k) for k in range(1, copies))]
    return [_place(decision) for decision in plan(world(jobs, offers), NOW)]


def _place(decision: Decision) -> str:
    return decision.offer.place if decision.offer and decision.action is Action.PLACE else ""


def test_copies_go_to_nodes_of_their_own() -> None:
    assert sorted(places(node("n1", 8), node("n2", 8), node("n3", 8), copies=3)) == [
        "home/n1",
        "home/n2",
        "home/n3",
    ]


def test_jobs_that_are_no_copies_fill_one_node() -> None:
    jobs = [make_job("a", workload=Workload.INFERENCE), make_job("b", workload=Workload.INFERENCE)]
    found = [_place(d) for d in plan(world(jobs, [node("n1", 8), node("n2", 8)]), NOW)]
    assert len(set(found)) == 1


def test_where_there_is_one_node_they_share_it() -> None:
    assert places(node("n1", 8)) == ["home/n1", "home/n1"]


@pytest.mark.parametrize(
    ("price", "is_apart"),
    [
        pytest.param("1.25", True, id="a quarter more is worth it"),
        pytest.param("1.35", False, id="a third more is not"),
    ],
)
def test_a_place_apart_may_cost_a_little_more(price: str, is_apart: bool) -> None:
    found = places(node("n1", 8), rent("a1", price))
    assert (found == ["home/n1", "akash/a1"]) is is_apart


def test_a_region_of_a_market_is_one_host() -> None:
    offers = [rent("a1", "2"), rent("a2", "2"), rent("b1", "2.2", region="eu-west")]
    jobs = [CHAT, copy(1)]
    found = [_place(d) for d in plan(world(jobs, offers), NOW)]
    assert found == ["akash/a1", "akash/b1"]


def test_a_copy_that_runs_already_keeps_the_next_one_away() -> None:
    offers = [node("n1", 8), node("n2", 8)]
    jobs = [CHAT, copy(1)]
    for at, other in (("n1", "home/n2"), ("n2", "home/n1")):
        lease = make_lease(CHAT, node(at, 1, 1), LeaseState.ACTIVE)
        found = plan(world(jobs, offers, leases=(lease,)), NOW)
        assert _place(found[1]) == other
        assert ("apart from the other copies" in found[1].message) is (at == "n1")
