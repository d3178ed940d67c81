"""The two ways a lease's record is changed by the engine; both write and let the rest follow."""

from overspill.core import transition
from overspill.core.lease import Lease
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.engine.context import Engine
from overspill.ports import LeaseStatus
from overspill.telemetry import LEASE_TRANSITIONS


async def record_lease(engine: Engine, lease: Lease) -> Lease:
    """Commits a lease's new status on the version it was decided on.

    Raises Conflict, Gone, ClusterUnavailable: the caller drops everything and requeues.
    """
    written = await engine.cluster.record(LeaseStatus(lease))
    LEASE_TRANSITIONS.labels(lease.state.value).inc()
    engine.queue.add(engine.lease_key(lease))
    engine.tell(lease.job.uid)
    return written or lease


async def close_lease(
    engine: Engine, lease: Lease, reason: ClosingReason, message: str = ""
) -> Lease:
    """Commits Closing: absorbing, so from here on the lease can only end."""
    now = engine.clock.now()
    if reason is ClosingReason.LOST and lease.is_home:
        lease = transition.charging_stopped(lease, now)
    if lease.state is not LeaseState.CLOSING:
        lease = transition.closing(lease, reason, now, message)
    written = await record_lease(engine, lease)
    engine.reports.fence(lease.name)
    engine.want_place()
    return written
