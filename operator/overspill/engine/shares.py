"""The last look before a copy of a service is leased: whether its part of the money is still its.

The lease is recorded, and only then copy 0's record is read, by quorum. Who takes a part back does
it the other way round: the record first, then the list of leases. So either the list shows this
lease, and its money is not given to another copy, or this look sees the new record, and the lease
is given up before anything was sent. No clock and no election is needed for that.
Called by `opening`.
"""

from overspill.core.copies_money import exceeded
from overspill.core.lease import Lease
from overspill.core.vocabulary import ClosingReason, Workload
from overspill.engine.context import Engine
from overspill.engine.wanted import Unwanted, cached_job


async def obstacle(engine: Engine, lease: Lease) -> Unwanted | None:
    """Why a lease yet unsent may not be opened; None: the copy's part covers it, or it is no copy.

    Raises ClusterUnavailable: ask again.
    """
    job = cached_job(engine, lease)
    if job is None or job.workload is not Workload.INFERENCE:
        return None
    owner = await engine.cluster.job(lease.namespace, job.owner_name or job.ref.name)
    if owner is None or owner.ref.uid != (job.owner_uid or job.ref.uid):
        return Unwanted(ClosingReason.JOB_GONE, "its service does not exist any more")
    leases = engine.index.of(job.ref.uid)
    told = exceeded(owner, job, lease, leases, engine.clock.now())
    return Unwanted(ClosingReason.WITHDRAWN, f"{told}; nothing was sent") if told else None
