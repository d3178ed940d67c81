"""Runs the engine's loops while this process leads; wakes them on what the store hears."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from overspill.core.errors import OverspillError
from overspill.engine import budgets, copies, hold
from overspill.engine.attain import show_classes
from overspill.engine.context import Engine
from overspill.engine.drive import work_forever
from overspill.engine.place import place_forever
from overspill.engine.remember import remember_forever, remember_once
from overspill.engine.show import show_accounts
from overspill.engine.stranded import note_count
from overspill.engine.sweep import sweep_forever
from overspill.engine.watch import WATCHED, observe_many, watch_forever

log = logging.getLogger(__name__)

SHOW_PERIOD_S = 15.0
"""Accounts, budgets and classes are looked at so often, and written when something changed."""


def changed(engine: Engine, kind: str, uid: str) -> None:
    """The store's listener: which keys a change concerns. `kind` is a resource's Kind."""
    if kind == "GPULease":
        job_uid = engine.index.note(uid)
        engine.queue.add(("lease", uid))
        if job_uid:
            engine.tell(job_uid)
        if owner := copies.owner_of(engine, job_uid):
            engine.tell(owner)
        engine.want_place()
    elif kind == "GPUJob":
        _job_changed(engine, uid)
    else:
        engine.want_place()


def _job_changed(engine: Engine, uid: str) -> None:
    engine.tell(uid)
    if owner := copies.note(engine, uid):
        engine.tell(owner)
    for lease in engine.index.of(uid):
        engine.queue.add(engine.lease_key(lease))
    engine.want_place()


async def home_changed(engine: Engine, lease_names: set[str]) -> None:
    """Pods of our children changed: the leases they belong to are observed at once."""
    leases = [found for name in lease_names if (found := engine.index.named(name)) is not None]
    await observe_many(engine, [x for x in leases if x.state in WATCHED])
    engine.want_place()


async def run(engine: Engine) -> None:
    """All loops until cancelled; the end of one ends the process, the kubelet restarts it."""
    loops: list[Callable[[], Awaitable[None]]] = [
        lambda: place_forever(engine),
        lambda: watch_forever(engine),
        lambda: sweep_forever(engine),
        lambda: _offers_forever(engine),
        lambda: _show_forever(engine),
        lambda: remember_forever(engine),
        *([lambda: work_forever(engine)] * engine.settings.workers),
    ]
    # First of all: a step for a lease whose account is not known yet would be put off.
    await engine.accounts.follow(list(engine.cluster.view().accounts.values()))
    await remember_once(engine)
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop())  # type: ignore[arg-type]  # all are coroutines
        wake_everything(engine)


def wake_everything(engine: Engine) -> None:
    """After a start or a change of leader: every lease and job is looked at once."""
    view = engine.cluster.view()
    for uid in view.leases:
        changed(engine, "GPULease", uid)
    for uid in view.jobs:
        changed(engine, "GPUJob", uid)


async def _offers_forever(engine: Engine) -> None:
    while True:
        if engine.leader.is_leader and await engine.accounts.refresh_offers():
            engine.want_place()
        await engine.clock.sleep(1)


async def _show_forever(engine: Engine) -> None:
    while True:
        await engine.clock.sleep(SHOW_PERIOD_S)
        if not engine.leader.is_leader:
            continue
        note_count(engine)
        for step in (hold.settle, show_accounts, budgets.settle, show_classes):
            try:
                await step(engine)
            except OverspillError as error:
                log.warning("%s.%s comes next time: %s", step.__module__, step.__name__, error)
