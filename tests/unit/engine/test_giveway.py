"""A status that somebody else writes over is written again, but ever later; our own never waits."""

from dataclasses import replace
from typing import Any

from overspill.core.job import Job
from overspill.engine.giveway import FIRST_S, LONGEST_S, note, patience_s
from overspill.testing.placing import make_job

from .world import World

JOB = make_job()


def shows(status: dict[str, Any]) -> Job:
    return replace(JOB, status=status)


def test_our_own_words_are_followed_by_others_at_once(world: World) -> None:
    for moves in range(9):
        note(world.engine, shows({"moves": moves - 1} if moves else {}), {"moves": moves})
        assert patience_s(world.engine, shows({"moves": moves})) == 0


def test_what_the_api_server_leaves_out_is_nobody_elses_word(world: World) -> None:
    written = {"phase": "Running", "placement": {"place": "home/n1", "region": ""}, "sla": None}
    note(world.engine, JOB, written)
    read = {"phase": "Running", "placement": {"place": "home/n1"}}
    assert patience_s(world.engine, shows(read)) == 0


def test_who_is_corrected_corrects_ever_later(world: World) -> None:
    note(world.engine, JOB, {"phase": "Running"})
    theirs, waits = shows({"phase": "Waiting"}), []
    for _ in range(9):
        waits.append(patience_s(world.engine, theirs))
        world.clock.advance(waits[-1])
        assert patience_s(world.engine, theirs) == 0
        note(world.engine, theirs, {"phase": "Running"})
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S
    assert patience_s(world.engine, shows({"phase": "Running"})) == 0
