"""Every ablation of lease-protocol 2.6, and every mistake found since, as a patch of the engine.

A campaign that finds nothing proves nothing until it finds these: `test_seeded_bugs` asserts that
each is caught, `make chaos` prints by which seed and which invariant.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest import mock

from overspill.core.errors import ProviderError
from overspill.core.lease import Handle, Lease
from overspill.core.vocabulary import LeaseState
from overspill.engine import care, closing, opening, place, sweep, wanted, watch
from overspill.engine.accounts import Account
from overspill.engine.context import Engine
from overspill.engine.gate import GatedProvider
from overspill.kube.cluster import KubeCluster
from overspill.kube.resources import item
from overspill.ports import PlanLease

from .history import run_plan
from .plans import (
    Plan,
    adopting,
    deaf,
    doubtful,
    emptied,
    losing,
    provoking,
    skewed,
    sweeping,
    unheard,
)

LONG_AGO = -1e9
_send, _resolve, _end_paid = opening._send, opening._resolve, closing._end_paid
_final_usd = closing._final_usd
_write_status, _watch_account = KubeCluster._write_status, watch._watch_account


@dataclass(frozen=True)
class SeededBug:
    """One mistake; `rule` is what it breaks. `engine` changes one engine, `patches` the code."""

    name: str
    rule: str
    patches: tuple[tuple[Any, str, Any], ...] = ()
    engine: Callable[[Engine], None] | None = None
    plans: Callable[[int], Plan] = provoking
    is_of_cost: bool = False
    """I9 may find it; of others, what is shown wrongly is no proof that money is watched."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The engine with this mistake in it."""
        with ExitStack() as stack:
            for owner, name, wrong in self.patches:
                stack.enter_context(mock.patch.object(owner, name, wrong))
            yield


def caught(bug: SeededBug, seeds: int = 60) -> tuple[int, str] | None:
    """The first seed whose history shows the mistake, and what it violated."""
    with bug.applied():
        for seed in range(seeds):
            found = run_plan(bug.plans(seed), bug.engine)
            proofs = [x for x in found if bug.is_of_cost or not x.startswith("I9")]
            if proofs:
                return seed, proofs[0]
    return None


def _no_intent(engine: Engine) -> None:
    record = engine.cluster.record

    async def sends_first(change: Any) -> Lease | None:
        provider = engine.accounts.provider("market")
        if isinstance(change, PlanLease) and provider is not None:
            await provider.open(await opening.open_request(engine, change.lease, None))
        return await record(change)

    mock.patch.object(engine.cluster, "record", sends_first).start()


async def _old_permit(
    engine: Engine, lease: Lease, provider: GatedProvider, handle: Handle | None
) -> None:
    if lease.permit is None or handle is not None:
        await _send(engine, lease, provider, handle)
        return
    step = await opening._attempt(engine, lease, provider, handle, engine.request_s(lease))
    if step is not None:
        await opening._take(engine, lease, step)


def _forget_wait(engine: Engine, lease: Lease) -> None:
    if lease.permit is not None:
        engine.memory.first_read[(lease.name, lease.permit.seq)] = LONG_AGO


