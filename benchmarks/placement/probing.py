"""Ours where no market tells what is free: it hopes, tries to start, and plans again without it.

As the operator does with a market that refuses what it offered: the plan is made as if every place
that was not tried at this tick had room; the place it names is tried, which costs a minute where it
is up; what refused is left out of the next plan. Nothing else is known but what is held, and of the
days before the job what a look every two hours would have shown, as the operator's other jobs do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from benchmarks.placement.ours import ONE, Overspill, now_of, place_in, tracks_of
from benchmarks.placement.simulate import PROBE_H, View
from overspill.core.placement import plan
from overspill.core.policy_past import Past, Place, Seen, Track

OLDEST = -1
"""Nothing is forgotten: a job is short."""
BEFORE_S = 7 * 24 * 3600
SHARE = 0.002
"""Of what the job costs now: so much is spent at most on looks that may come to nothing. What is
up is worth the more, the longer it has been so."""
EVERY_S = 2 * 3600
"""Between two looks before the job came, as the authors of SkyNomad have it. Not charged to it."""


@dataclass
class Probing:
    """One job's policy and prober."""

    name: str = "overspill probed"
    ours: Overspill = field(default_factory=Overspill)
    _tracks: dict[int, Track] = field(default_factory=dict)
    _told: dict[int, int] = field(default_factory=dict)
    """By place: how many of its looks are in its track."""
    _choice: int | None = None

    def prober(self, view: View) -> Iterator[int]:
        """Looks where it is time, then plans until the plan names what is known to be there."""
        yield from _due(view)
        while True:
            self._learn(view)
            hoped = replace(view, up=[up or not _is_looked(view, i) for i, up in _up(view)])
            (decision,) = plan(self.ours.snapshot(hoped, self._past(hoped)), now_of(view))
            self._choice = place_in(view, decision)
            if self._choice is None or _is_looked(view, self._choice):
                return
            yield self._choice

    def choose(self, view: View) -> int | None:
        """What the last plan said, which was made of what is known and what was hoped."""
        return self._choice

    def _learn(self, view: View) -> None:
        seen = view.seen or []
        for i, looks in enumerate(seen):
            for tick, is_up in looks[self._told.get(i, 0) :]:
                self._tracks[i] = _with(self._track(view, i), view, i, tick, is_up=is_up)
            self._told[i] = len(looks)

    def _track(self, view: View, index: int) -> Track:
        if index not in self._tracks:
            place = view.world.places[index]
            track = Track(tracks_of(view.world)[index].place, (), ())
            for tick in _before(view):
                track = _with(track, view, index, tick, is_up=place.up[tick])
            self._tracks[index] = track
        return self._tracks[index]

    def _past(self, hoped: View) -> Past:
        """What was seen, and from now on what is hoped."""
        tracks: dict[Place, Track] = {}
        for i, is_up in _up(hoped):
            track = _with(self._track(hoped, i), hoped, i, hoped.tick, is_up=is_up)
            tracks[track.place] = track
        step = timedelta(seconds=hoped.world.tick_s)
        return Past(step, _before(hoped).start, hoped.tick, tracks, {}, self.ours.tuning)


def _due(view: View) -> Iterator[int]:
    """Cheaper places that were not looked at for long enough."""
    places = view.world.places
    at = view.world.cheapest_reliable(view.tick, None, 1.0) if view.place is None else view.place
    paid = view.price(at)
    cheaper = [i for i, p in enumerate(places) if not p.is_reliable and view.price(i) < paid]
    for i in cheaper:
        looks = (view.seen or [])[i]
        last = looks[-1][0] if looks else view.job.start - 1
        hours = (view.tick - last) * view.world.tick_s / 3600
        if hours * SHARE * paid >= len(cheaper) * view.price(i) * PROBE_H:
            yield i


def _before(view: View) -> range:
    """The ticks at which somebody looked before the job came."""
    first = max(0, view.job.start - BEFORE_S // view.world.tick_s)
    return range(first, view.job.start, EVERY_S // view.world.tick_s)


def _up(view: View) -> Iterator[tuple[int, bool]]:
    return iter(enumerate(view.up))


def _is_looked(view: View, index: int) -> bool:
    looks = (view.seen or [])[index]
    return bool(looks) and looks[-1][0] == view.tick


def _with(track: Track, view: View, index: int, tick: int, *, is_up: bool) -> Track:
    """One more look, where it shows something else than the last."""
    usd = Decimal(str(view.world.places[index].price[tick]))
    room = ONE if is_up else ()
    last = track.changes[-1] if track.changes else None
    if last is not None and (last.room, last.usd) == (room, usd):
        return track
    return track.then(Seen(tick, room, usd), OLDEST)
