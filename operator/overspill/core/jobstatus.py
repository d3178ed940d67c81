"""Composes the status document of a GPUJob from its ledger and the last decision.

Pure; called by `engine/tell`, the only writer of GPUJob status. The document's fields are fixed
in docs/designs/0001. Money strings carry cents or finer; times are RFC 3339, UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from overspill.core.availability import Standing
from overspill.core.copies_status import Seen, copies_document, selector, shortcoming
from overspill.core.copies_status import running as ready_copies
from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.observation import Observation, Report
from overspill.core.outcome import Outcome, failures, outcome
from overspill.core.promise import (
    Stand,
    followed,
    gist,
    is_service,
    settlement,
    sla_document,
    uptime_of,
)
from overspill.core.reasons import Condition, Reason
from overspill.core.sla import SlaClass
from overspill.core.statusparts import (
    attempts_document,
    decision_document,
    moves_of,
    place_document,
    stamp,
)
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase

ALWAYS = (
    Condition.PLACED,
    Condition.RUNNING,
    Condition.COMPLETE,
    Condition.FAILED,
    Condition.SUSPENDED,
    Condition.RECONCILING,
    Condition.STALLED,
)
"""Written from the first visit on, even when False; the others only while true."""

REFUSED_WAITS = (Reason.UNKNOWN_SLA_CLASS, Reason.TOO_MANY_MOVES)


@dataclass(frozen=True, slots=True)
class Live:
    """What is known of the job's newest wanted lease beyond its record."""

    observation: Observation | None = None
    report: Report | None = None
    degraded: Reason | None = None
    degraded_message: str = ""
    near_ceiling: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the document is made of."""

    job: Job
    leases: Sequence[Lease]
    decision: Decision | None
    live: Live = field(default_factory=Live)
    cost: Mapping[str, str] = field(default_factory=dict)
    spent_usd: Decimal = Decimal(0)
    """The same exactly, as far as it is spent."""
    klass: SlaClass | None = None
    """The job's class: what is promised."""
    obstacle: tuple[Reason, str] | None = None
    """Something a person must mend first (a Secret), found when the job was to be placed."""
    copies: Seen | None = None
    """Of a service with more than one copy: the others."""
    reports: Sequence[Report] = ()
    """The latest report of every attempt that is still remembered, in any order."""

    @property
    def told(self) -> tuple[Report, ...]:
        """All reports: what an attempt made durable counts also when another one runs."""
        return (*self.reports, self.live.report) if self.live.report else tuple(self.reports)


def current_lease(leases: Sequence[Lease]) -> Lease | None:
    """The newest attempt that is still wanted; during a planned move, the one that runs."""
    wanted = sorted((le for le in leases if le.state in WANTED_STATES), key=lambda le: le.attempt)
    running = [le for le in wanted if le.state is LeaseState.ACTIVE]
    return (running or wanted)[0] if wanted else None


def status_document(facts: Facts, now: datetime) -> dict[str, Any]:
    """The whole new status of the job."""
    job, lease = facts.job, current_lease(facts.leases)
    end = outcome(job, facts.leases) if not job.is_finished else None
    over = _over(job, end)
    document: dict[str, Any] = {
        "observedGeneration": job.generation,
        "conditions": _conditions(facts, lease, end, now),
        "placement": _placement(facts, lease),
        "decision": decision_document(facts.decision) or job.status.get("decision"),
        "progress": _progress(facts),
        "cost": dict(facts.cost),
        "attempts": attempts_document(job, facts.leases, facts.told),
        "moves": moves_of(job, facts.leases),
        "failures": failures(job, facts.leases),
        "finishByTime": stamp(job.finish_by) if job.finish_by else None,
        "lastMoveTime": _last_move(job, facts.leases),
        "endpoint": job.status.get("endpoint"),
        **_copies(facts, is_active=lease is not None and not over and _is_active(lease)),
    }
    document["phase"] = _phase(document["conditions"], lease, facts)
    document["sla"] = _sla(facts, document["conditions"], end, now)
    return {k: v for k, v in document.items() if v not in (None, {}, [])}


def _is_active(lease: Lease) -> bool:
    return lease.state is LeaseState.ACTIVE


def _copies(facts: Facts, *, is_active: bool) -> dict[str, Any]:
    """What the scale subresource shows, and of a service what all its copies are."""
    job, seen = facts.job, facts.copies
    if seen is None:
        selects = f"overspill.dev/job-uid={job.ref.uid}"
        return {"replicas": int(is_active), "selector": selects, "copies": job.status.get("copies")}
    return {
        "replicas": int(is_active) + sum(other.is_active for other in seen.others),
        "selector": selector(job),
        "copies": copies_document(job, seen, is_active and _is_running(facts), facts.spent_usd),
    }


