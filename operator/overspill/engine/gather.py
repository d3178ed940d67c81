"""Gathers the snapshot that placement decides on: view, offers, and facts about each job."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median_low

from overspill.core.availability import WINDOW
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.offer import NOTHING_BESIDE, Offer
from overspill.core.outcome import outcome
from overspill.core.periods import renewed
from overspill.core.policy_looks import look
from overspill.core.policy_past import Past
from overspill.core.portability import Portability, portable
from overspill.core.promise import uptime_of
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import Burst, LeaseState
from overspill.engine import copies, secretfacts, spares
from overspill.engine.context import Engine
from overspill.ports import View

_HOUR = timedelta(hours=1)
NONE: frozenset[tuple[str, str]] = frozenset()


async def snapshot(engine: Engine) -> Snapshot:
    """One consistent picture; values only, so that planning may run in a thread."""
    _prune(engine)
    offers = [*await engine.accounts.home_offers(), *engine.accounts.market_offers()]
    view = engine.cluster.view()
    leases = {uid: engine.index.of(uid) for uid in view.jobs}
    undecided = (job for uid, job in view.jobs.items() if _is_open(job, leases[uid]))
    jobs = tuple(job for job in undecided if copies.is_funded(engine, job))
    wanted = {job.ref.uid for job in jobs}
    await _learn_secrets(engine, jobs)
    excluded = _excluded(engine)
    return Snapshot(
        jobs=jobs,
        leases=tuple(x for x in view.leases.values() if _matters(x, wanted)),
        offers=tuple(offers),
        accounts={name: a.spec for name, a in engine.accounts.by_name.items()},
        classes=dict(view.classes),
        budgets=tuple(renewed(b, engine.clock.now()) for b in view.budgets),
        health=engine.accounts.health(),
        facts={
            job.ref.uid: _facts(engine, job, leases[job.ref.uid], excluded.get(job.ref.uid, NONE))
            for job in jobs
        },
        reference_usd_per_gpu_hour=reference(engine, view),
        stop_failover=_stop(engine),
        report_url_missing=_without_reports(engine),
        rtt_ms=_round_trips(engine, view),
        past=_past(engine, offers, view),
    )


def _past(engine: Engine, offers: Sequence[Offer], view: View) -> Past:
    """The past with this look in it. The leader looks, and goes on from what was kept."""
    home = frozenset(name for name, a in engine.accounts.by_name.items() if a.is_home)
    memory = engine.memory
    memory.past = look(memory.past, offers, view.leases.values(), home, engine.clock.now())
    return memory.past


def _round_trips(engine: Engine, view: View) -> Mapping[tuple[str, str], float]:
    """What runs now tells; of where nothing runs any more what was measured last is kept."""
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for lease in view.leases.values():
        report = engine.reports.latest(lease.name)
        if report is not None and report.rtt_ms is not None and not lease.is_home:
            found[lease.provider, lease.offer.region].append(report.rtt_ms)
    engine.memory.rtt_ms |= {where: median_low(trips) for where, trips in found.items()}
    return dict(engine.memory.rtt_ms)


def _is_open(job: Job, leases: Sequence[Lease]) -> bool:
    """Still to be decided. The ledger may know the end before the job's status says so."""
    if job.is_finished or job.deletion_requested:
        return False
    return outcome(job, leases) is None


def _excluded(engine: Engine) -> Mapping[str, frozenset[tuple[str, str]]]:
    """(provider, offer) refused or withdrawn lately, by job."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for uid, provider, offer in engine.memory.excluded:
        found[uid].add((provider, offer))
    return {uid: frozenset(offers) for uid, offers in found.items()}


def _matters(lease: Lease, jobs: set[str]) -> bool:
    """Open leases always (limits of accounts); closed ones only for jobs still to be decided."""
    return lease.state is not LeaseState.CLOSED or lease.job.uid in jobs


def reference(engine: Engine, view: View) -> Mapping[str, Decimal]:
    """Reference prices: from settings, overridden by the home provider's."""
    found = dict(engine.settings.reference_usd)
    for account in view.accounts.values():
        found |= dict(account.reference_rates_usd)
    return found


