"""A bounded shelf of decisions with what they were made from, so that they can be made again.

Kept by reference, so a batch costs nothing but the values that changed since; written out only when
somebody asks. A restart forgets it: it explains, nothing depends on it. Called by `engine/place`.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from overspill.core.decision import Decision
from overspill.core.placement_record import Record, document
from overspill.core.snapshot import Snapshot
from overspill.core.statusparts import decision_document

BATCHES = 16
MOST_VALUES = 12_000
"""Jobs, leases and offers of all kept batches together; one batch is always kept.

Two kilobytes each where every batch saw another version of every job, as in a storm."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One plan with news in it."""

    now: datetime
    snapshot: Snapshot
    decisions: Mapping[str, Decision]
    """By job uid: those that were news."""

    @property
    def size(self) -> int:
        """Values it keeps."""
        seen = self.snapshot
        return len(seen.jobs) + len(seen.leases) + len(seen.offers)


@dataclass(slots=True)
class Shelf:
    """The latest batches, oldest first."""

    batches: deque[Batch] = field(default_factory=lambda: deque(maxlen=BATCHES))

    def keep(self, now: datetime, snapshot: Snapshot, news: Iterable[Decision]) -> None:
        """Keeps a batch if anything in it was news."""
        decisions = {decision.job.uid: decision for decision in news}
        if not decisions:
            return
        self.batches.append(Batch(now, snapshot, decisions))
        while len(self.batches) > 1 and sum(b.size for b in self.batches) > MOST_VALUES:
            self.batches.popleft()

    def find(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A job's latest decision as JSON values; None: it is not here, or not any more.

        Asked from another thread than the one that keeps.
        """
        for batch in reversed(tuple(self.batches)):
            for uid, decision in batch.decisions.items():
                if (decision.job.namespace, decision.job.name) == (namespace, name):
                    record = document(Record(uid, batch.now, batch.snapshot))
                    return {**record, "decision": decision_document(decision)}
        return None