def _placement(facts: Facts, lease: Lease | None) -> Any:
    """Where it runs; of a job that has ended, where it ran last."""
    if lease is None and facts.leases and facts.job.status.get("placement"):
        ended = outcome(facts.job, facts.leases) is not None or facts.job.is_finished
        return facts.job.status["placement"] if ended else None
    if lease is None:
        return None
    trips = [r.rtt_ms for r in facts.told if r.lease == lease.name and r.rtt_ms is not None]
    return {**place_document(lease), **({"rttMillis": round(min(trips))} if trips else {})}


def _sla(facts: Facts, conditions: list[dict[str, Any]], end: Outcome | None, now: datetime) -> Any:
    """Attained against promised; of a job that has ended it stands as it was."""
    job = facts.job
    if facts.klass is None or (job.is_finished and job.status.get("sla")):
        return job.status.get("sla")
    running = any(c["type"] == Condition.RUNNING and c["status"] == "True" for c in conditions)
    # A copy promises nothing by itself: its service does, and is counted there.
    counts = is_service(job) and not job.owner_uid and not _over(job, end)
    stand = _stand(facts, running, now) if counts else None
    uptime = followed(job, stand, now)
    return sla_document(job, facts.klass, settlement(job, now, end), uptime, now)


def _stand(facts: Facts, running: bool, now: datetime) -> Stand:
    """How a service stands, dated by records where there are any, else by this look."""
    if facts.job.is_held:
        told = facts.job.condition(Condition.SUSPENDED)
        since = told["lastTransitionTime"] if told and told["status"] == "True" else None
        return Stand(Standing.SUSPENDED, datetime.fromisoformat(since) if since else now)
    if facts.copies is not None:
        is_up = ready_copies(running, facts.copies) >= facts.job.replicas
        return Stand(Standing.UP if is_up else Standing.DOWN, now)
    if running:
        seen = facts.live.observation
        return Stand(Standing.UP, (seen.started_at if seen else None) or now)
    return Stand(Standing.DOWN, _went_down(facts, now))


def _went_down(facts: Facts, now: datetime) -> datetime:
    """When the place that was told last ended: heard of last, where it was lost."""
    told = (facts.job.status.get("placement") or {}).get("leaseName")
    last = next((le for le in facts.leases if le.name == told), None)
    if last is None or last.closing is None:
        return now
    asked = last.closing.requested_at
    heard = [r.seen_at for r in facts.told if r.lease == last.name]
    return min([asked, *heard]) if last.closing.reason is ClosingReason.LOST else asked


def _over(job: Job, end: Outcome | None) -> bool:
    return job.is_finished or end is not None


def _progress(facts: Facts) -> dict[str, Any]:
    job = facts.job
    step = job.durable_checkpoint_step
    uri, at = job.durable_checkpoint_uri, job.durable_checkpoint_at
    for other in facts.told:
        if other.checkpoint_uri and (not uri or (other.checkpoint_step or 0) >= (step or 0)):
            step, uri, at = other.checkpoint_step, other.checkpoint_uri, other.checkpoint_at
    percents = {r.attempt: r.progress_percent for r in facts.told if r.progress_percent is not None}
    found = {
        "percentage": percents[max(percents)] if percents else job.progress_percent,
        "lastCheckpointStep": step,
        "lastCheckpointURI": uri or None,
        "lastCheckpointTime": stamp(at) if at else None,
    }
    return {k: v for k, v in found.items() if v is not None}


def _last_move(job: Job, leases: Sequence[Lease]) -> str | None:
    later = [le.created_at for le in leases if le.attempt > 1]
    times = [*later, *([job.last_move_at] if job.last_move_at else [])]
    return stamp(max(times)) if times else None


def _conditions(
    facts: Facts, lease: Lease | None, end: Outcome | None, now: datetime
) -> list[dict[str, Any]]:
    found = {c.value: ("False", "NotYet", "") for c in ALWAYS}
    for kind, value in _told(facts, lease, end):
        found[kind.value] = value
    if facts.job.is_finished:
        _keep_end(found, facts.job)
    return [_condition(kind, value, facts.job, now) for kind, value in found.items()]


Told = tuple[str, str, str]


