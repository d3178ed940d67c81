"""How far away a place is, by measured round trips: limits, ties, and what runs too far away."""

from collections.abc import Mapping
from dataclasses import replace

from overspill.core.decision import Action, Decision
from overspill.core.offer import Offer
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.vocabulary import LeaseState, Workload
from overspill.testing.placing import NOW, decide, make_job, make_lease, rent, world

CHAT = make_job("chat", workload=Workload.INFERENCE)
NEAR, FAR = rent("n1", "2", region="us-east"), rent("a1", "2", region="us-west")
Trips = Mapping[tuple[str, str], float]
TRIPS: Trips = {("akash", "us-east"): 12.0, ("akash", "us-west"): 84.0}


def test_of_places_that_cost_the_same_a_service_gets_the_nearest() -> None:
    found = decide(CHAT, FAR, NEAR, rtt_ms=TRIPS)
    assert found.offer is not None
    assert found.offer.offer_id == "n1"
    batch = decide(make_job(), FAR, NEAR, rtt_ms=TRIPS)
    assert batch.offer is not None
    assert batch.offer.offer_id == "a1", "to others it is all one: by name"


def test_a_cheaper_place_that_is_too_far_is_not_taken_and_the_decision_says_so() -> None:
    cheap = replace(FAR, price_usd_per_hour=FAR.price_usd_per_hour / 2)
    found = decide(replace(CHAT, max_rtt_ms=50), cheap, NEAR, rtt_ms=TRIPS)
    assert found.offer is not None
    assert found.offer.offer_id == "n1"
    assert Reason.TOO_FAR in [r.reason for r in found.rejected]


def runs_at(offer_id: str, *offers: Offer, trips: Trips = TRIPS) -> Decision:
    job = replace(CHAT, max_rtt_ms=50)
    lease = make_lease(job, {"a1": FAR, "n1": NEAR}[offer_id], LeaseState.ACTIVE)
    (found,) = plan(world([job], offers, leases=(lease,), rtt_ms=trips), NOW)
    return found


def test_what_turns_out_to_run_too_far_away_moves_though_it_saves_nothing() -> None:
    dear = replace(NEAR, price_usd_per_hour=NEAR.price_usd_per_hour * 3)
    found = runs_at("a1", FAR, dear)
    assert (found.action, found.reason) == (Action.MOVE, Reason.TOO_FAR)
    assert found.offer is not None
    assert found.offer.offer_id == "n1"


def test_where_nothing_is_nearer_it_stays_and_says_why() -> None:
    found = runs_at("a1", FAR)
    assert (found.action, found.reason) == (Action.STAY, Reason.TOO_FAR)


def test_what_is_near_enough_or_was_not_measured_stays() -> None:
    assert runs_at("n1", FAR, NEAR).action is Action.STAY
    assert runs_at("a1", FAR, NEAR, trips={}).action is Action.STAY
