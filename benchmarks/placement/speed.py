"""How long a plan takes: many jobs against many places, with and without the learnt policy.

`python -m benchmarks.placement speed` prints the table; `make bench-placement` ends with it. The
jobs differ in size, work, class and deadline, because equal jobs share their rankings. CPU time of
this thread is told beside wall time: on a busy machine only the former says something about the
code.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.placement.progress import Course
from benchmarks.placement.summary import Entry, Report
from overspill.core.job import Checkpoint, Job
from overspill.core.lease import JobRef
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.placement import plan
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.core.sla import SlaClass
from overspill.core.snapshot import ProviderAccount, Snapshot
from overspill.core.vocabulary import Burst, CapacityType, ProviderType, TrustTier

PART, USUAL_S = "speed", 15.0
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOME = ProviderAccount(
    "home", ProviderType.IN_CLUSTER, capacity_type=CapacityType.OWN, trust_tier=TrustTier.OWN
)
TYPES = (CapacityType.ON_DEMAND, CapacityType.SPOT, CapacityType.COMMUNITY)
CLASSES = {
    "standard": SlaClass("standard", is_default=True, capacity_types=(CapacityType.OWN, *TYPES))
}
MODELS = ("h100", "a100-80gb", "l40s")


@dataclass(frozen=True)
class Timed:
    """One line of the table. Milliseconds."""

    name: str
    jobs: int
    first_ms: float
    """With empty memos: once after a start, and a part of it every six hours."""
    wall_ms: float
    cpu_ms: float

    @property
    def per_decision_us(self) -> float:
        """CPU time of one decision, microseconds."""
        return self.cpu_ms * 1000 / self.jobs


def table(found: Sequence[Timed]) -> str:
    """For people."""
    head = f"{'plan() of':44} {'first ms':>9} {'wall ms':>9} {'CPU ms':>9} {'us/decision':>12}"
    rows = [
        f"{t.name:44} {t.first_ms:9.0f} {t.wall_ms:9.0f} {t.cpu_ms:9.0f} {t.per_decision_us:12.0f}"
        for t in found
    ]
    return "\n".join((head, *rows))


def measured() -> list[Timed]:
    """All lines, the best of three plans each."""
    return [
        _timed("1,000 jobs, 50 places, no past", lambda: market(1000, 50)),
        _timed("1,000 jobs, 50 places, deadlines and a past", lambda: market(1000, 50, days=3)),
        _timed("10,000 jobs, 1,000 home nodes", lambda: home(10_000, 1000)),
    ]


def market(jobs: int, places: int, days: int = 0) -> Snapshot:
    """Jobs that must be rented, at five accounts; with a past, half of them have deadlines."""
    dice = random.Random(7)  # noqa: S311  (a world to measure on, no secret)
    accounts = {
        f"m{i}": ProviderAccount(f"m{i}", ProviderType.VAST, capacity_type=TYPES[i % 3])
        for i in range(5)
    }
    offers = [_rented(i, accounts[f"m{i % 5}"], dice) for i in range(places)]
    listed = tuple(
        _job(i, dice, Burst.ONLY, deadline=bool(days) and i % 2 == 0) for i in range(jobs)
    )
    return Snapshot(listed, (), tuple(offers), accounts, CLASSES, past=_past(offers, days, dice))


def home(jobs: int, nodes: int) -> Snapshot:
    """Jobs at home, and markets beside it that half of them may use."""
    dice = random.Random(8)  # noqa: S311  (as above)
    account = ProviderAccount("m0", ProviderType.VAST)
    offers = [_node(i, dice) for i in range(nodes)] + [
        _rented(i * 5, account, dice) for i in range(10)
    ]
    burst = (Burst.NEVER, Burst.ALLOWED)
    listed = tuple(_job(i, dice, burst[i % 2]) for i in range(jobs))
    accounts = {"home": HOME, "m0": account}
    return Snapshot(listed, (), tuple(offers), accounts, CLASSES)


def _job(number: int, dice: random.Random, burst: Burst, *, deadline: bool = False) -> Job:
    work = timedelta(seconds=dice.randrange(600, 48 * 3600))
    return Job(
        JobRef("team", f"j{number}", f"uid-{number}"),
        "1",
        1,
        NOW - timedelta(seconds=dice.randrange(7200)),
        GpuRequirements(dice.choice((1, 1, 1, 2, 4, 8)), dice.choice(((), ("h100",), MODELS[:2]))),
        {},
        work=work,
        finish_by=NOW + work * dice.uniform(1.2, 3) if deadline else None,
        max_total_usd=Decimal(10_000),
        burst=burst,
        checkpoint=Checkpoint("s3://team", timedelta(minutes=30), Decimal(10)),
    )


def _rented(number: int, account: ProviderAccount, dice: random.Random) -> Offer:
    model = MODELS[number % 3]
    dear = 3 if account.capacity_type is CapacityType.ON_DEMAND else 1
    return Offer(
        account.name,
        f"o{number}",
        f"{account.name}/r{number}",
        account.capacity_type,
        TrustTier.COMMUNITY,
        model,
        64,
        Decimal(64 * dear * dice.randrange(80, 400)) / 100,
        NOW,
        region=f"r{number}",
        is_divisible=True,
        cold_start=timedelta(minutes=dice.randrange(2, 9)),
        mtbf=timedelta(hours=dice.randrange(10, 200)),
    )


def _node(number: int, dice: random.Random) -> Offer:
    free = dice.randrange(9)
    return Offer(
        "home",
        f"n{number}",
        f"home/n{number}",
        CapacityType.OWN,
        TrustTier.OWN,
        MODELS[number % 3],
        free or 8,
        Decimal(free or 8),
        NOW,
        is_divisible=True,
        unavailable_reason="" if free else "all 8 GPUs are taken",
        attributes=(("gpusTotal", "8"), ("leases", "")),
    )


def _past(offers: Sequence[Offer], days: int, dice: random.Random) -> Past:
    """What is on demand was always there, the rest came and went."""
    past, away = Past(), dict.fromkeys((o.offer_id for o in offers), False)
    for step in range(-int(days * 24 * HOUR / STEP), 1) if days else ():
        for offer in offers:
            if offer.capacity_type is not CapacityType.ON_DEMAND and dice.random() < 0.02:
                away[offer.offer_id] = not away[offer.offer_id]
        shown = [replace(o, unavailable_reason="away" if away[o.offer_id] else "") for o in offers]
        past = past.looked(NOW + step * STEP, rooms_of(shown, frozenset()))
    return past


def _timed(name: str, make: Callable[[], Snapshot]) -> Timed:
    seen = make()
    began = time.perf_counter()
    plan(seen, NOW)
    first = time.perf_counter() - began
    walls, cpus = [], []
    for _ in range(3):
        began, cpu = time.perf_counter(), time.thread_time()
        plan(seen, NOW)
        walls.append(time.perf_counter() - began)
        cpus.append(time.thread_time() - cpu)
    return Timed(name, len(seen.jobs), first * 1000, min(walls) * 1000, min(cpus) * 1000)


def run(argv: Sequence[str], course: Course) -> Report:
    """The table; there is nothing to choose and nothing to fail."""
    parser().parse_args(argv)
    course.expect(PART, 1, USUAL_S)
    found = measured()
    course.step(PART)
    return Report(table(found), [entry(one) for one in found])


def entry(one: Timed) -> Entry:
    """A line of the summary."""
    told = f"{one.cpu_ms:.0f} ms of CPU, {one.per_decision_us:.0f} us per decision"
    return Entry("plan()", told, ms=f"{one.cpu_ms / one.jobs:.3f}", against=[one.name])


def parser() -> argparse.ArgumentParser:
    """Its own command line."""
    return argparse.ArgumentParser(prog="python -m benchmarks.placement speed", description=__doc__)
