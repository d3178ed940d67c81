"""What the past teaches about a set of places: the same answer for the same past, found once.

Lives are learnt every hour, what is cheap and what waiting is worth every six, from what had been
seen by then. The memos below hold nothing that their keys do not determine, so this is as pure as
without them. Called by `placement_policy`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from overspill.core.policy_knowledge import (
    Knowledge,
    Setting,
    Tuning,
    Watched,
    know,
    refresh,
)
from overspill.core.policy_lifetime import Hazards, Run
from overspill.core.policy_past import Gang, Lived, Past, Track

LEARN = timedelta(hours=6)
REFRESH = timedelta(hours=1)

LEAST_SEEN = timedelta(hours=6)
"""With less past than this nothing is predicted, and the plain rules decide."""


TOGETHER, TOGETHER_WEIGHT = 0.05, 3.0
"""Of losses, the part that takes another place too, where nothing was seen; and how many losses
have to be seen for that to count half. Chosen on the tuning split."""


@dataclass(frozen=True, slots=True)
class Studied:
    """One place to learn about."""

    track: Track
    lives: tuple[Lived, ...] = ()
    entry: float = 0.0
    """USD to bring the checkpoint there."""
    keeps: float | None = None
    """Losses per hour expected of what we hold there, whatever others can have; None: held and
    offered go together, as on spot markets."""


class _View:
    """A track up to a step; equal to any other that saw the same until then."""

    __slots__ = ("_hash", "high", "low", "mark", "track")

    def __init__(self, track: Track, low: int, high: int) -> None:
        self.track, self.low, self.high = track, low, high
        count = track.count(high)
        self.mark = (track.place, low, high, track.marks[count - 1] if count else 0)
        self._hash = hash(self.mark)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _View) and self.mark == other.mark)

    def __hash__(self) -> int:
        return self._hash


class _Study(NamedTuple):
    """One place as far as it was seen until a step: everything that learning depends on."""

    view: _View
    lives: tuple[Lived, ...]
    entry: float
    keeps: float | None


class _Lesson(NamedTuple):
    """A set of places to learn about."""

    studies: tuple[_Study, ...]
    gang: Gang
    setting: Setting
    tuning: Tuning

    def watched(self) -> dict[str, Watched]:
        """Every place's past, by its name."""
        return {s.view.track.place.label: self._watched(s) for s in self.studies}

    def _watched(self, study: _Study) -> Watched:
        ups, price = _looks(study.view, self.gang)
        kept = None if study.keeps is None else Hazards((study.keeps,) * 4)
        lives = tuple(self._run(one, study.view.high) for one in study.lives)
        return Watched(ups, price, study.entry, kept, lives)

    def _run(self, lived: Lived, high: int) -> Run:
        ago = max(0, high - lived.until) * self.setting.step
        return Run(lived.hours, lived.was_lost, weight=0.5 ** (ago / self.tuning.half_life))


def seen_enough(past: Past, until: int) -> bool:
    """Whether there is enough past to predict from."""
    return past.since is not None and (until - past.since) * past.step >= LEAST_SEEN


class Learner:
    """What one past teaches, at its last step, about any of its places.

    The same places come up for job after job of a plan; they are known by their ids, and so must
    not be forgotten.
    """

    def __init__(self, past: Past) -> None:
        self._tuning = past.tuning
        self._hourly, self._older = _floor(past, REFRESH), _floor(past, LEARN)
        if not seen_enough(past, self._older):
            self._older = self._hourly
        self._low = max(past.since or 0, self._older - past.kept_steps)
        self._known: dict[tuple[tuple[int, ...], Gang, Setting], Knowledge] = {}
        self._studies: dict[tuple[int, int], _Study] = {}
        self._views: dict[tuple[int, int], _View] = {}
        self._kept: list[Studied] = []

    def knowledge(self, studied: Sequence[Studied], gang: Gang, setting: Setting) -> Knowledge:
        """Everything known about these places."""
        key = (tuple(map(id, studied)), gang, setting)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._learnt(studied, gang, setting)
        return found

    def lost_together(self, one: Studied, other: Studied, gang: Gang) -> float:
        """Of the losses of the place that is lost less often, the part that takes both at once."""
        first, second = (_losses(self._view(s.track, self._hourly), gang) for s in (one, other))
        fewer = min(len(first), len(second))
        both = len(first & second) + TOGETHER * TOGETHER_WEIGHT
        return both / (fewer + TOGETHER_WEIGHT)

    def _learnt(self, studied: Sequence[Studied], gang: Gang, setting: Setting) -> Knowledge:
        older = self._lesson(self._older, studied, gang, setting)
        if self._hourly == self._older:
            return _known(older)
        return _newer(older, self._lesson(self._hourly, studied, gang, setting))

    def _lesson(
        self, high: int, studied: Sequence[Studied], gang: Gang, setting: Setting
    ) -> _Lesson:
        return _Lesson(tuple([self._study(s, high) for s in studied]), gang, setting, self._tuning)

    def _study(self, studied: Studied, high: int) -> _Study:
        key = (id(studied), high)
        if key not in self._studies:
            view = self._view(studied.track, high)
            self._studies[key] = _Study(view, studied.lives, studied.entry, studied.keeps)
            self._kept.append(studied)
        return self._studies[key]

    def _view(self, track: Track, high: int) -> _View:
        key = (id(track), high)
        if key not in self._views:
            self._views[key] = _View(track, self._low, high)
        return self._views[key]


def share(past: Past, track: Track, gang: Gang) -> float:
    """How much of what was seen the gang found room there."""
    high = _floor(past, REFRESH)
    low = max(past.since or 0, high - past.kept_steps)
    ups, _ = _looks(_View(track, low, high), gang)
    return sum(ups) / len(ups) if ups else 0.0


def round_up(hours: float) -> float:
    """The next of 0.75, 1.5, 3, 6… hours: jobs of about one size share one table."""
    return 0.75 * 2.0 ** max(0, math.ceil(math.log2(hours / 0.75) - 1e-9))


def _floor(past: Past, every: timedelta) -> int:
    """The last round moment, never before anything was seen."""
    return max(past.since or 0, past.until - past.until % max(1, every // past.step))


@lru_cache(maxsize=512)
def _looks(view: _View, gang: Gang) -> tuple[tuple[bool, ...], float]:
    return view.track.looks(view.low, view.high, gang)


@lru_cache(maxsize=512)
def _losses(view: _View, gang: Gang) -> frozenset[int]:
    """The looks at which the place was gone."""
    ups, _ = _looks(view, gang)
    return frozenset(i for i in range(1, len(ups)) if ups[i - 1] and not ups[i])


@lru_cache(maxsize=256)
def _known(lesson: _Lesson) -> Knowledge:
    return know(lesson.watched(), lesson.setting, lesson.tuning)


@lru_cache(maxsize=256)
def _newer(older: _Lesson, newer: _Lesson) -> Knowledge:
    return refresh(_known(older), newer.watched())


def rounded(setting: Setting) -> Setting:
    """The same setting in few digits, so that small changes find what is known already."""
    cold, price = _digits(setting.cold), _digits(setting.reliable_price)
    return Setting(setting.step, cold, price, round_up(setting.work), setting.slack)


def _digits(value: float) -> float:
    return float(f"{value:.3g}")
