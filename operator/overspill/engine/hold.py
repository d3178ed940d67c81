"""Keeps a GPUProvider while leases are open that only its account can close: a finalizer of ours.

`obstacle` puts it on before anything is sent for a lease, `settle` mends it and takes it off; so
whoever deletes a GPUProvider waits until its last lease is proven gone. Called by `opening`, `run`.
"""

from collections.abc import Iterable

from overspill.core.errors import Conflict
from overspill.core.lease import Lease
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.engine.context import Engine
from overspill.engine.wanted import Unwanted
from overspill.ports import HoldProvider, ReleaseProvider


async def obstacle(engine: Engine, lease: Lease) -> Unwanted | None:
    """Why nothing may be sent for a lease yet unsent; None: its account stays until it is closed.

    Raises Conflict, ClusterUnavailable: ask again.
    """
    account = engine.cluster.view().accounts.get(lease.provider)
    if account is None:
        return _withdrawn(f"GPUProvider {lease.provider} does not exist any more")
    if account.deletion_requested:
        return _withdrawn(f"GPUProvider {lease.provider} is being deleted")
    if not account.is_held:
        await engine.cluster.record(HoldProvider(account))
    return None


async def settle(engine: Engine) -> None:
    """One pass: every account with open leases is kept, every other one is let go.

    Level-triggered, so whatever was missed or stripped is mended. That nothing is open is read
    from the server, and not believed while the sweep doubts the records.
    """
    view = engine.cluster.view()
    if not view.synced:
        return
    used = _in_use(view.leases.values())
    for account in view.accounts.values():
        if account.name in used and not account.is_held and not account.deletion_requested:
            await engine.cluster.record(HoldProvider(account))
    idle = [a for a in view.accounts.values() if a.is_held and a.name not in used]
    sure = [a for a in idle if not _is_doubted(engine, a)]
    if not sure:
        return
    used = _in_use(await engine.cluster.all_leases())
    for account in sure:
        if account.name not in used:
            await _let_go(engine, account)


def _in_use(leases: Iterable[Lease]) -> set[str]:
    return {lease.provider for lease in leases if lease.state is not LeaseState.CLOSED}


def _is_doubted(engine: Engine, account: ProviderAccount) -> bool:
    known = engine.accounts.by_name.get(account.name)
    return known is not None and bool(known.circuit.doubt)


async def _let_go(engine: Engine, account: ProviderAccount) -> None:
    try:
        await engine.cluster.record(ReleaseProvider(account))
    except Conflict:
        return  # its status was written meanwhile: the next pass


def _withdrawn(why: str) -> Unwanted:
    return Unwanted(ClosingReason.WITHDRAWN, f"{why}; nothing was sent")
