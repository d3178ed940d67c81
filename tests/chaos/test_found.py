"""Mistakes that histories found in the engine, each as the smallest history that shows it.

Also keeps docs/reliability.md honest: the functions and tests that it names exist.
"""

import asyncio
import importlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overspill.engine import opening
from overspill.engine.context import Engine
from overspill.kube.answers import Refused
from overspill.kube.resources import Kind, collection
from overspill.ports import IdempotencyClass
from overspill.testing.fakeapi import Fault
from overspill.testing.market import FakeMarket, Lies
from overspill.testing.simfaults import Wrongs
from overspill.testing.simulation import NAMESPACE, Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

from . import planner_bugs
from .history import run_plan
from .plans import deaf, planned, unheard
from .seeded_bugs import BUGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


async def states(sim: Simulation) -> list[str]:
    return [(x.get("status") or {}).get("state", "Planned") for x in await sim.leases()]


def test_class_d_in_doubt_is_not_closed_when_its_job_is_deleted() -> None:
    market = FakeMarket(
        LoopClock(), klass=IdempotencyClass.D, lies=Lies(late=1.0, late_s=30, hang_s=9), run_s=None
    )
    sim = Simulation(market=market)

    async def life() -> list[str]:
        await sim.start()
        await sim.apply("job")
        assert await sim.until(lambda: _is_sent(sim), 60, step_s=0.01)
        await sim.delete("job")
        await asyncio.sleep(600)
        found = await states(sim)
        await sim.stop()
        return found

    assert run_virtual(life()) == ["Uncertain"]
    assert len(market.live()) == 1, "the market did carry it out"


def test_what_lists_hid_until_it_was_closed_is_ended_however_much_it_is() -> None:
    # Four at once: the breaker took them for leases whose records are lost.
    assert run_plan(planned(671)) == []


async def _is_sent(sim: Simulation) -> bool:
    return "Opening" in await states(sim)


def test_a_clock_an_hour_ahead_withdraws_nothing() -> None:
    sim = Simulation(
        market=FakeMarket(LoopClock(), run_s=30),
        wrongs=Wrongs(skews={"a": timedelta(hours=1)}),
    )

    async def life() -> None:
        await sim.start()
        await sim.apply("job")
        await asyncio.sleep(300)
        await sim.stop()

    run_virtual(life())
    assert len(sim.market.sold) == 1


def test_secrets_read_slowly_never_send_after_the_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    market = FakeMarket(LoopClock(), run_s=30)
    sim = Simulation(market=market)
    ages: list[float] = []
    request = opening.open_request

    async def slow(engine: Engine, lease: Any, handle: Any) -> Any:
        await asyncio.sleep(25 if lease.permit.seq == 1 else 0)
        sim.begun = lease.permit.issued_at  # type: ignore[attr-defined]  # noted for the send
        return await request(engine, lease, handle)

    def sent(_key: str) -> None:
        ages.append((sim.clock.now() - sim.begun).total_seconds())  # type: ignore[attr-defined]  # as above

    monkeypatch.setattr(opening, "open_request", slow)
    market.on_create = sent

    async def life() -> None:
        await sim.start()
        await sim.apply("job")
        await asyncio.sleep(300)
        await sim.stop()

    run_virtual(life())
    assert len(ages) == 1
    assert ages[0] < 20, "sent when its permit was over"


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_an_attempt_the_view_has_not_seen_is_not_doubled(seed: int) -> None:
    """Attempt 1 runs; the other leader heard the job's status tell of it, but not of its lease."""
    assert run_plan(deaf(seed)) == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_job_whose_deletion_was_not_heard_is_not_placed_again_and_again(seed: int) -> None:
    assert run_plan(unheard(seed)) == []


def test_a_job_whose_record_no_schema_takes_is_told_so() -> None:
    """It once waited for ever at a place that "fits"."""
    sim = Simulation(market=FakeMarket(LoopClock()))
    no = Refused("grace is negative", status=422, fields=("spec.request.gracePeriodSeconds",))
    sim.api.fail(Fault("create", collection(Kind.LEASE, NAMESPACE), no, times=1000))

    async def life() -> dict[str, Any]:
        await sim.start()
        await sim.apply("job")
        await asyncio.sleep(60)
        jobs = await sim.jobs()
        await sim.stop()
        return jobs["job"]["status"]

    status = run_virtual(life())
    stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "TemplateInvalid")
    assert "grace is negative" in stalled["message"]


RULES = re.findall(
    r"^\| ([RF]\d+) \|.*\| `([\w.]+):(\w+)` \| `([\w/.]+)(?:::(\w+))?` \|$", PAGE, re.M
)


@pytest.mark.parametrize(("rule", "module", "name", "path", "test"), RULES)
def test_what_the_page_names_exists(
    rule: str, module: str, name: str, path: str, test: str
) -> None:
    assert hasattr(importlib.import_module(module), name), rule
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not test or re.search(rf"^(async )?def {test}\b", text, re.M), f"{rule}: {test}"


def test_every_rule_of_the_protocol_has_its_row() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"^\| [RF]\d+ ", line)]
    assert len(rows) == len(RULES), "a row that cannot be read is a row that nobody checks"
    assert {f"R{n}" for n in range(1, 11)} <= {rule for rule, *_ in RULES}


@pytest.mark.parametrize("name", [bug.name for bug in (*BUGS, *planner_bugs.BUGS)])
def test_every_mistake_made_on_purpose_stands_on_the_page(name: str) -> None:
    assert f"| {name} |" in PAGE
