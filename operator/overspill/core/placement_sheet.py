"""Many places priced at once for one job: the very floats that `Stand` gives one by one.

What losses add to the work hangs on the place's start and on the work at stake, and most jobs have
those in common: the exponentials are worked out once for all of them. Called by
`placement_ranking`.
"""

from collections.abc import Sequence
from math import exp, expm1
from typing import NamedTuple

from overspill.core.placement_candidate import CLOSING_H, FARTHEST, RESERVE, Stand, Work


class _Row(NamedTuple):
    """One place for jobs that restore as long, and lose as much."""

    usd_per_hour: float
    start: float
    stretch: float
    """Paid hours of one hour of work."""
    egress: float
    least: float


class Sheet:
    """The prices of some stands, in their order."""

    def __init__(self, stands: Sequence[Stand]) -> None:
        self._stands = stands
        self._known: dict[tuple[float, float], Sequence[_Row] | None] = {}

    def about(self, work: Work) -> list[float]:
        """`Stand.about` of each."""
        rows = self._rows(work)
        if rows is None:
            return [stand.about(work) for stand in self._stands]
        hours, moved, spread = work.hours, work.moved_gib, work.at_least
        return [
            (usd * (n if (n := start + hours * stretch) > least else least) + per_gib * moved)
            / spread
            for usd, start, stretch, per_gib, least in rows
        ]

    def needed(self, work: Work) -> list[float]:
        """`Stand.needed` of each, for all the work."""
        rows = self._rows(work)
        if rows is None:
            return [stand.needed(work, None) for stand in self._stands]
        hours, moved, found = work.hours, work.moved_gib, []
        for usd, start, stretch, per_gib, least in rows:
            lasts = start + hours + hours * (stretch - 1)
            paid = (lasts if lasts > least else least) + CLOSING_H
            found.append(usd * paid * RESERVE + per_gib * moved * 1.1)
        return found

    def _rows(self, work: Work) -> Sequence[_Row] | None:
        """None: somewhere the sums take another form."""
        if work.at_stake >= work.hours:
            # Without checkpoints no job is as another.
            return _rows_of(self._stands, work)
        key = (work.restore, work.at_stake)
        if key not in self._known:
            self._known[key] = _rows_of(self._stands, work)
        return self._known[key]


def _rows_of(stands: Sequence[Stand], work: Work) -> Sequence[_Row] | None:
    found = []
    for stand in stands:
        start, stretch = stand.start + work.restore, 1.0
        if stand.hazard:
            x, y = stand.hazard * work.at_stake, stand.hazard * start
            if not 0 < x < FARTHEST > y:
                return None
            stretch = exp(y) * expm1(x) / x
        found.append(_Row(stand.usd_per_hour, start, stretch, stand.egress, stand.least))
    return found
