"""The past of places over a restart: read first, written seldom, and never instead of unread."""

import logging

import pytest

from overspill.core.errors import ClusterUnavailable
from overspill.core.policy_keep import packed
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.engine.remember import remember_once
from overspill.testing.placing import rent

from .world import World

PERIOD_S = 900.0
HOME = frozenset({"home"})


class Kept:
    """`ports.Keepsake` in memory."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.writes = 0
        self.reads = 0
        self.refuses = False

    async def read(self) -> bytes | None:
        """What was kept."""
        self.reads += 1
        self._answer()
        return self.content

    async def write(self, content: bytes) -> None:
        """Keeps it."""
        self._answer()
        self.writes += 1
        self.content = content

    def _answer(self) -> None:
        if self.refuses:
            raise ClusterUnavailable("no answer")


def past(world: World, looks: int = 40) -> Past:
    """A past that reaches until now."""
    found = Past()
    for index in range(looks):
        offers = [rent("s1", str(2 + index % 3))]
        found = found.looked(world.clock.now() - (looks - 1 - index) * STEP, rooms_of(offers, HOME))
    return found


def with_keepsake(world: World, kept: Kept) -> Kept:
    world.engine.keepsake = kept
    return kept


async def test_a_restart_goes_on_with_what_was_seen_before(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = past(world)
    with_keepsake(world, Kept(packed(before)))
    with caplog.at_level(logging.INFO):
        await remember_once(world.engine)
    assert world.engine.memory.past == before
    assert "the past of 1 places over 6.5 hours was read" in caplog.text


async def test_it_is_written_at_most_once_a_period_and_only_when_something_was_seen(
    world: World,
) -> None:
    kept = with_keepsake(world, Kept())
    await remember_once(world.engine)
    world.engine.memory.past = past(world)
    await remember_once(world.engine)
    assert kept.writes == 0, "a young leader has nothing to add yet"
    for turns in range(3):
        world.clock.advance(PERIOD_S)
        await remember_once(world.engine)
        await remember_once(world.engine)
        assert kept.writes == 1, f"nothing new was seen ({turns})"
    assert kept.content == packed(world.engine.memory.past)


async def test_nothing_is_written_over_a_past_that_could_not_be_read(world: World) -> None:
    content = packed(past(world))
    kept = with_keepsake(world, Kept(content))
    kept.refuses = True
    await remember_once(world.engine)
    world.engine.memory.past = past(world, 1)
    world.clock.advance(2 * PERIOD_S)
    await remember_once(world.engine)
    assert (kept.content, kept.writes, kept.reads) == (content, 0, 2)
    kept.refuses = False
    await remember_once(world.engine)
    assert kept.writes == 0
    assert packed(world.engine.memory.past) == content


async def test_a_damaged_past_is_said_and_starts_anew(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    kept = with_keepsake(world, Kept(b"rubbish"))
    await remember_once(world.engine)
    assert world.engine.memory.past == Past()
    assert "starts anew" in caplog.text
    world.engine.memory.past = past(world)
    world.clock.advance(PERIOD_S)
    await remember_once(world.engine)
    assert kept.content == packed(world.engine.memory.past), "rubbish is written over"


async def test_a_write_that_failed_is_repeated_in_the_next_period(world: World) -> None:
    kept = with_keepsake(world, Kept())
    await remember_once(world.engine)
    world.engine.memory.past = past(world)
    world.clock.advance(PERIOD_S)
    kept.refuses = True
    await remember_once(world.engine)
    kept.refuses = False
    await remember_once(world.engine)
    assert kept.writes == 0
    world.clock.advance(PERIOD_S)
    await remember_once(world.engine)
    assert kept.writes == 1


async def test_who_does_not_lead_neither_reads_nor_writes(world: World) -> None:
    kept = with_keepsake(world, Kept())
    world.leader.leads = False
    await remember_once(world.engine)
    assert kept.reads == 0
