"""A lease of a class D market whose opening may or may not have happened: a person decides.

`kubectl overspill leases resolve NAME --adopt ID | --absent` leaves the word on the GPULease.
Until then nothing is sent, and the job is not opened anywhere else.
"""

import logging

from overspill.core import transition
from overspill.core.errors import LeaseNotFound
from overspill.core.lease import ABSENT, ADOPT, Handle, Lease
from overspill.core.vocabulary import ClosingReason
from overspill.engine.context import Engine
from overspill.engine.records import close_lease, record_lease

log = logging.getLogger(__name__)


async def await_resolution(engine: Engine, lease: Lease) -> None:
    """One look at an Uncertain lease; it stays as it is without a person's word."""
    if lease.resolution == ABSENT:
        await close_lease(engine, lease, ClosingReason.REJECTED, "an admin found nothing there")
    elif lease.resolution.startswith(ADOPT):
        await _adopt(engine, lease, lease.resolution.removeprefix(ADOPT))


async def _adopt(engine: Engine, lease: Lease, external_id: str) -> None:
    """A mistyped id is not adopted. What is has been charged since it may have been opened."""
    provider = engine.accounts.provider(lease.provider)
    if provider is None:
        engine.queue.add_after(engine.lease_key(lease), 5)
        return
    handle = Handle(lease.key, external_id)
    try:
        seen = await provider.observe(handle)
    except LeaseNotFound:
        log.warning("%s: the market does not know %r; look again", lease.name, external_id)
        return
    engine.memory.note(lease.name, seen, engine.clock.monotonic())
    since = lease.permit.issued_at if lease.permit else engine.clock.now()
    adopted = transition.active(lease, handle, seen.price_usd_per_hour, since)
    await record_lease(engine, adopted)
