"""Remembers what was refused for good, so that it is told or passed over, and not tried again.

Used where a record is planned (`place`) and where a lease is opened (`opening`).
"""

from overspill.core.errors import OverspillError, WorkloadRejected
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.portability import Portability
from overspill.engine.context import Engine


def note_refusal(engine: Engine, job: Job | None, lease: Lease, error: OverspillError) -> None:
    """The offer is left out for a while; what no offer would take is told to the user instead.

    `job` None: it is gone, and nobody is left to be told.
    """
    until = engine.clock.monotonic() + engine.settings.refused_offer_s
    engine.memory.excluded[(lease.job.uid, lease.provider, lease.offer.offer_id)] = until
    if isinstance(error, WorkloadRejected) and job is not None:
        told = f"the pod template is refused: {error}"
        engine.memory.portability[(job.ref.uid, job.generation)] = Portability(None, (told,), told)
