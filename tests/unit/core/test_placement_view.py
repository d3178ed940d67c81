"""Jobs to which neither time nor money is a question get the decision of who asks everywhere."""

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.job import Job
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.placement import plan
from overspill.core.placement_search import Search
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.core.reasons import Reason
from overspill.core.sla import Budget, SlaClass
from overspill.core.snapshot import JobFacts, ProviderAccount, Snapshot
from overspill.core.vocabulary import Burst, CapacityType, ProviderType
from overspill.testing.placing import (
    HOME,
    HOUR,
    NOW,
    make_checkpoint,
    make_job,
    node,
    rent,
    usd,
    world,
)

from .test_placement_properties import patient_worlds, worlds

TYPES = (CapacityType.ON_DEMAND, CapacityType.SPOT, CapacityType.COMMUNITY)
MARKETS = {
    f"m{i}": ProviderAccount(f"m{i}", ProviderType.VAST, capacity_type=kind)
    for i, kind in enumerate(TYPES)
}
ORDER = (CapacityType.OWN, CapacityType.SPOT, CapacityType.ON_DEMAND, CapacityType.COMMUNITY)
CLASS = SlaClass("standard", is_default=True, capacity_types=ORDER)


def alone(seen: Snapshot) -> object:
    """What is decided when every question is asked of every place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Search, "is_at_ease", False)
        return plan(seen, NOW)


def job_of(dice: random.Random, number: int, purse: tuple[str, ...]) -> Job:
    work = dice.choice((1, 5, 30)) * HOUR * dice.uniform(0.5, 1)
    finish, gpus = dice.choice((None, 1.02, 1.5, 3)), dice.choice((1, 1, 2, 8))
    just_enough = str(int(work / HOUR * gpus * dice.choice((4, 5, 7))))
    return replace(
        make_job(f"j{number}"),
        gpu=GpuRequirements(gpus, dice.choice(((), ("h100",)))),
        burst=dice.choice((Burst.ONLY, Burst.ALLOWED)),
        burst_after=dice.choice((None, timedelta(0), HOUR)),
        created_at=NOW - dice.randrange(120) * timedelta(minutes=1),
        work=work,
        finish_by=None if finish is None else NOW + work * finish,
        max_total_usd=usd(dice.choice(purse) or just_enough),
        max_hourly_usd=dice.choice((None, None, None, usd(9))),
        checkpoint=dice.choice((None, make_checkpoint())),
    )


def offers_of(dice: random.Random) -> list[Offer]:
    """Some are of one place."""
    found = []
    for i in range(18):
        name, dear = f"m{i % 3}", 3 if i % 3 == 0 else 1
        found.append(
            rent(
                f"o{i}",
                str(Decimal(dear * 16 * dice.randrange(80, 300)) / 100),
                16,
                provider=name,
                capacity_type=MARKETS[name].capacity_type,
                gpu_model=dice.choice(("h100", "l40s")),
                region=f"r{dice.randrange(6)}",
                is_divisible=dice.random() < 0.8,
                mtbf=dice.choice((None, 30 * HOUR)),
                unavailable_reason=dice.choice(("", "", "", "away")),
            )
        )
    return [*found, *(node(f"n{i}", dice.choice((0, 0, 4))) for i in range(dice.choice((0, 2))))]


def past_of(dice: random.Random, offers: list[Offer]) -> Past:
    """Two days in which what is not on demand came and went."""
    found, away = Past(), dict.fromkeys((o.offer_id for o in offers), False)
    for step in range(-288, 1):
        for offer in offers:
            if offer.capacity_type is not CapacityType.ON_DEMAND and dice.random() < 0.03:
                away[offer.offer_id] = not away[offer.offer_id]
        shown = [replace(o, unavailable_reason="away" if away[o.offer_id] else "") for o in offers]
        found = found.looked(NOW + step * STEP, rooms_of(shown, frozenset({"home"})))
    return found


def crowd(seed: int) -> Snapshot:
    """Fifty jobs, more than there is room for; seeds take turns in who has how much money."""
    dice = random.Random(seed)  # noqa: S311  (a world to plan in, no secret)
    purse = (("9000",), ("9000", "9000", "90", "20"), ("",))[seed % 3]
    offers, jobs = offers_of(dice), [job_of(dice, i, purse) for i in range(50)]
    facts = {
        job.ref.uid: JobFacts(excluded_offers=frozenset({("m0", "o0"), ("m1", "o1")}))
        for job in dice.sample(jobs, 3)
    }
    accounts = {"home": HOME, **MARKETS}
    if dice.random() < 0.2:
        accounts["m1"] = replace(accounts["m1"], max_leases=2)
    budgets = (Budget("team", "month", usd(dice.choice((3000, 90000)))),) if seed % 4 == 0 else ()
    return world(
        jobs,
        offers,
        accounts=accounts,
        classes={"standard": CLASS},
        facts=facts,
        budgets=budgets,
        past=past_of(dice, offers),
    )


@pytest.mark.parametrize("seed", range(16))
def test_in_a_crowd_every_job_gets_the_decision_it_gets_alone(seed: int) -> None:
    seen = crowd(seed)
    assert plan(seen, NOW) == alone(seen)


def test_the_crowds_are_about_something() -> None:
    eases, told = 0, set()
    ask = Search._has_ease

    def counted(search: Search, dearest: object) -> bool:
        nonlocal eases
        found = ask(search, dearest)  # type: ignore[arg-type]  # what it was called with
        eases += found
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Search, "_has_ease", counted)
        for seed in range(6, 12):
            found = plan(crowd(seed), NOW)
            told |= {d.reason for d in found} | {r.reason for d in found for r in d.rejected}
    assert eases > 40
    assert told >= {
        Reason.CHEAPEST_FITTING,
        Reason.WAITING_PAYS,
        Reason.KEPT_FOR_FINISH,
        Reason.BUDGET_TOO_SMALL,
        Reason.UNAVAILABLE,
        Reason.NO_CAPACITY_NOW,
    }


@settings(deadline=None, max_examples=150)  # two cores shared by everything else that runs
@given(st.one_of(worlds(), patient_worlds()))
def test_anywhere_every_job_gets_the_decision_it_gets_alone(seen: Snapshot) -> None:
    assert plan(seen, NOW) == alone(seen)
