"""Copies of a service: how many to spare and where, as the class's availability asks of a plan."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.placement import plan
from overspill.core.policy_past import Past
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts
from overspill.core.vocabulary import CapacityType, LeaseState, Workload
from overspill.testing.placing import HOUR, NOW, make_job, make_lease, node, rent, usd, world

from .two_places import ACCOUNTS, past

CLASS = SlaClass(
    "standard",
    is_default=True,
    capacity_types=(CapacityType.OWN, CapacityType.ON_DEMAND, CapacityType.SPOT),
    availability_target=Decimal("0.999"),
)
CHAT = make_job("chat", workload=Workload.INFERENCE, replicas=4, max_total_usd=usd(4000))
FIRM = rent("c1", "24", 8, provider="cloud", region="eu", is_divisible=True)
EAST, WEST, NORTH = (
    rent(
        f"{region}-1",
        price,
        8,
        provider="spots",
        region=region,
        capacity_type=CapacityType.SPOT,
        is_divisible=True,
    )
    for region, price in (("east", "8"), ("west", "8.8"), ("north", "9.6"))
)
ALL = (FIRM, EAST, WEST, NORTH)


def away(offer: Offer) -> Offer:
    return replace(offer, unavailable_reason="none free")


STEADY = past(lambda _step: list(ALL))


def now_and_then(steps: int, apart: int = 1) -> Past:
    """Spot hosts that are there and away for so many steps of ten minutes, and are there now.

    Each has periods of its own, so many steps longer than those of the one before.
    """

    def seen(step: int) -> list[Offer]:
        spot = enumerate(ALL[1:])
        return [FIRM, *(o if (step - 1) // (steps + n * apart) % 2 else away(o) for n, o in spot)]

    return past(seen)


SEEN = now_and_then(24)
IN_STEP = now_and_then(24, apart=0)
NEVER_LONG = now_and_then(2)


def copies(count: int) -> list[Job]:
    found = [CHAT]
    for number in range(1, count):
        job = make_job(f"chat-{number}", workload=Workload.INFERENCE, max_total_usd=usd(1000))
        found.append(replace(job, owner_name="chat", owner_uid=CHAT.ref.uid))
    return found


def counted(spares: int | None) -> dict[str, JobFacts]:
    return {CHAT.ref.uid: JobFacts(spares=spares)}


def planned(jobs: list[Job], *offers: Offer, seen: Past = SEEN, **changes: Any) -> list[Decision]:
    changes = {"facts": counted(0), **changes}
    changes = {"classes": {"standard": CLASS}, "accounts": ACCOUNTS, "past": seen, **changes}
    return list(plan(world(jobs, offers, **changes), NOW))


def where(found: list[Decision]) -> Counter[str]:
    placed = [d.offer for d in found if d.action is Action.PLACE and d.offer]
    return Counter(f"{offer.provider}/{offer.region}" for offer in placed)


def test_a_strict_promise_is_kept_with_spares_over_hosts_of_their_own() -> None:
    first = planned(copies(4), *ALL)
    spares = first[0].spares
    assert spares
    found = where(planned(copies(4 + spares), *ALL))
    assert found.total() == 4 + spares
    assert found.total() - max(found.values()) >= 4, "it bears the loss of any one host"
    assert not found["cloud/eu"], "spot and its spares cost less than a firm place"


def test_it_says_how_many_and_why() -> None:
    chat = planned(copies(4), *ALL)[0]
    assert f"4 needed and {chat.spares} to spare" in chat.spares_told
    assert "USD/h; expected to be short" in chat.spares_told


def test_only_copy_0_speaks_for_the_service() -> None:
    assert [d.spares is None for d in planned(copies(3), *ALL)] == [False, True, True]


def test_where_hosts_last_none_is_to_spare() -> None:
    facts = {CHAT.ref.uid: JobFacts(served_h=700.0, spares=0)}
    found = planned(copies(4), *ALL, seen=STEADY, facts=facts)
    assert (found[0].spares, where(found)) == (0, {"spots/east": 4})


def test_hosts_that_were_lost_together_are_no_spares_for_each_other() -> None:
    assert planned(copies(4), *ALL)[0].spares
    found = planned(copies(4), *ALL, seen=IN_STEP)
    assert (found[0].spares, where(found)) == (0, {"cloud/eu": 4})


def test_what_is_missing_now_counts_as_missed_until_its_replacement_serves() -> None:
    """Once a day's allowance is used up by a loss, nothing more is risked for a while."""
    jobs, facts = copies(4), {CHAT.ref.uid: JobFacts(served_h=30.0, spares=0)}
    held = [on(job, WEST) for job in jobs[:3]]
    gone = replace(on(jobs[3], EAST), state=LeaseState.CLOSED)
    new = planned(jobs, *ALL, leases=tuple(held), facts=facts)
    again = planned(jobs, *ALL, leases=(*held, gone), facts=facts)
    assert (where(new)["cloud/eu"], where(again)) == (0, {"cloud/eu": 1})


