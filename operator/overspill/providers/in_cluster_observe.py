"""Reads what home says of a child: from its pods in view, else from the Job itself.

Pure; called by `InCluster.observe`. The pods in view answer for nearly every tick without a
request; None means: only the Job can tell (no pod in view, or a pod failed and the Job
controller judges whether that was the command or a disruption).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from overspill.core.lease import Handle
from overspill.core.observation import Observation
from overspill.core.vocabulary import Phase
from overspill.ports import PodState
from overspill.providers.in_cluster_nodes import NodeVerdict

ENDED = ("Succeeded", "Failed")
STUCK_AFTER = timedelta(minutes=1)
"""A pod whose node has not ended it so long after its grace period is not going to be ended."""
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True)
class Child:
    """What a handle says of a child."""

    key: str
    namespace: str
    """Empty when only the key is known."""
    uid: str
    size: int
    """Pods of a complete gang."""

    @classmethod
    def of(cls, handle: Handle) -> "Child":
        """Reads a handle that `open` or `leases` made, or one of nothing but the key."""
        size = int(handle.get("pods", "1"))
        return cls(handle.key, handle.get("namespace"), handle.external_id, size)


@dataclass(frozen=True, slots=True)
class Sight:
    """The pods of a child in view, and what is known around them."""

    pods: Sequence[PodState]
    lost: Mapping[str, NodeVerdict]
    """Lost nodes that its pods stand on."""
    replaced: bool
    """A pod of this lease was taken away by the cluster and another one made."""
    was_bound: bool
    """A pod of this lease has stood on a node."""
    is_stale: bool
    now: datetime


def handle_of(job: Mapping[str, Any]) -> Handle:
    """The handle of a child as the API server returned it."""
    meta = job["metadata"]
    size = job["spec"].get("completions") or 1
    data = (("namespace", meta["namespace"]), ("pods", str(size)))
    return Handle(meta["name"], meta["uid"], data)


def by_pods(child: Child, sight: Sight) -> Observation | None:
    """What the pods prove, None when the Job must be asked."""
    pods = sight.pods
    live = [pod for pod in pods if pod.phase not in ENDED]
    done = [pod for pod in pods if pod.phase == "Succeeded"]
    if not pods or len(done) + len(live) < len(pods):
        return None
    if len(done) >= child.size:
        return _seen(Phase.SUCCEEDED, sight, exit_code=0)
    if sight.is_stale:
        return _stale(sight)
    if sight.lost or sight.replaced:
        return None if any(pod.deletion_requested for pod in live) else lost(sight)
    if leaving := [pod for pod in live if pod.deletion_requested]:
        told = f"pod {leaving[0].name} is ending"
        return None if _stuck(sight) else _seen(Phase.TERMINATING, sight, "Terminating", told)
    return _progress(child, sight, live)


def by_job(child: Child, job: Mapping[str, Any], sight: Sight) -> Observation:
    """What the Job itself says, read from the API server."""
    if job["metadata"].get("deletionTimestamp"):
        return _leaving(sight)
    return _outcome(job.get("status") or {}, sight) or _unfinished(child, job, sight)


def _outcome(status: Mapping[str, Any], sight: Sight) -> Observation | None:
    """The Job controller's verdict, which tells a failed command from a disruption."""
    true = {c["type"]: c for c in status.get("conditions") or [] if c.get("status") == "True"}
    if found := true.get("Complete") or true.get("SuccessCriteriaMet"):
        return _seen(Phase.SUCCEEDED, sight, found.get("reason", ""), exit_code=0)
    if found := true.get("Failed") or true.get("FailureTarget"):
        told = str(found.get("message", ""))[:512]
        return _seen(Phase.FAILED, sight, found.get("reason", ""), told, _exit_code(sight.pods))
    return None


def _unfinished(child: Child, job: Mapping[str, Any], sight: Sight) -> Observation:
    if sight.is_stale:
        return _stale(sight)
    if sight.lost or sight.replaced or _stuck(sight):
        return lost(sight)
    if job["spec"].get("suspend"):
        phase = Phase.LOST if sight.was_bound else Phase.PENDING
        return _seen(phase, sight, "Suspended", "the Job is suspended by its queue")
    if failed := [pod for pod in sight.pods if pod.phase == "Failed"]:
        told = f"pod {failed[0].name} failed; the Job controller has not judged it yet"
        return _seen(Phase.TERMINATING, sight, "PodFailed", told)
    if sight.pods:
        return _progress(child, sight, [p for p in sight.pods if p.phase not in ENDED])
    return _seen(Phase.PENDING, sight, "NoPods", "the Job has no pod yet; see its events")


