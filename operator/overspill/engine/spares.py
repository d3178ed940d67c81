"""How many spare copies placement chose for services, kept between two plans.

A restart goes on from what the status of copy 0 says. Called by `place`, `copies`, `gather` and
`tell`.
"""

from collections.abc import Iterable

from overspill.core.copies import Spares, chosen
from overspill.core.decision import Decision
from overspill.core.job import Job
from overspill.engine.context import Engine


def keep(engine: Engine, decisions: Iterable[Decision]) -> None:
    """Takes in what a plan chose; whoever makes the copies is woken where it is another number."""
    jobs, now = engine.cluster.view().jobs, engine.clock.now()
    for decision in decisions:
        job = jobs.get(decision.job.uid)
        if decision.spares is None or job is None:
            continue
        before = counted(engine, job)
        found = chosen(before, decision.spares, decision.spares_told, now)
        engine.memory.spares[job.ref.uid] = found
        if before is None or before.count != found.count:
            engine.tell(job.ref.uid)


def counted(engine: Engine, job: Job) -> Spares | None:
    """What is counted with now; None: nothing was chosen yet."""
    known = engine.memory.spares.get(job.ref.uid)
    recorded = job.status.get("copies") or {}
    if known is None and "spares" in recorded:
        return Spares(int(recorded["spares"]), str(recorded.get("message", "")))
    return known
