"""Places jobs in batches: snapshot → plan (pure, in a thread) → leases recorded, jobs told.

Woken by every relevant change after a short idle window, and at least every `place_period_s`.
A decision to place becomes a GPULease (R1) and nothing else; `engine/drive` does the rest.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from overspill.core.decision import Action, Decision
from overspill.core.errors import Conflict, Gone, OfferRejected, OverspillError
from overspill.core.job import Job
from overspill.core.lease import Lease, lease_name
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import ClosingReason, ProviderType
from overspill.engine import budgets, preempt, spares
from overspill.engine.context import Engine
from overspill.engine.freeze import frozen_lease
from overspill.engine.gather import snapshot
from overspill.engine.refusals import note_refusal
from overspill.engine.requests import SecretProblem, digest, resolve
from overspill.ports import Event, PlanLease
from overspill.telemetry import DECISIONS, PLAN_SECONDS

log = logging.getLogger(__name__)

PARALLEL = 16
REST = 2.0
MAX_REST_S = 1.0
"""After a batch the loop rests twice as long as it took: planning thousands of jobs over and over
would leave nothing for the leases that were decided."""
IDLE_REST = 25.0
MAX_PERIOD_S = 30.0
"""Without news the next batch comes after so many times what the last one took, but in time for
what only the clock changes (a finish-by, the end of a patience)."""
APPLY_S = 2.0
HOLD_OFF_S = 5.0


async def place_forever(engine: Engine) -> None:
    """The placement loop; an error of one batch never ends it."""
    took = 0.0
    while True:
        await _woken(engine, took)
        try:
            began = engine.clock.monotonic()
            await place_once(engine)
            took = engine.clock.monotonic() - began
            await engine.clock.sleep(min(MAX_REST_S, took * REST))
        except OverspillError as error:
            log.warning("a placement batch was dropped and will be repeated: %s", error)
            await _pause(engine)
        except Exception:
            # A bug that one job sets off must not end the care for all leases.
            log.exception("a placement batch failed and will be repeated")
            await _pause(engine)


async def _pause(engine: Engine) -> None:
    await engine.clock.sleep(1)
    engine.want_place()


async def _woken(engine: Engine, took_s: float) -> None:
    """Waits for a change, then for quiet, but never longer than the cap."""
    try:
        async with asyncio.timeout(_period_s(engine, took_s)):
            await engine.place_wanted.wait()
    except TimeoutError:
        return
    started = engine.clock.monotonic()
    while engine.clock.monotonic() - started < engine.settings.place_cap_s:
        engine.place_wanted.clear()
        await engine.clock.sleep(engine.settings.place_idle_s)
        if not engine.place_wanted.is_set():
            return


def _period_s(engine: Engine, took_s: float) -> float:
    return max(engine.settings.place_period_s, min(MAX_PERIOD_S, took_s * IDLE_REST))


async def place_once(engine: Engine) -> None:
    """One batch."""
    if not engine.leader.is_leader or not engine.cluster.view().synced:
        return
    await engine.accounts.follow(list(engine.cluster.view().accounts.values()))
    seen, now = await snapshot(engine), engine.clock.now()
    with PLAN_SECONDS.time():
        decisions = await engine.off_loop(plan, seen, now)
    preempt.mark(engine, decisions)
    spares.keep(engine, decisions)
    news = [decision for decision in decisions if _is_news(engine, decision)]
    engine.memory.shelf.keep(now, seen, news)
    await _apply_all(engine, news)


async def _apply_all(engine: Engine, news: Sequence[Decision]) -> None:
    """In the plan's order, some at a time, for `APPLY_S`.

    What is left is decided anew, together with what came meanwhile: behind thousands of children
    at home nobody who has to rent should wait until the last of them is recorded.
    """
    left, ends = iter(news), engine.clock.monotonic() + APPLY_S

    async def work() -> None:
        for decision in left:
            await _apply(engine, decision)
            if engine.clock.monotonic() > ends:
                engine.want_place()
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(PARALLEL, len(news))):
            group.create_task(work())


def _is_news(engine: Engine, decision: Decision) -> bool:
    """Steady answers are not applied again: most of a batch says what the last one said."""
    if decision.job.uid in engine.memory.held_off:
        return False
    before = engine.memory.decisions.get(decision.job.uid)
    if decision.action in (Action.PLACE, Action.MOVE):
        return True
    if decision.action is Action.STAY:
        # What led to the place is what people want to read, unless it was asked to leave.
        return before.reason == Reason.MAKES_ROOM if before else not _is_told(engine, decision)
    return before is None or _gist(before) != _gist(decision)


def _is_told(engine: Engine, decision: Decision) -> bool:
    """Whether the status says what led to the place: before a restart, or by another leader.

    To overwrite it would be a write for every job that runs, at every start, and two leaders who
    know different halves of the story would correct each other three times a second.
    """
    uid, explained = decision.job.uid, engine.memory.explained
    job = None if uid in explained else engine.cluster.view().jobs.get(uid)
    told = (job.status.get("decision") or {}) if job else {}
    if told.get("action") in (Action.PLACE, Action.MOVE):
        explained.add(uid)
    return uid in explained


def _gist(decision: Decision) -> tuple[Action, str, int | None]:
    """An answer to an edited job is news even when it is the old one: its status waits for it."""
    return decision.action, decision.reason, decision.generation


async def _apply(engine: Engine, decision: Decision) -> None:
    job = engine.cluster.view().jobs.get(decision.job.uid)
    if job is None:
        return
    DECISIONS.labels(decision.action.value, str(decision.reason)).inc()
    try:
        if decision.action in (Action.PLACE, Action.MOVE):
            await _plan_lease(engine, job, decision)
        else:
            await _remember(engine, job, decision)
    except (Conflict, Gone):
        engine.want_place()
    except SecretProblem:
        engine.memory.secrets.pop(job.ref.uid, None)  # changed since it was learnt: learn anew
        _hold_off(engine, job)
    except OverspillError as error:
        log.warning("%s could not be placed now: %s", job.ref.name, error)
        _hold_off(engine, job)
    except Exception:
        # As in engine/drive: one job's bug is that job's alone.
        log.exception("%s could not be placed", job.ref.name)
        _hold_off(engine, job)


def _hold_off(engine: Engine, job: Job) -> None:
    """What went wrong for one job is tried again a little later, not in every batch."""
    engine.memory.held_off[job.ref.uid] = engine.clock.monotonic() + HOLD_OFF_S


async def _remember(engine: Engine, job: Job, decision: Decision) -> None:
    engine.memory.decisions[job.ref.uid] = decision
    refused = decision.action is Action.REFUSE
    if refused or decision.reason == Reason.MAKES_ROOM:
        await engine.cluster.record(Event(job, str(decision.reason), decision.message, refused))
    engine.tell(job.ref.uid)
    if job.owner_uid:
        engine.tell(job.owner_uid)


async def _plan_lease(engine: Engine, job: Job, decision: Decision) -> None:
    """R9, then the budget's reservation, then R1."""
    leases = engine.index.of(job.ref.uid)
    wanted = [x for x in leases if x.state in WANTED_STATES]
    if len(wanted) > (1 if decision.action is Action.MOVE else 0):
        return
    attempt = max([job.last_attempt, *(x.attempt for x in leases)]) + 1
    account = engine.accounts.by_name[decision.offer.provider if decision.offer else ""]
    is_home = account.spec.type is ProviderType.IN_CLUSTER
    if not (is_home and attempt == 1) and not await _is_as_seen(engine, job):
        engine.want_place()
        return
    if await _is_behind(engine, job, leases):
        engine.want_place()
        return
    lease = await _with_digest(engine, frozen_lease(engine, job, decision, attempt, home=is_home))
    if not await budgets.reserve(engine, lease):
        engine.want_place()
        return
    engine.memory.decisions[job.ref.uid] = decision
    try:
        written = await engine.cluster.record(PlanLease(lease))
    except OfferRejected as refused:
        log.warning("%s cannot be recorded: %s", lease.name, refused)
        note_refusal(engine, job, lease, refused)
        engine.want_place()
        return
    if written is not None:
        engine.index.note(written.uid)
        engine.queue.add(engine.lease_key(written))
    await _announce(engine, job, decision, attempt)