def _stop(engine: Engine) -> str:
    if engine.home.is_stale():
        return "the view of this cluster's nodes is too old to judge them"
    return ""


def _without_reports(engine: Engine) -> frozenset[str]:
    """Accounts whose market restarts what exits, while no report URL is configured."""
    if engine.settings.report_url:
        return frozenset()
    return frozenset(
        name
        for name, account in engine.accounts.by_name.items()
        if account.provider and account.provider.capabilities.restarts_exited
    )


async def _learn_secrets(engine: Engine, jobs: tuple[Job, ...]) -> None:
    """Only for jobs that wait, and only for those whose workload names Secrets."""
    for job in jobs:
        workload = _portability(engine, job).workload
        if workload is None or not workload.secret_env or job.burst is Burst.NEVER:
            continue
        if not any(x.state in WANTED_STATES for x in engine.index.of(job.ref.uid)):
            await secretfacts.learn(engine, job, workload.secret_env)


def _facts(
    engine: Engine, job: Job, leases: Sequence[Lease], excluded: frozenset[tuple[str, str]]
) -> JobFacts:
    uid = job.ref.uid
    running = next((x.name for x in leases if x.state is LeaseState.ACTIVE), "")
    report = engine.reports.latest(running) if running else None
    secrets = engine.memory.secrets.get(uid)
    travel = _portability(engine, job)
    served_h, missed_h = _served(job, engine.clock.now())
    chosen = spares.counted(engine, job)
    return JobFacts(
        not_portable=travel.obstacles,
        not_portable_reason=travel.reason.value if travel.reason else "",
        template_invalid=travel.invalid,
        missing=secrets.problem[1] if secrets and secrets.problem else "",
        excluded_offers=excluded,
        running_lease=running,
        last_checkpoint_at=report.checkpoint_at if report else job.durable_checkpoint_at,
        secret_tiers=secrets.tiers if secrets else None,
        beside=travel.workload.beside if travel.workload else NOTHING_BESIDE,
        requests=travel.requests,
        served_h=served_h,
        missed_h=missed_h,
        spares=chosen.count if chosen else None,
    )


def _served(job: Job, now: datetime) -> tuple[float, float]:
    """Hours in which a service was wanted, and of these the ones in which it was down."""
    uptime = uptime_of(job)
    if uptime is None:
        return 0.0, 0.0
    since = now - WINDOW
    return uptime.wanted(since, now) / _HOUR, uptime.down(since, now) / _HOUR


def _portability(engine: Engine, job: Job) -> Portability:
    """Asked once per generation: reading a template is the dearest part of a snapshot."""
    key = (job.ref.uid, job.generation)
    if key not in engine.memory.portability:
        known = engine.memory.portability
        # The API server's verdict outlives an edit: the template is the same for ever.
        refused = (x for (uid, _), x in known.items() if uid == job.ref.uid and x.invalid)
        known[key] = next(refused, None) or portable(job.template, job.gpu.count)
    return engine.memory.portability[key]


def _prune(engine: Engine) -> None:
    now = engine.clock.monotonic()
    memory, jobs = engine.memory, engine.cluster.view().jobs
    for key in [k for k, until in memory.excluded.items() if until < now or k[0] not in jobs]:
        del memory.excluded[key]
    for gone in [k for k in memory.portability if k[0] not in jobs]:
        del memory.portability[gone]
    for uid in [u for u in memory.decisions if u not in jobs]:
        del memory.decisions[uid]
    memory.explained.intersection_update(jobs)
    for uid in [u for u in memory.said if u not in jobs]:
        del memory.said[uid]
    for uid in [u for u in memory.copy_problems if u not in jobs]:
        del memory.copy_problems[uid]
    for uid in [u for u in memory.spares if u not in jobs]:
        del memory.spares[uid]
    for uid in [u for u in memory.secrets if u not in jobs]:
        del memory.secrets[uid]
    for uid in [u for u, until in memory.held_off.items() if until < now]:
        del memory.held_off[uid]
