"""Which decisions are told: what led to a place stays to be read, and no conflict is a hot loop."""

from dataclasses import replace

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.errors import Conflict
from overspill.core.reasons import Reason
from overspill.engine import drive, place
from overspill.engine.context import Engine
from overspill.engine.place import _is_news
from overspill.ports import JobStatus
from overspill.testing.placing import NOW, make_job

from .world import World

JOB = make_job()
STAYS = Decision(JOB.ref, Action.STAY, Reason.RUNNING_WELL, "runs", NOW)
WAITS = Decision(JOB.ref, Action.WAIT, Reason.RUNNING_WELL, "waits", NOW)


@pytest.mark.parametrize("action", [Action.PLACE, Action.MOVE])
def test_after_a_restart_what_led_to_the_place_is_not_overwritten(
    world: World, action: Action
) -> None:
    world.put(replace(JOB, status={"decision": {"action": action.value}}))
    assert not _is_news(world.engine, STAYS)
    assert not _is_news(world.engine, STAYS)
    assert _is_news(world.engine, WAITS)


@pytest.mark.parametrize("status", [{}, {"decision": {"action": "Wait"}}])
def test_a_job_that_nobody_explained_is_told_why_it_stays(
    world: World, status: dict[str, object]
) -> None:
    world.put(replace(JOB, status=status))
    assert _is_news(world.engine, STAYS)


async def test_conflicts_without_end_come_further_and_further_apart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ear that is deaf for a minute must not cost a thousand refused writes."""
    world.put(JOB)
    world.cluster.refuses = Conflict("another version")
    key, waits = ("job", JOB.ref.uid), []
    monkeypatch.setattr(world.engine.queue, "add_after", lambda _key, s: waits.append(s))
    for _ in range(5):
        await drive._work(world.engine, key)
    assert waits[0] == drive.STALE_S
    assert waits[4] == pytest.approx(16 * drive.STALE_S)
    assert world.cluster.written(JobStatus) == []


async def test_a_long_batch_ends_early_and_the_rest_is_decided_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a storm at home a job that rents must not wait for the last child's record."""
    jobs = [make_job(f"job-{number:03d}") for number in range(100)]
    told: list[str] = []

    async def slowly(_engine: Engine, decision: Decision) -> None:
        told.append(decision.job.uid)
        world.clock.advance(0.1)

    monkeypatch.setattr(place, "_apply", slowly)
    news = [replace(WAITS, job=job.ref) for job in jobs]
    world.engine.place_wanted.clear()
    await place._apply_all(world.engine, news)
    assert told == [job.ref.uid for job in jobs][: len(told)], "in the plan's order"
    assert 0.1 * len(told) == pytest.approx(place.APPLY_S + 0.1 * place.PARALLEL, abs=0.2)
    assert world.engine.place_wanted.is_set()

    world.engine.place_wanted.clear()
    told.clear()
    await place._apply_all(world.engine, news[:10])
    assert len(told) == 10
    assert not world.engine.place_wanted.is_set()