def _told(facts: Facts, lease: Lease | None, end: Outcome | None) -> list[tuple[Condition, Told]]:
    told = [*_place_told(facts, lease), *_decision_told(facts, lease), *_negatives(facts)]
    if facts.job.is_held:
        told.append((Condition.SUSPENDED, ("True", Reason.SUSPENDED_BY_USER.value, "")))
    if _over(facts.job, end):
        told = [(k, v) for k, v in told if k in (Condition.SUSPENDED, Condition.BUDGET_EXCEEDED)]
        told.append((Condition.RUNNING, ("False", "Ended", "")))
        told.append((Condition.RECONCILING, ("False", "Ended", "")))
    if end is not None:
        told.append((end.condition, ("True", end.reason.value, end.message)))
    return told


def _place_told(facts: Facts, lease: Lease | None) -> list[tuple[Condition, Told]]:
    if lease is None:
        return [(Condition.PLACED, ("False", "NoLease", ""))]
    opened = lease.state is LeaseState.ACTIVE
    word = Reason.LEASE_OPENED if opened else Reason.LEASE_OPENING
    where = f"attempt {lease.attempt} at {lease.offer.place}, lease {lease.name}"
    told = [(Condition.PLACED, ("True" if opened else "False", word.value, where))]
    running = opened and _is_running(facts)
    told.append(
        (Condition.RUNNING, (str(running), "WorkloadRunning" if running else "Starting", ""))
    )
    if not running:
        told.append((Condition.RECONCILING, ("True", word.value, where)))
    if lease.state is LeaseState.UNCERTAIN:
        told.append((Condition.STALLED, ("True", Reason.LEASE_UNCERTAIN.value, _UNCERTAIN)))
    return told


_UNCERTAIN = (
    "the market cannot tell whether the lease exists; an admin must look there and run "
    "'kubectl overspill leases resolve NAME --adopt ID' or '--absent'"
)


def _is_running(facts: Facts) -> bool:
    """A place that cannot be asked, or whose pod is ending, changes nothing that was so before."""
    live, seen = facts.live, facts.live.observation
    if live.report is not None and live.report.has_started:
        return True
    if seen is None:  # not looked at yet, as after a restart
        told = (facts.job.status.get("placement") or {}).get("leaseName")
        lease = current_lease(facts.leases)
        return lease is not None and told == lease.name and facts.job.is_true(Condition.RUNNING)
    if seen.phase in (Phase.UNKNOWN, Phase.TERMINATING):
        return facts.job.is_true(Condition.RUNNING)
    return seen.phase in (Phase.RUNNING, Phase.RESTARTED)


def _decision_told(facts: Facts, lease: Lease | None) -> list[tuple[Condition, Told]]:
    decision = facts.decision
    if lease is None and facts.obstacle is not None:
        told = ("True", facts.obstacle[0].value, facts.obstacle[1])
        return [(Condition.STALLED, told)]
    if decision is None or lease is not None:
        return []
    word = (str(decision.reason), decision.message)
    if decision.action is Action.REFUSE or decision.reason in REFUSED_WAITS:
        return [(Condition.STALLED, ("True", *word)), (Condition.PLACED, ("False", *word))]
    if decision.action is Action.WAIT:
        return [(Condition.RECONCILING, ("True", *word)), (Condition.PLACED, ("False", *word))]
    return [(Condition.RECONCILING, ("True", *word))]


def _negatives(facts: Facts) -> list[tuple[Condition, Told]]:
    told: list[tuple[Condition, Told]] = []
    decision, live = facts.decision, facts.live
    if live.degraded is not None:
        told.append((Condition.DEGRADED, ("True", live.degraded.value, live.degraded_message)))
    elif (short := _short(facts)) is not None:
        told.append((Condition.DEGRADED, ("True", short[0].value, short[1])))
    if live.near_ceiling:
        told.append((Condition.BUDGET_EXCEEDED, ("True", Reason.NEAR_CEILING.value, _NEAR)))
    for lease in facts.leases:
        reason = lease.closing.reason if lease.closing else None
        if lease.state is LeaseState.CLOSING and lease.is_home and reason is ClosingReason.LOST:
            why = lease.closing.message if lease.closing else ""
            told.append((Condition.NODE_LOST, ("True", Reason.NODE_HEARTBEAT_STOPPED.value, why)))
        if reason is ClosingReason.BUDGET_EXCEEDED:
            told.append((Condition.BUDGET_EXCEEDED, ("True", Reason.CEILING_REACHED.value, "")))
    return [*told, *(_risk_as_before(facts) if decision is None else _doubts(decision))]


