"""Drives the work-queue: each key is a lease or a job, handled level-triggered from the view.

A conflict, an object that is gone, an API server that does not answer: the step is dropped and
the key comes again. An unexpected error is logged with its trace and retried with backoff; it
never ends the engine, and it never leads to a removal.
"""

import logging

from overspill.core.errors import ClusterUnavailable, Conflict, Gone, ProviderError
from overspill.core.vocabulary import LeaseState
from overspill.engine.care import care_for
from overspill.engine.closing import end_lease, release
from overspill.engine.context import Engine
from overspill.engine.copies import settle_copies
from overspill.engine.opening import open_lease
from overspill.engine.tell import tell_job
from overspill.engine.uncertain import await_resolution
from overspill.engine.workqueue import Key

log = logging.getLogger(__name__)

STALE_S = 0.05
"""After a conflict the newer version is a moment away, and its event wakes the key anyway; while
the ear is deaf the same conflict would come twenty times a second, so each waits longer."""

STEPS = {
    LeaseState.PLANNED: open_lease,
    LeaseState.OPENING: open_lease,
    LeaseState.ACTIVE: care_for,
    LeaseState.CLOSING: end_lease,
    LeaseState.CLOSED: release,
    LeaseState.UNCERTAIN: await_resolution,
}


async def work_forever(engine: Engine) -> None:
    """One worker; several run side by side, never two on one key."""
    while True:
        key = await engine.queue.get()
        try:
            if engine.leader.is_leader:
                await _work(engine, key)
        finally:
            engine.queue.done(key)


async def _work(engine: Engine, key: Key) -> None:
    try:
        await step(engine, key)
    except (Conflict, Gone) as error:
        log.debug("%s: decided on an old version, comes again: %s", key, error)
        engine.queue.add_failed(key, STALE_S)
    except (ClusterUnavailable, ProviderError) as error:
        log.warning("%s: %s", key, error)
        engine.queue.add_failed(key)
    except Exception:
        # A bug in one step must not end the care for all other leases.
        log.exception("%s: unexpected error, the step will be repeated", key)
        engine.queue.add_failed(key)
    else:
        engine.queue.forget(key)


async def step(engine: Engine, key: Key) -> None:
    """One step for one key."""
    kind, uid = key
    if kind == "job":
        await tell_job(engine, uid)
        await settle_copies(engine, uid)
    elif kind == "place":
        engine.want_place()
    else:
        lease = engine.cluster.view().leases.get(uid)
        if lease is not None:
            await STEPS[lease.state](engine, lease)