def is_behind(seen: Observation) -> bool:
    """Whether the Job ended and no pod in view tells since when it ran, or how it ended."""
    return seen.phase in (Phase.SUCCEEDED, Phase.FAILED) and seen.bound_at is None


def without_job(sight: Sight) -> Observation | None:
    """What is left when the API server knows no such Job: its pods, or nothing at all (None)."""
    if sight.is_stale:
        return _stale(sight)
    if not any(pod.phase not in ENDED for pod in sight.pods):
        return None
    return _leaving(sight)


def lost(sight: Sight) -> Observation:
    """The place is lost: a node, or the cluster took a pod away (drain, preemption, queue).

    Or it takes one away and its node keeps it: no other comes then, and the gang computes nothing.
    """
    for node, verdict in sight.lost.items():
        return _seen(Phase.LOST, sight, verdict.health.value, verdict.message, node=node)
    for pod in () if sight.replaced else _stuck(sight):
        told = f"pod {pod.name} should have ended at {pod.ends_by:%H:%M:%S} UTC, its node keeps it"
        return _seen(Phase.LOST, sight, "PodStuck", told, node=pod.node)
    told = "the cluster took the pod away (drain, eviction, preemption) and made another"
    return _seen(Phase.LOST, sight, "PodReplaced", told)


def _stuck(sight: Sight) -> Sequence[PodState]:
    """Pods that should have ended a while ago and are still there."""
    late = sight.now - STUCK_AFTER
    return [p for p in sight.pods if p.phase not in ENDED and p.ends_by and p.ends_by < late]


def _leaving(sight: Sight) -> Observation:
    """We asked for the end. A pod on a lost node cannot confirm it: said so, for fencing."""
    for node, verdict in sight.lost.items():
        told = f"{verdict.message}; its pod cannot be proven stopped"
        return _seen(Phase.TERMINATING, sight, "NodeLost", told, node=node)
    return _seen(Phase.TERMINATING, sight, "Terminating", "the child is ending")


def _stale(sight: Sight) -> Observation:
    return _seen(Phase.UNKNOWN, sight, "ViewStale", "our view of the cluster is too old")


def _progress(child: Child, sight: Sight, live: Sequence[PodState]) -> Observation:
    """The usual life: unbound, bound, running."""
    if unbound := [pod for pod in live if not pod.node]:
        reason, message = unbound[0].reason or "Unscheduled", unbound[0].message[:512]
        return _seen(Phase.PENDING, sight, reason, message)
    if len(sight.pods) < child.size:
        told = f"{len(sight.pods)} of {child.size} pods exist"
        return _seen(Phase.PENDING, sight, "NoPods", told)
    if starting := [pod for pod in live if pod.phase != "Running"]:
        return _seen(Phase.STARTING, sight, starting[0].reason, starting[0].message[:512])
    return _seen(Phase.RUNNING, sight)


def _seen(
    phase: Phase,
    sight: Sight,
    reason: str = "",
    message: str = "",
    exit_code: int | None = None,
    *,
    node: str = "",
) -> Observation:
    pods = sight.pods
    is_bound = bool(pods) and all(pod.node for pod in pods)
    ended = phase in (Phase.SUCCEEDED, Phase.FAILED)
    return Observation(
        phase=phase,
        reason=reason,
        message=message,
        exit_code=exit_code,
        node=node or ",".join(sorted({pod.node for pod in pods if pod.node})),
        started_at=_latest(pod.started_at for pod in pods),
        ends_at=_latest(pod.finished_at for pod in pods) if ended else None,
        # The last pod completes a gang.
        bound_at=(_latest(pod.bound_at for pod in pods) or sight.now) if is_bound else None,
    )


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _exit_code(pods: Sequence[PodState]) -> int | None:
    codes = [p.exit_code for p in pods if p.phase == "Failed" and p.exit_code is not None]
    return next((code for code in codes if code != 0), codes[0] if codes else None)
