"""Who is asked next: jobs without a place, so few of them that an answer could change.

`plan()` orders and serves whoever it is handed; with thousands in a queue, most could not be
served whatever it decides. A waiting job is asked when it is new, when its time has come, and when
room appeared: then of every size as many as that room could hold, by urgency and by age. Called by
`replay`.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator

from overspill.simulate.attempts import Running

AT_MARKETS = 16
"""Jobs of one size and class that are asked when a market changed."""

_Size = tuple[int, int, str, str]
_Urgency = tuple[int, float, float, str]


class Waiting:
    """All jobs without a place."""

    def __init__(self, priorities: dict[str, int]) -> None:
        """`priorities` by class name."""
        self._priorities = priorities
        self._by_size: dict[_Size, dict[str, Running]] = defaultdict(dict)
        self._urgency: dict[str, _Urgency] = {}
        self._fresh: dict[str, Running] = {}
        self._wakes: list[tuple[float, str]] = []
        self._wake_of: dict[str, float] = {}

    def __len__(self) -> int:
        return sum(len(found) for found in self._by_size.values())

    def __iter__(self) -> Iterator[Running]:
        for found in self._by_size.values():
            yield from found.values()

    def add(self, run: Running) -> None:
        """The job needs a place, or must be asked afresh."""
        past, job = run.past, run.job
        self._by_size[_size(run)][past.name] = run
        priority = self._priorities.get(job.sla_class, 0)
        by = past.deadline_s if job.finish_by is not None else None
        latest = float("inf") if by is None else by - (past.work_s - run.done_s)
        self._urgency[past.name] = (-priority, latest, past.submit_s, past.name)
        self._fresh[past.name] = run

    def remove(self, run: Running) -> None:
        """It has a place."""
        self._by_size[_size(run)].pop(run.past.name, None)
        self._fresh.pop(run.past.name, None)
        self._wake_of.pop(run.past.name, None)

    def wake(self, run: Running, second: float | None) -> None:
        """When its answer changes by itself; None: not by time alone."""
        self._wake_of.pop(run.past.name, None)
        if second is not None:
            self._wake_of[run.past.name] = second
            heapq.heappush(self._wakes, (second, run.past.name))

    @property
    def has_fresh(self) -> bool:
        """Whether somebody has not been asked yet."""
        return bool(self._fresh)

    @property
    def next_wake(self) -> float | None:
        """The next second at which somebody's time has come."""
        while self._wakes and self._wake_of.get(self._wakes[0][1]) != self._wakes[0][0]:
            heapq.heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def to_ask(self, second: float, room_at_home: int, *, markets_changed: bool) -> list[Running]:
        """Jobs whose answer could change; `room_at_home` 0: no room appeared there."""
        asked, self._fresh = self._fresh, {}
        self._add_due(second, asked)
        for (gpus, _, _, _), found in self._by_size.items():
            if not found:
                continue
            most = room_at_home // gpus + 1 if room_at_home >= gpus else 0
            most = max(most, AT_MARKETS if markets_changed else 0)
            for run in self._first(found.values(), most):
                asked[run.past.name] = run
        return list(asked.values())

    def _add_due(self, second: float, asked: dict[str, Running]) -> None:
        while (due := self.next_wake) is not None and due <= second:
            name = heapq.heappop(self._wakes)[1]
            del self._wake_of[name]
            for found in self._by_size.values():
                if name in found:
                    asked[name] = found[name]

    def _first(self, runs: Iterable[Running], most: int) -> list[Running]:
        if not most:
            return []
        every = list(runs)
        if len(every) <= most:
            return every
        urgent = heapq.nsmallest(most, every, key=lambda r: self._urgency[r.past.name])
        oldest = heapq.nsmallest(most, every, key=lambda r: (r.past.submit_s, r.past.name))
        return urgent + oldest


def _size(run: Running) -> _Size:
    past = run.past
    return (past.gpus, past.nodes, past.model, run.job.sla_class)