def _short(facts: Facts) -> tuple[Reason, str] | None:
    """Why the service has fewer copies than it should."""
    if facts.copies is None or _over(facts.job, None):
        return None
    lease = current_lease(facts.leases)
    runs = lease is not None and _is_active(lease) and _is_running(facts)
    return shortcoming(facts.job, facts.copies, runs, uptime_of(facts.job) is not None)


def _doubts(decision: Decision) -> list[tuple[Condition, Told]]:
    """What the last decision says against the job's promise, its money or its template."""
    told: list[tuple[Condition, Told]] = []
    if decision.finish_at_risk:
        word = ("True", Reason.FINISH_NOT_COVERED.value, decision.finish_at_risk)
        told.append((Condition.DEADLINE_AT_RISK, word))
    if decision.reason in (Reason.DEADLINE_UNREACHABLE, Reason.DEADLINE_PASSED):
        told.append((Condition.DEADLINE_AT_RISK, ("True", str(decision.reason), decision.message)))
    if decision.reason in (Reason.PRICE_ABOVE_CAP, Reason.BUDGET_TOO_SMALL):
        told.append((Condition.BUDGET_EXCEEDED, ("True", str(decision.reason), decision.message)))
    stuck = next((r for r in decision.rejected if r.reason == Reason.TEMPLATE_NOT_PORTABLE), None)
    if stuck is not None or decision.reason == Reason.TEMPLATE_NOT_PORTABLE:
        message = stuck.message if stuck else decision.message
        told.append(
            (Condition.NOT_BURSTABLE, ("True", Reason.TEMPLATE_NOT_PORTABLE.value, message))
        )
    return told


def _risk_as_before(facts: Facts) -> list[tuple[Condition, Told]]:
    """What it risks where it runs stays told after a restart, until it is decided about anew."""
    old = facts.job.condition(Condition.DEADLINE_AT_RISK)
    if old is None or old.get("reason") != Reason.FINISH_NOT_COVERED or old["status"] != "True":
        return []
    if current_lease(facts.leases) is None:
        return []
    return [(Condition.DEADLINE_AT_RISK, ("True", old["reason"], old.get("message", "")))]


_NEAR = "the job nears its ceiling: it was told to checkpoint and will be closed before it"


def _keep_end(found: dict[str, Told], job: Job) -> None:
    for kind in (Condition.COMPLETE, Condition.FAILED):
        old = job.condition(kind.value)
        if old is not None:
            found[kind.value] = (old["status"], old["reason"], old.get("message", ""))


def _condition(kind: str, value: Told, job: Job, now: datetime) -> dict[str, Any]:
    status, reason, message = value
    old = job.condition(kind)
    same = old is not None and old.get("status") == status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:1024],
        "observedGeneration": job.generation,
        "lastTransitionTime": old["lastTransitionTime"] if same and old else stamp(now),
    }


def _phase(conditions: list[dict[str, Any]], lease: Lease | None, facts: Facts) -> str:
    true = {c["type"] for c in conditions if c["status"] == "True"}
    for kind in ("Complete", "Failed"):
        if kind in true:
            return kind
    if lease is not None:
        if "Running" in true:
            return "Running"
        return "Moving" if lease.attempt > 1 else "Placing"
    if "Suspended" in true:
        return "Suspended"
    return "Refused" if "Stalled" in true else "Waiting"


VOLATILE = ("cost", "progress", "decision", "sla")


def differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a write is worth its cost: money alone is written only with something else.

    A new durable checkpoint and a change of the decision's outcome are worth a write.
    """
    return essence(old) != essence(new)


def essence(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a status says, without what changes all the time."""
    uri = (document.get("progress") or {}).get("lastCheckpointURI")
    decision = _gist(document.get("decision"))
    return _stable(document), uri, gist(document.get("sla")), decision


def _stable(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in document.items() if k not in VOLATILE and v not in (None, {}, [])}
    kept["attempts"] = [
        {k: v for k, v in a.items() if k not in ("costUSD", "checkpointURI", "checkpointStep")}
        for a in document.get("attempts") or []
    ]
    place = kept.get("placement") or {}
    kept["placement"] = {k: v for k, v in place.items() if k != "rttMillis"}
    copies = kept.get("copies") or {}
    kept["copies"] = {k: v for k, v in copies.items() if k != "spentUSD"}
    kept["conditions"] = sorted(
        (c["type"], c["status"], c["reason"]) for c in document.get("conditions") or []
    )
    return kept


def _gist(decision: Mapping[str, Any] | None) -> tuple[Any, ...]:
    if not decision:
        return ()
    return tuple(decision.get(k) for k in ("action", "reason", "provider", "offerID"))
