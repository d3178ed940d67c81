"""A lease of a class D market whose opening may or may not have happened: a person decides.

`kubectl overspill leases resolve NAME --adopt ID | --absent` leaves the word on the GPULease.
Until then nothing is sent, and the job is not opened anywhere else.
"""

from overspill.core import transition
from overspill.core.lease import ABSENT, ADOPT, Handle, Lease
from overspill.core.vocabulary import ClosingReason
from overspill.engine.context import Engine
from overspill.engine.records import close_lease, record_lease


async def await_resolution(engine: Engine, lease: Lease) -> None:
    """One look at an Uncertain lease; it stays as it is without a person's word."""
    if lease.resolution == ABSENT:
        await close_lease(engine, lease, ClosingReason.REJECTED, "an admin found nothing there")
    elif lease.resolution.startswith(ADOPT):
        handle = Handle(lease.key, lease.resolution.removeprefix(ADOPT))
        adopted = transition.active(lease, handle, None, engine.clock.now())
        await record_lease(engine, adopted)