async def _is_as_seen(engine: Engine, job: Job) -> bool:
    """Whether the server still has the job as our view has it, which learns from the answer.

    Money is not spent on a cache's word: an ear that missed a deletion would place the job again
    as often as somebody else closes its lease. A first attempt at home costs nobody anything.
    """
    found = await engine.cluster.job(job.ref.namespace, job.ref.name)
    return found is not None and (found.ref.uid, found.generation) == (job.ref.uid, job.generation)


async def _is_behind(engine: Engine, job: Job, leases: list[Lease]) -> bool:
    """Whether the job knows of an attempt whose lease our view has not seen yet.

    Jobs and leases are heard through different ears, so another leader's lease may be heard of
    later than the status that tells of it: R9 is judged by a quorum read then, which the view
    learns from.
    """
    if job.last_attempt <= max((x.attempt for x in leases), default=0):
        return False
    name = lease_name(engine.cluster.cluster_id, job.ref.uid, job.last_attempt)
    lease = await engine.cluster.lease(job.ref.namespace, name)
    if lease is None:
        return _is_unswept(engine, job)
    engine.memory.vanished.pop(name, None)
    return lease.state in WANTED_STATES


def _is_unswept(engine: Engine, job: Job) -> bool:
    """Whether nobody has looked yet for what the job's last attempt may have left behind.

    We never delete the records of a living job: somebody has, or the CRD is gone. The sweep then
    ends what was held, or its breaker holds because very many are gone; to rent everything anew
    in the meantime would double the bill.
    """
    last = max(job.attempts, key=lambda attempt: attempt.number)
    if last.provider not in engine.accounts.by_name:
        return False
    since = engine.memory.vanished.setdefault(last.lease, engine.clock.monotonic())
    if engine.memory.swept_at.get(last.provider, since) > since:
        engine.memory.vanished.pop(last.lease)
        return False
    log.warning("%s: the record of %s is gone; waits for a sweep", job.ref.name, last.lease)
    _hold_off(engine, job)
    return True


