"""Probed mode: what was not looked at is not known, looks at what is up are paid, and ours plans
with what it hopes and takes only what it saw.
"""

from collections.abc import Iterator

import pytest
from benchmarks.placement.optimum import optimum
from benchmarks.placement.probing import Probing
from benchmarks.placement.simulate import PROBE_H, View, run
from benchmarks.placement.world import Job, Place, World

TICK_S = 600
DAY = 144
TICKS = 4 * DAY
JOB = Job(2 * DAY, DAY, 12 * 3600, 720)


def place(name: str, usd: float, up: tuple[bool, ...] = (True,) * TICKS) -> Place:
    """On demand where it is named so, else spot."""
    kind = "ondemand" if name == "cloud" else "spot"
    return Place(name, kind, name, up, (usd,) * TICKS)


def world(*places: Place) -> World:
    return World("+".join(p.name for p in places), TICK_S, places)


AWAY = place("away", 0.5, (False,) * TICKS)
EAST = place("east", 1.0)
CLOUD = place("cloud", 4.0)


class Fixed:
    """Looks at the same places at every tick, and goes to the first that is up."""

    name = "fixed"

    def __init__(self, *looks: int) -> None:
        self.looks, self.known = looks, list[list[bool]]()

    def prober(self, view: View) -> Iterator[int]:
        for index in self.looks:
            self.known.append(list(view.up))
            yield index

    def choose(self, view: View) -> int | None:
        self.known.append(list(view.up))
        return next(i for i, up in enumerate(view.up) if up)


def test_what_was_not_looked_at_counts_as_down_until_it_is() -> None:
    policy = Fixed(0, 1)
    run(world(AWAY, EAST, CLOUD), JOB, policy, policy.prober)
    assert policy.known[:3] == [[False, False, True]] * 2 + [[False, True, True]]


def test_only_a_look_at_what_is_up_is_paid_and_what_is_held_is_known() -> None:
    policy = Fixed(0, 1)
    out = run(world(AWAY, EAST, CLOUD), JOB, policy, policy.prober)
    assert out.probes == pytest.approx(PROBE_H), "the first look; then it is held"
    assert out.cost == pytest.approx(12.2 + PROBE_H)


def test_who_looks_nowhere_knows_what_is_on_demand() -> None:
    policy = Fixed()
    out = run(world(EAST, CLOUD), JOB, policy, policy.prober)
    assert (out.last, out.probes) == (1, 0.0)


def test_ours_tries_what_it_hopes_for_and_takes_what_is_there() -> None:
    """The cheapest is never there; each try of it is free."""
    ours = Probing()
    out = run(world(AWAY, EAST, CLOUD), JOB, ours, ours.prober)
    assert (out.last, out.missed) == (1, False)
    assert out.cost == pytest.approx(12.2, rel=0.02)


def test_ours_finds_what_comes_back() -> None:
    """Up for eight hours, away for four."""
    up = tuple(tick % 72 < 48 for tick in range(TICKS))
    ours, there = Probing(), world(place("west", 1.0, up), CLOUD)
    job = Job(2 * DAY, 2 * DAY, 18 * 3600, 720)
    out = run(there, job, ours, ours.prober)
    assert not out.missed
    assert out.cost < 2 * optimum(there, job)
    assert out.losses >= 1


def test_ours_keeps_its_deadline_where_nothing_else_is_there() -> None:
    ours = Probing()
    out = run(world(AWAY, CLOUD), JOB, ours, ours.prober)
    assert (out.missed, out.probes) == (False, 0.0)
    assert out.last == 1


def test_it_knows_what_a_look_every_two_hours_would_have_shown_and_no_more() -> None:
    """A place that was up only between those looks is as good as never seen."""
    between = tuple(tick % 12 != 0 and tick < JOB.start for tick in range(TICKS))
    for series in (between, (False,) * TICKS):
        ours = Probing()
        run(world(place("west", 1.0, series), CLOUD), JOB, ours, ours.prober)
        track = ours._tracks[0]
        assert [bool(seen.room) for seen in track.changes] == [False]
