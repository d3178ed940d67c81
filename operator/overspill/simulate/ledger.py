"""The leases a simulation remembers, as the operator's ledger would: what lives are learnt from.

Only the newest of every place are kept, as many as are learnt from. Called by `replay`.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace

from overspill.core.lease import Closing, Lease
from overspill.core.policy_past import MOST_LIVES
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.simulate.attempts import Running, lease_of
from overspill.simulate.history import History


class Ledger:
    """Open leases, and the last closed ones of every place."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._open: dict[str, Lease] = {}
        self._closed: dict[str, deque[Lease]] = defaultdict(lambda: deque(maxlen=MOST_LIVES))

    def opened(self, run: Running) -> None:
        """A job has entered a place."""
        self._open[run.past.name] = lease_of(run, self._history)

    def lease(self, run: Running) -> Lease:
        """Of a job that runs."""
        return self._open[run.past.name]

    def closed(self, run: Running, second: float, *, lost: bool) -> None:
        """A job has left its place."""
        lease = self._open.pop(run.past.name)
        now = self._history.moment(second)
        why = ClosingReason.LOST if lost else ClosingReason.FINISHED
        ended = replace(
            lease, state=LeaseState.CLOSED, closed_at=now, closing=Closing(why, now, gone_seen=2)
        )
        self._closed[lease.provider].append(ended)

    def leases(self) -> Iterable[Lease]:
        """What is open and what is remembered."""
        yield from self._open.values()
        for closed in self._closed.values():
            yield from closed
