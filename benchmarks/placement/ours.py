"""Ours: hands what the benchmark lets a policy see to the operator's own decision function.

Nothing is decided here. Lives are
learnt anew every hour of a trace and the value table every six, from a week of past.
Called by the suites.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from benchmarks.placement.history import past
from benchmarks.placement.simulate import View
from benchmarks.placement.world import World
from overspill.core.policy import Option, Question, choose
from overspill.core.policy_knowledge import Knowledge, Setting, Tuning, Watched, know, refresh

WEEK_S = 7 * 24 * 3600
LEARN_S = 6 * 3600
REFRESH_S = 3600


@dataclass(frozen=True)
class Overspill:
    """The operator's policy."""

    name: str = "overspill"
    tuning: Tuning = field(default_factory=Tuning)

    def choose(self, view: View) -> int | None:
        """The operator's answer, as a place of the world."""
        place = choose(self.question(view), self.known(view)).place
        if place is None:
            return None
        return next(i for i, p in enumerate(view.world.places) if p.name == place)

    def question(self, view: View) -> Question:
        """What the operator's function is asked."""
        return Question(
            options=[self._option(view, i) for i in range(len(view.world.places))],
            work=view.left_s / 3600,
            time=view.time_s / 3600,
            until_next=view.world.tick_s / 3600,
            held=None if view.place is None else view.world.places[view.place].name,
            start_left=view.overhead_s / 3600,
            at_risk=view.job.loss_s / 3600,
        )

    def known(self, view: View) -> Knowledge:
        """What the week before this tick taught."""
        world = view.world
        longest = max(view.job.ticks * world.tick_s, 2 * view.job.work_s) - view.job.work_s
        key = (_World(world), view.job.cold_s, view.job.work_s, longest, self.tuning)
        hourly, older = _floor(view, REFRESH_S), _floor(view, LEARN_S)
        return _refreshed(hourly, older, *key) if hourly > older else _learnt(older, *key)

    def _option(self, view: View, index: int) -> Option:
        place, tick_s = view.world.places[index], view.world.tick_s
        age = past(place.up, tick_s).age(view.tick) if not place.is_reliable else 0.0
        return Option(
            name=place.name,
            price=view.price(index),
            entry=0.0 if index == view.place else view.world.egress_usd(view.last, index),
            is_reliable=place.is_reliable,
            is_up=view.up[index],
            age=age,
        )


class _World:
    """A world as part of a cache's key: equal when its name is."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _World) and other.world.name == self.world.name

    def __hash__(self) -> int:
        return hash(self.world.name)


def _floor(view: View, every_s: int) -> int:
    """The last round moment, never after now."""
    return view.tick - view.tick % max(1, every_s // view.world.tick_s)


@lru_cache(maxsize=256)
def _learnt(
    at: int, wrapped: _World, cold_s: int, work_s: int, slack_s: int, tuning: Tuning
) -> Knowledge:
    world = wrapped.world
    reliable = min(p.price[at] for p in world.places if p.is_reliable)
    setting = Setting(world.tick_s / 3600, cold_s / 3600, reliable, work_s / 3600, slack_s / 3600)
    return know(_watched(wrapped, at), setting, tuning)


@lru_cache(maxsize=1024)
def _refreshed(
    at: int, older: int, wrapped: _World, cold_s: int, work_s: int, slack_s: int, tuning: Tuning
) -> Knowledge:
    known = _learnt(older, wrapped, cold_s, work_s, slack_s, tuning)
    return refresh(known, _watched(wrapped, at))


@lru_cache(maxsize=64)
def _watched(wrapped: _World, at: int) -> dict[str, Watched]:
    world = wrapped.world
    low = max(0, at - WEEK_S // world.tick_s)
    found = {}
    for index, place in enumerate(world.places):
        if not place.is_reliable:
            price = sum(place.price[low : at + 1]) / (at + 1 - low)
            found[place.name] = Watched(place.up[low : at + 1], price, _usual_move(world, index))
    return found


def _usual_move(world: World, target: int) -> float:
    """The mean over where a checkpoint may come from."""
    others = [i for i in range(len(world.places)) if i != target]
    return sum(world.egress_usd(i, target) for i in others) / max(1, len(others))
