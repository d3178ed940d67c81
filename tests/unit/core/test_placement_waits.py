"""Jobs that share an answer get the very one they would have got alone."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.offer import Beside, Offer
from overspill.core.placement import plan
from overspill.core.placement_waits import Waits
from overspill.core.reasons import Reason
from overspill.core.sla import Budget
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.vocabulary import Burst, CapacityType
from overspill.testing.placing import (
    AKASH,
    HOME,
    HOUR,
    MINUTE,
    NOW,
    make_job,
    node,
    rent,
    usd,
    world,
)

POOL = replace(HOME, name="pool", capacity_type=CapacityType.SPOT)


def told(found: tuple[Decision, ...]) -> list[tuple[Any, ...]]:
    return [(d.action, d.reason, d.message, d.rejected, d.wait_until, d.offer) for d in found]


def alone(monkeypatch: pytest.MonkeyPatch, seen: Snapshot) -> list[tuple[Any, ...]]:
    """What is decided when no answer is ever shared."""
    with monkeypatch.context() as patch:
        patch.setattr(Waits, "known", lambda *_, **__: None)
        return told(plan(seen, NOW))


def counted(monkeypatch: pytest.MonkeyPatch, seen: Snapshot) -> tuple[list[tuple[Any, ...]], int]:
    """What is decided, and how many answers were shared."""
    hits, ask = [0], Waits.known

    def known(self: Waits, *asked: Any, **more: Any) -> Any:
        found = ask(self, *asked, **more)
        hits[0] += found is not None
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Waits, "known", known)
        return told(plan(seen, NOW)), hits[0]


def job_of(dice: random.Random, number: int) -> Job:
    job = make_job(f"j{number}", dice.choice((1, 2, 8)), models=dice.choice(((), ("h100",))))
    return replace(
        job,
        num_nodes=dice.choice((1, 1, 1, 2)),
        burst=dice.choice((Burst.ALLOWED, Burst.NEVER)),
        burst_after=dice.choice((timedelta(0), HOUR)),
        created_at=NOW - dice.choice((1, 40)) * MINUTE,
        work=dice.choice((HOUR, 20 * HOUR, None)),
        finish_by=dice.choice((None, None, NOW + 25 * HOUR)),
        max_total_usd=dice.choice((usd(1000), usd(1000), usd(9))),
        max_hourly_usd=dice.choice((None, None, usd(2))),
        replicas=dice.choice((1, 1, 2)),
    )


def offers_of(dice: random.Random) -> list[Offer]:
    found = [
        node(
            f"n{i}",
            dice.choice((0, 1, 3, 8)),
            gpu_model=dice.choice(("h100", "l40s")),
            beside_free=dice.choice((None, Beside(usd(12), usd(64)))),
            beside_total=dice.choice((None, Beside(usd(16), usd(64)))),
        )
        for i in range(4)
    ]
    where = {"provider": "pool", "place": "pool/p", "capacity_type": CapacityType.SPOT}
    found += [node("p1", dice.choice((0, 2)), rate=usd("0.5"), **where)]
    return found + [
        rent(f"a{i}", dice.choice(("1", "2", "2.5")), dice.choice((1, 4)), unavailable_reason=away)
        for i, away in enumerate(dice.choices(("", "away", "rented out"), (8, 1, 1), k=4))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_a_shared_answer_is_the_one_a_job_gets_alone(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  (a world to plan in, no secret)
    jobs, offers = [job_of(dice, i) for i in range(30)], offers_of(dice)
    accounts = {"home": HOME, "pool": POOL, "akash": AKASH}
    if dice.random() < 0.2:
        accounts["akash"] = replace(AKASH, max_leases=2)
    facts = {
        job.ref.uid: JobFacts(excluded_offers=frozenset({("home", "n1"), ("akash", "a1")}))
        for job in dice.sample(jobs, 3)
    }
    for job in dice.sample(jobs, 12):
        known = facts.get(job.ref.uid, JobFacts())
        facts[job.ref.uid] = replace(known, requests=Beside(usd(dice.choice((2, 8))), usd(4)))
    budgets = (Budget("team", "month", usd(dice.choice((20, 300)))),) if seed % 3 == 0 else ()
    seen = world(jobs, offers, accounts=accounts, facts=facts, budgets=budgets)
    assert told(plan(seen, NOW)) == alone(monkeypatch, seen)


def crowd(**changes: Any) -> list[Job]:
    """Ten equal jobs but for their work, too large for what is free."""
    return [
        replace(make_job(f"j{i}", 8, burst=Burst.NEVER), work=(i + 1) * HOUR, **changes)
        for i in range(10)
    ]


def test_a_crowd_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, shared = counted(monkeypatch, world(crowd(), [node("n1", 4)]))
    assert shared == 9
    assert {(action, reason) for action, reason, *_ in found} == {
        (Action.WAIT, Reason.WAITING_FOR_HOME)
    }


def test_what_is_taken_in_between_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [replace(job, created_at=NOW - i * MINUTE) for i, job in enumerate(crowd())]
    jobs.append(make_job("small", 2, burst=Burst.NEVER, created_at=NOW - 4.5 * MINUTE))
    found, _ = counted(monkeypatch, world(jobs, [node("n1", 4)]))
    most = {message.partition("(")[2] for action, _, message, *_ in found if action is Action.WAIT}
    assert most == {"at most 4 on one)", "at most 2 on one)"}
    assert found == alone(monkeypatch, world(jobs, [node("n1", 4)]))


def test_whoever_cannot_pay_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [*crowd(), *(replace(j, max_hourly_usd=usd(7)) for j in crowd()[:1])]
    jobs[-1] = replace(jobs[-1], ref=make_job("poor").ref)
    found, _ = counted(monkeypatch, world(jobs, [node("n1", 4)]))
    assert found[-1][1] is Reason.PRICE_ABOVE_CAP


def test_a_starving_crowd_holds_nodes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [*crowd(created_at=NOW - HOUR), make_job("small", 2, burst=Burst.NEVER)]
    seen = world(jobs, [node("n1", 4)])
    found, shared = counted(monkeypatch, seen)
    assert shared
    assert found[-1][0] is Action.WAIT
    assert found == alone(monkeypatch, seen)