def test_where_spares_cost_more_it_stands_on_what_nobody_takes_back() -> None:
    cheap = replace(FIRM, price_usd_per_hour=usd(16))
    found = planned(copies(4), cheap, *ALL[1:], seen=NEVER_LONG)
    assert where(found) == {"cloud/eu": 4}
    assert found[0].spares == 0


def test_what_home_holds_is_not_spread() -> None:
    found = planned(copies(4), *ALL, node("n1", 8))
    assert {d.offer.provider for d in found if d.offer} == {"home"}
    running = [make_lease(job, node("n1", 1), LeaseState.ACTIVE) for job in copies(4)]
    assert planned(copies(4), *ALL, leases=tuple(running))[0].spares == 0


def test_a_spare_that_is_no_longer_called_for_is_not_rented_anew() -> None:
    """It was lost before the number went down; those that are needed stand."""
    jobs = copies(3)
    leases = tuple(on(job, FIRM) for job in jobs[:2])
    chat = replace(jobs[0], replicas=2)
    found = planned([chat, *jobs[1:]], FIRM, leases=leases)
    assert [(d.action, d.reason) for d in found[2:]] == [(Action.WAIT, Reason.CHOOSING_SPARES)]


def test_a_budget_is_divided_before_the_first_copy_takes_all_of_it() -> None:
    jobs = copies(4)
    first = planned(jobs, *ALL, facts=counted(None))
    assert {(d.action, d.reason) for d in first} == {(Action.WAIT, Reason.CHOOSING_SPARES)}
    assert first[0].spares
    then = planned(jobs, *ALL, facts=counted(first[0].spares))
    assert {d.action for d in then} == {Action.PLACE}


def on(job: Job, offer: Offer, **changes: Any) -> Lease:
    part = replace(offer, gpu_count=1, price_usd_per_hour=offer.price_per_gpu_hour)
    return make_lease(job, part, LeaseState.ACTIVE, active_since=NOW - 3 * HOUR, **changes)


def test_a_lost_copy_comes_back_where_the_others_are_not() -> None:
    jobs, hosts = copies(8), [EAST] * 4 + [WEST] * 3
    leases = tuple(on(job, offer) for job, offer in zip(jobs, hosts, strict=False))
    found = planned(jobs, *ALL, leases=leases, facts=counted(4))
    assert where(found) == {"spots/west": 1}


def test_from_a_dear_place_they_move_one_at_a_time() -> None:
    jobs = copies(4)
    leases = tuple(on(job, FIRM) for job in jobs)
    found = planned(jobs, *ALL, leases=leases)
    moved = [d for d in found if d.action is Action.MOVE]
    assert [(d.reason, d.from_lease) for d in moved] == [(Reason.SPREADS_COPIES, leases[0].name)]
    assert moved[0].offer is not None
    assert moved[0].offer.provider == "spots"
    assert "a copy costs 1.00 USD/h there, 3.00 here" in moved[0].message


@pytest.mark.parametrize(("count", "on_the_way", "more"), [(8, 0, 2), (8, 1, 1), (8, 2, 0)])
def test_a_quarter_of_many_may_move_at_a_time(count: int, on_the_way: int, more: int) -> None:
    jobs = copies(count)
    leases = [on(job, FIRM) for job in jobs]
    leases += [on(job, EAST, attempt=2) for job in jobs[:on_the_way]]
    found = planned(jobs, *ALL, leases=tuple(leases))
    assert sum(d.action is Action.MOVE for d in found) == more


def test_while_one_moves_the_others_stay() -> None:
    jobs = copies(4)
    leases = [on(job, FIRM) for job in jobs]
    leases.append(on(jobs[0], EAST, attempt=2))
    found = planned(jobs, *ALL, leases=tuple(leases))
    assert not [d for d in found if d.action is Action.MOVE]


@pytest.mark.parametrize(
    ("klass", "seen"),
    [
        pytest.param(replace(CLASS, spare_replicas=1), SEEN, id="the class says how many"),
        pytest.param(replace(CLASS, availability_target=None), SEEN, id="nothing is promised"),
        pytest.param(CLASS, Past(), id="no past"),
    ],
)
def test_nothing_is_chosen_where(klass: SlaClass, seen: Past) -> None:
    found = planned(copies(2), *ALL, seen=seen, classes={"standard": klass})
    assert [d.spares for d in found] == [None, None]
    assert {d.action for d in found} == {Action.PLACE}


def test_what_was_missed_makes_it_more_careful() -> None:
    kept = planned(copies(4), *ALL, facts={CHAT.ref.uid: JobFacts(served_h=700.0)})
    missed = planned(copies(4), *ALL, facts={CHAT.ref.uid: JobFacts(served_h=700.0, missed_h=2.0)})
    assert where(missed) == {"cloud/eu": 4}
    assert not where(kept)["cloud/eu"]
