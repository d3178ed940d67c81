"""Which leases at home are to be left, because somebody with more of a promise needs the room.

The newest plan says so, for all at once; what it no longer says is forgotten, and the job runs on.
Nothing is closed here: `wanted` reads the marks, `care` drains and closes (`Preempted`). A restart
forgets them, and the next plan makes them anew. Called by `place`.
"""

from collections.abc import Iterable

from overspill.core.decision import Decision
from overspill.core.reasons import Reason
from overspill.engine.context import Engine


def mark(engine: Engine, decisions: Iterable[Decision]) -> None:
    """Marks what this plan wants to be left, wakes what is new, and unmarks the rest."""
    leaving = {d.from_lease: d for d in decisions if d.reason == Reason.MAKES_ROOM}
    before = engine.memory.leaving
    engine.memory.leaving = {name: decision.message for name, decision in leaving.items()}
    for name in before.keys() - leaving.keys():
        # Asked to save for nothing: if it has to leave later, it is asked again.
        engine.memory.drains.pop(name, None)
    for name in leaving.keys() - before.keys():
        for lease in engine.index.of(leaving[name].job.uid):
            if lease.name == name:
                engine.queue.add(engine.lease_key(lease))
