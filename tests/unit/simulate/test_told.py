"""What `plan()` hears of a job that runs is made once for each checkpoint, and is the same."""

from __future__ import annotations

from dataclasses import replace

from overspill.simulate.attempts import running, told, told_anew
from overspill.simulate.history import History

from .conftest import job

NOTHING = History([], [], [])


def test_between_two_checkpoints_it_is_the_same_job() -> None:
    run = running(job("a"), NOTHING, {})
    first = told_anew(run, NOTHING, 1800.0)
    assert first == told(run, NOTHING, 1800.0)
    assert told_anew(run, NOTHING, 1800.0) is first


def test_a_checkpoint_a_move_and_a_broken_promise_are_told() -> None:
    run = running(job("a", deadline_s=90000.0), NOTHING, {})
    seen = [told_anew(run, NOTHING, 1800.0), told_anew(run, NOTHING, 3600.0)]
    run.moves = 1
    seen.append(told_anew(run, NOTHING, 3600.0))
    run.job = replace(run.job, finish_by=None)
    seen.append(told_anew(run, NOTHING, 3600.0))
    assert len(set(map(id, seen))) == 4
    assert seen[-1] == told(run, NOTHING, 3600.0)
