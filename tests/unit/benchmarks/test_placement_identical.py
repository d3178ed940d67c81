"""The operator's way of asking gives the benchmark's decision for the same situation."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.placement.history import past
from benchmarks.placement.ours import Overspill
from benchmarks.placement.simulate import View, run
from benchmarks.placement.world import Job, Place, World

from overspill.core.offer import Offer
from overspill.core.policy import Answer, choose
from overspill.core.policy_offers import Asked, Seen, question_of
from overspill.core.vocabulary import CapacityType, TrustTier

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
TICKS = 600


def _world() -> World:
    dice = random.Random(4)  # noqa: S311  (a small world, no secret)

    def flapping(stay: float) -> tuple[bool, ...]:
        state, found = True, []
        for _ in range(TICKS):
            state = state if dice.random() < stay else not state
            found.append(state)
        return tuple(found)

    places = (
        Place("own", "own", "home", flapping(0.9), (0.8,) * TICKS),
        Place("seller", "p2p", "market", flapping(0.97), (6.0,) * TICKS),
        Place("cloud", "ondemand", "cloud", (True,) * TICKS, (20.0,) * TICKS),
    )
    egress = {("cloud", "home"): 4.5, ("market", "home"): 1.0, ("home", "market"): 1.0}
    return World("small tiers", 600, places, egress)


class _Both:
    """Asks both ways at every tick and keeps the answers."""

    name = "both"

    def __init__(self) -> None:
        self.ours, self.answers = Overspill(), list[tuple[Answer, Answer]]()

    def choose(self, view: View) -> int | None:
        known = self.ours.known(view)
        mine = choose(self.ours.question(view), known)
        theirs = choose(question_of(_seen(view), _asked(view), _now(view)), known)
        self.answers.append((mine, theirs))
        return self.ours.choose(view)


def _now(view: View) -> datetime:
    return BEGAN + timedelta(seconds=view.tick * view.world.tick_s)


def _asked(view: View) -> Asked:
    return Asked(
        work=timedelta(seconds=view.left_s),
        finish_by=_now(view) + timedelta(seconds=view.time_s),
        next_look=timedelta(seconds=view.world.tick_s),
        held=None if view.place is None else view.world.places[view.place].name,
        start_left=timedelta(seconds=view.overhead_s),
    )


def _seen(view: View) -> list[Seen]:
    found = []
    for i, place in enumerate(view.world.places):
        age = 0.0 if place.is_reliable else past(place.up, view.world.tick_s).age(view.tick)
        moved = 0.0 if i == view.place else view.world.egress_usd(view.last, i)
        offer = Offer(
            provider=place.name,
            offer_id=place.name,
            place=place.region,
            capacity_type=CapacityType.ON_DEMAND,
            trust_tier=TrustTier.COMMUNITY,
            gpu_model="h100",
            gpu_count=8,
            price_usd_per_hour=Decimal(str(view.price(i))),
            as_of=_now(view),
            unavailable_reason="" if view.up[i] else "nothing free",
        )
        found.append(
            Seen(
                name=place.name,
                offer=offer,
                price_usd_per_hour=offer.price_usd_per_hour,
                since=_now(view) - timedelta(hours=age),
                moved_gib=Decimal(1),
                egress_usd_per_gib=Decimal(str(moved)),
                is_reliable=place.is_reliable,
            )
        )
    return found


def test_operator_and_benchmark_decide_alike_through_a_whole_job() -> None:
    both = _Both()
    outcome = run(_world(), Job(144, 216, 24 * 3600, 720), both)
    assert not outcome.missed
    assert len(both.answers) > 100
    assert len({mine.place for mine, _ in both.answers}) > 2
    for mine, theirs in both.answers:
        assert (mine.place, mine.why) == (theirs.place, theirs.why)
