"""What a job sees of its places when neither time nor money is a question anywhere.

Thousands of jobs can afford all places of a field; to them a place is there or away, and nothing
else of it depends on the job. So the places of jobs that move as much are laid out once, and each
job only asks what is free. The answer is that of `placement_options.sights_of`, which asks every
question of every place. Called by `placement_policy`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from overspill.core.filters import Refusal
from overspill.core.placement_candidate import Candidate, Stand
from overspill.core.placement_capacity import Rented
from overspill.core.placement_field import Alike
from overspill.core.placement_options import (
    AWAY,
    Ground,
    Moved,
    Outlook,
    Spot,
    moved_of,
    outlook_of,
    spot_of,
)
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_search import Search


class _Seen(NamedTuple):
    """A place, and which of its offers stands for it."""

    spot: Spot
    stand: Stand


class Scene:
    """All places, each once."""

    def __init__(self, seen: Sequence[_Seen]) -> None:
        self._seen = seen
        self.outlook: Outlook = outlook_of([one.spot for one in seen])

    def stand(self, name: str | None) -> Stand | None:
        """The offer that stands for a place."""
        return next((s.stand for s in self._seen if s.spot.option.name == name), None)


@dataclass(slots=True)
class _Row:
    """An offer or pool that has a past."""

    stand: Stand
    slot: int
    """The same for offers of one place."""
    there: _Seen | None = None
    away: _Seen | None = None


class Views:
    """The views of one plan."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._known: dict[tuple[Alike, Moved], _View] = {}

    def seen(self, search: Search, ranking: Ranking, wish: Candidate) -> Scene | None:
        """Every place that is like the wish, once; None: it has to be looked at one by one."""
        if not search.is_at_ease:
            return None
        alike, moved = ranking.places_alike(wish), moved_of(search)
        view = self._known.get((alike, moved))
        if view is None:
            view = self._known[alike, moved] = _View(alike, moved, self._ground)
        # Of offers of one place the best that fits stands for it: then the order counts.
        order = None if alike.are_apart else ranking.stands_alike(wish)
        return view.seen(search, ranking, order)


class _View:
    """Places alike for jobs that move as much."""

    def __init__(self, alike: Alike, moved: Moved, ground: Ground) -> None:
        self._ground, self._moved = ground, moved
        slots: dict[object, int] = {}
        known = [stand for stand in alike.stands if stand.place in ground.past.tracks]
        self._rows = {id(s): _Row(s, slots.setdefault(s.place, len(slots))) for s in known}
        self._slots = len(slots)
        self._stocks = _stocks(known) if alike.are_apart else None
        self._scenes: dict[tuple[bool, ...], Scene] = {}
        """By what is free, where nothing else is asked."""

    def seen(self, search: Search, ranking: Ranking, order: Iterable[Stand] | None) -> Scene:
        """One for every place."""
        if self._stocks is None:
            return Scene(self._looked(search, ranking, order))
        key = tuple([rented.free >= takes for rented, takes in self._stocks])
        if key not in self._scenes:
            self._scenes[key] = Scene(self._looked(search, ranking, order))
        return self._scenes[key]

    def _looked(
        self, search: Search, ranking: Ranking, order: Iterable[Stand] | None
    ) -> list[_Seen]:
        rows: Iterable[_Row] = self._rows.values()
        if order is not None:
            rows = [row for stand in order if (row := self._rows.get(id(stand)))]
        found: list[_Seen | None] = [None] * self._slots
        for row in rows:
            known = found[row.slot]
            if known is not None and known.spot.option.is_up:
                continue
            rented = row.stand.rented
            if rented is not None and not row.stand.is_limited:
                is_up: bool | None = rented.free >= row.stand.takes
            else:
                is_up = _is_free(search, ranking.candidate_at(row.stand))
            if is_up or (known is None and is_up is not None):
                found[row.slot] = (row.there if is_up else row.away) or self._look(
                    row, ranking, is_up=is_up
                )
        return [seen for seen in found if seen is not None]

    def _look(self, row: _Row, ranking: Ranking, *, is_up: bool) -> _Seen:
        candidate = ranking.candidate_at(row.stand)
        seen = _Seen(spot_of(candidate, self._ground, self._moved, is_up=is_up), row.stand)
        if is_up:
            row.there = seen
        else:
            row.away = seen
        return seen


def _stocks(stands: Sequence[Stand]) -> Sequence[tuple[Rented, float]] | None:
    """What tells whether they can be had; None: of some it takes more to know."""
    found = [(s.rented, s.takes) for s in stands if s.rented is not None and not s.is_limited]
    return found if len(found) == len(stands) else None


def _is_free(search: Search, candidate: Candidate) -> bool | None:
    """Where there is more to ask; None: it is no option at all."""
    found = search.attempt(candidate)
    if isinstance(found, Refusal):
        return False if found.reason in AWAY else None
    return True