async def _with_digest(engine: Engine, lease: Lease) -> Lease:
    """A rented lease with the digest of the Secrets it will be sent with; refuses early."""
    workload = lease.request.workload
    if workload is None or not workload.secret_env:
        return lease
    values = await resolve(engine, lease.namespace, workload, lease.offer.trust_tier)
    request = replace(lease.request, secret_digest=digest(engine, values))
    return replace(lease, request=request)


async def _announce(engine: Engine, job: Job, decision: Decision, attempt: int) -> None:
    """Events are for news a person wants: leaving home, moving, failing over."""
    offer = decision.offer
    if offer is None:
        return
    lost = any(
        x.closing and x.closing.reason is ClosingReason.LOST for x in engine.index.of(job.ref.uid)
    )
    word = Reason.BURST_TO_PROVIDER_SELECTED
    if decision.action is Action.MOVE:
        word = Reason(decision.reason)
    elif attempt > 1 and lost:
        word = Reason.FAILOVER
    elif engine.accounts.by_name[offer.provider].is_home:
        return
    price = decision.price_usd_per_hour or offer.price_usd_per_hour
    text = f"attempt {attempt}: {offer.place}, {offer.gpu_model}, {price:.2f} USD/h"
    await engine.cluster.record(Event(job, word.value, f"{text}. {decision.message}"[:1000]))