async def _resends_at_once(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    _forget_wait(engine, lease)
    await _resolve(engine, lease, provider)


async def _resends_blindly(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    await _send(engine, lease, provider, None)


async def _releases_at_once(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    _forget_wait(engine, lease)
    await _end_paid(engine, lease, provider)


async def _lists_first(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    listed = [h for h in await provider.leases() if closing._is_same(h, lease)]
    for held in listed:
        await provider.close(held.handle)
    await engine.clock.sleep(engine.wait_s(lease))
    await closing._closed(engine, lease, None)


async def _ends_recorded_id_only(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    if lease.handle is not None and lease.handle.external_id:
        await provider.close(lease.handle)
    await engine.clock.sleep(engine.wait_s(lease))
    await closing._closed(engine, lease, None)


async def _takes_errors_for_the_end(engine: Engine, lease: Lease, provider: GatedProvider) -> None:
    try:
        await _end_paid(engine, lease, provider)
    except ProviderError:
        await closing._closed(engine, lease, None)


async def _sweeps_records_first(engine: Engine, provider: GatedProvider) -> None:
    records = await engine.cluster.all_leases()
    held = await provider.leases()
    found = sweep.classify(held, records, engine.cluster.cluster_id)
    for thing in found.orphans:
        await sweep.end_held(engine, provider, thing, "no record knows its key")


async def _without_lock(self: KubeCluster, where: Any, uid: str, _old: str, document: Any) -> Any:
    found = await self._verbs.get(item(*where))
    self._store.note_write(where[0], found)
    return await _write_status(self, where, uid, found["metadata"]["resourceVersion"], document)


async def _believes_the_cache(engine: Engine, lease: Lease) -> Any:
    return wanted._suspicion(engine, lease, wanted.cached_job(engine, lease))


def _is_old_by_wall_clock(engine: Engine, lease: Lease) -> bool:
    age = (engine.clock.now() - lease.created_at).total_seconds()
    return age > engine.settings.opening_limit_s


async def _always_as_seen(_engine: Engine, _job: Any) -> bool:
    return True


async def _never_behind(_engine: Engine, _job: Any, _leases: Any) -> bool:
    return False


def _never_in_doubt(_lease: Lease, _provider: GatedProvider, _memo: Any) -> bool:
    return False


async def _believes_lists(engine: Engine, account: Account) -> None:
    await _watch_account(engine, account)
    if account.provider is None or account.is_home:
        return
    shown = {held.handle.key for held in await account.provider.leases()}
    for lease in engine.cluster.view().leases.values():
        if lease.state is LeaseState.ACTIVE and lease.key not in shown:
            engine.memory.missing_since[lease.name] = LONG_AGO
            engine.queue.add(engine.lease_key(lease))


def _classify_without_breaker(held: Any, records: Any, cluster_id: str) -> sweep.Unwanted:
    ours = [h for h in held if h.is_live and sweep.is_ours(h.handle.key, cluster_id)]
    known = {lease.key for lease in records}
    orphans = [h for h in ours if h.handle.key not in known]
    return sweep.Unwanted(orphans, (), "", frozenset(sweep.identity(h) for h in orphans))


def _charged_since_found(engine: Engine, lease: Lease, _made: Any) -> None:
    engine.memory.opened_at[lease.name] = engine.clock.monotonic()


def _charged_if_active(_engine: Engine, lease: Lease) -> Lease:
    return lease


def _last_word(engine: Engine, lease: Lease, end: datetime) -> Decimal:
    last = engine.memory.seen.get(lease.name)
    told = last.observation.billed_usd if last else None
    return _final_usd(engine, lease, end) if told is None else told


BUGS = (
    SeededBug("no intent record", "R1", engine=_no_intent),
    SeededBug("no permit before a re-send", "R2", ((opening, "_send", _old_permit),)),
    SeededBug("no quarantine before a re-send", "R5", ((opening, "_resolve", _resends_at_once),)),
    SeededBug("re-send without asking by key", "R5", ((opening, "_resolve", _resends_blindly),)),
    SeededBug("no quarantine before release", "R6", ((closing, "_end_paid", _releases_at_once),)),
    SeededBug("list first, quarantine after", "R6", ((closing, "_end_paid", _lists_first),)),
    SeededBug(
        "release by recorded id only", "R6", ((closing, "_end_paid", _ends_recorded_id_only),)
    ),
    SeededBug(
        "finalizer dropped on a market's error",
        "R6",
        ((closing, "_end_paid", _takes_errors_for_the_end),),
    ),
    SeededBug(
        "sweep lists records first",
        "R7",
        ((sweep, "sweep_once", _sweeps_records_first),),
        plans=sweeping,
    ),
    SeededBug(
        "sweep without breaker",
        "R7",
        ((sweep, "classify", _classify_without_breaker),),
        plans=losing,
    ),
    SeededBug(
        "status written without lock", "R2", ((KubeCluster, "_write_status", _without_lock),)
    ),
    SeededBug(
        "closing on a stale cache",
        "R6",
        ((opening, "unwanted", _believes_the_cache), (care, "unwanted", _believes_the_cache)),
        plans=deaf,
    ),
    SeededBug(
        "what a list does not show is lost",
        "F9",
        ((watch, "_watch_account", _believes_lists),),
        plans=emptied,
    ),
    SeededBug(
        "class D in doubt closed",
        "R5",
        ((opening, "_is_in_doubt", _never_in_doubt),),
        plans=doubtful,
    ),
    SeededBug(
        "attempts counted by the cache alone",
        "R9",
        ((place, "_is_behind", _never_behind),),
        plans=deaf,
    ),
    SeededBug(
        "placed on the cache's word",
        "I7",
        ((place, "_is_as_seen", _always_as_seen),),
        plans=unheard,
    ),
    SeededBug(
        "an open is too old by wall clock",
        "F11",
        ((opening, "_is_too_old", _is_old_by_wall_clock),),
        plans=skewed,
    ),
    SeededBug(
        "adopted, and charged since it was found",
        "I9",
        ((opening, "note_made", _charged_since_found),),
        plans=adopting,
        is_of_cost=True,
    ),
    SeededBug(
        "what never was Active cost nothing",
        "I9",
        ((closing, "as_charged", _charged_if_active),),
        is_of_cost=True,
    ),
    SeededBug(
        "a running bill taken for the final one",
        "I9",
        ((closing, "_final_usd", _last_word),),
        is_of_cost=True,
    ),
)
