"""Judges one lease from what was seen of it: keep, finished, lost, mismatch, withdraw, end.

Called by `engine/recover`. "Cannot reach the provider" is never "job dead": an UNKNOWN place is
only lost when its workload's own heartbeat stopped too, for the class's grace.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from overspill.core.gpus import canonical_model
from overspill.core.lease import Lease
from overspill.core.observation import Observation, Report
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import ClosingReason, Phase, VerificationMode

PRICE_TOLERANCE = Decimal("1.01")
MEMORY_TOLERANCE = Decimal("0.90")
"""nvidia-smi reports less than the nominal size (a T4 of 16 GB shows 15,360 MiB); the variants
of one model that are told apart by memory differ by far more."""


class Verdict(StrEnum):
    """What to do with the lease."""

    KEEP = "Keep"
    FINISHED = "Finished"
    CLOSE = "Close"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict; `closing` names the reason for CLOSE, `degraded` a condition for KEEP."""

    verdict: Verdict
    reason: Reason = Reason.RUNNING_WELL
    message: str = ""
    closing: ClosingReason = ClosingReason.LOST
    exit_code: int = 0
    degraded: Reason | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known of one Active lease. Ages are seconds on the engine's monotonic clock."""

    observation: Observation | None
    report: Report | None
    phase_age_s: float = 0.0
    """How long the place has been saying the same phase."""
    silence_s: float = 0.0
    """How long the workload has not reported; counted from opening when it never did."""
    expects_reports: bool = False
    is_missing: bool = False
    """The market says it does not know the lease, longer than the not-found grace."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each silence is borne; from settings and the SLA class."""

    klass: SlaClass
    start: timedelta = timedelta(minutes=15)
    blind_factor: int = 3


def judge(lease: Lease, seen: Evidence, patience: Patience, now: datetime) -> Judgement:
    """The verdict on one Active lease. Pure; the order of the questions is the policy."""
    for question in (_ended, _overdue, _wrong, _gone, _stuck, _blind):
        answer = question(lease, seen, patience, now)
        if answer is not None:
            return answer
    return _kept(seen, patience)


def _ended(lease: Lease, seen: Evidence, _p: Patience, _n: datetime) -> Judgement | None:
    report, observation = seen.report, seen.observation
    if report and report.attempt == lease.attempt and report.exit_code is not None:
        return _finished(report.exit_code)
    if observation is None or observation.phase not in (Phase.SUCCEEDED, Phase.FAILED):
        return None
    return _seen_end(observation, was_stopped=report is not None and report.has_stopped)


def _seen_end(observation: Observation, *, was_stopped: bool) -> Judgement:
    if observation.phase is Phase.SUCCEEDED:
        return _finished(observation.exit_code or 0)
    if observation.reason == "DeadlineExceeded":
        # The Job at home ended its pods by the clock: their exit codes are no outcome.
        told = _said(observation, "too late")
        return _close(ClosingReason.DEADLINE_EXCEEDED, Reason.CEILING_REACHED, told)
    if observation.exit_code is not None and not was_stopped:
        return _finished(observation.exit_code)
    return _close(ClosingReason.LOST, Reason.LEASE_LOST, _said(observation, "failed"))


def _overdue(lease: Lease, _s: Evidence, _p: Patience, now: datetime) -> Judgement | None:
    if now < lease.hard_deadline:
        return None
    return _close(
        ClosingReason.DEADLINE_EXCEEDED,
        Reason.CEILING_REACHED,
        f"the lease reached its hard deadline {lease.hard_deadline:%Y-%m-%dT%H:%M:%SZ}",
    )


def _wrong(lease: Lease, seen: Evidence, patience: Patience, _n: datetime) -> Judgement | None:
    observation = seen.observation
    price = observation.price_usd_per_hour if observation and not lease.is_home else None
    if price is not None and price > lease.max_usd_per_hour * PRICE_TOLERANCE:
        return _close(
            ClosingReason.MISMATCH,
            Reason.PRICE_MISMATCH,
            f"the market charges {price} USD/h, the cap is {lease.max_usd_per_hour}",
        )
    if lease.is_home or patience.klass.verification is VerificationMode.NONE:
        return None
    told = hardware_mismatch(lease, seen.report)
    return _close(ClosingReason.MISMATCH, Reason.HARDWARE_MISMATCH, told) if told else None


def hardware_mismatch(lease: Lease, report: Report | None) -> str:
    """A sentence when the GPUs that `nvidia-smi` saw are not what the offer promised."""
    if report is None or not report.gpus:
        return ""
    if len(report.gpus) < lease.request.gpu_count:
        return f"{len(report.gpus)} GPUs seen, {lease.request.gpu_count} are paid"
    for gpu in report.gpus:
        memory = Decimal(gpu.memory_mib) / 1024
        if canonical_model(gpu.model, memory) != lease.offer.gpu_model:
            return f"the host shows {gpu.model!r}, {lease.offer.gpu_model} is paid"
        if lease.offer.gpu_memory_gib and memory < lease.offer.gpu_memory_gib * MEMORY_TOLERANCE:
            return f"the GPU has {memory:.0f} GiB, {lease.offer.gpu_memory_gib} GiB are paid"
    return ""


def _gone(lease: Lease, seen: Evidence, _p: Patience, _n: datetime) -> Judgement | None:
    if seen.is_missing:
        return _close(
            ClosingReason.LOST, Reason.LEASE_LOST, f"{lease.provider} does not know it any more"
        )
    if seen.observation and seen.observation.phase in (Phase.LOST, Phase.TERMINATED):
        reason = Reason.NODE_HEARTBEAT_STOPPED if lease.is_home else Reason.LEASE_LOST
        return _close(ClosingReason.LOST, reason, _said(seen.observation, "lost"))
    return None


def _stuck(lease: Lease, seen: Evidence, patience: Patience, _n: datetime) -> Judgement | None:
    if seen.observation is None:
        return None
    age, phase = timedelta(seconds=seen.phase_age_s), seen.observation.phase
    if lease.is_home and phase is Phase.PENDING and age > _pending_patience(lease, patience):
        return _close(
            ClosingReason.WITHDRAWN,
            Reason.CHILD_PENDING_TOO_LONG,
            f"not scheduled for {int(seen.phase_age_s)} s: {seen.observation.message}"[:512],
        )
    if not lease.is_home and phase in (Phase.PENDING, Phase.STARTING) and age > patience.start:
        return _close(
            ClosingReason.WITHDRAWN, Reason.LEASE_LOST, f"not started for {int(seen.phase_age_s)} s"
        )
    return None


def _pending_patience(lease: Lease, patience: Patience) -> timedelta:
    """A node that has to be booted first is waited for so much longer."""
    boot = lease.offer.attribute("bootSeconds", "0")
    return patience.klass.pending_patience + timedelta(seconds=int(boot))


def _blind(lease: Lease, seen: Evidence, patience: Patience, _n: datetime) -> Judgement | None:
    """Neither the market nor the workload speaks: lost, once both were silent for the grace."""
    if lease.is_home or seen.observation is None or seen.observation.phase is not Phase.UNKNOWN:
        return None
    grace = patience.klass.heartbeat_grace.total_seconds()
    if not seen.expects_reports or seen.silence_s <= grace or seen.phase_age_s <= grace:
        return None
    return _close(
        ClosingReason.LOST,
        Reason.LEASE_LOST,
        f"neither market nor workload answered for {int(min(seen.silence_s, seen.phase_age_s))} s",
    )


def _kept(seen: Evidence, patience: Patience) -> Judgement:
    grace = patience.klass.heartbeat_grace.total_seconds()
    if seen.observation and seen.observation.phase is Phase.UNKNOWN:
        return Judgement(
            Verdict.KEEP,
            degraded=Reason.MARKET_UNREACHABLE,
            message="the market cannot tell the state of the lease; it is kept, nothing is opened",
        )
    running = seen.observation is not None and seen.observation.phase is Phase.RUNNING
    if running and seen.expects_reports and seen.silence_s > grace:
        return Judgement(
            Verdict.KEEP,
            degraded=Reason.REPORTS_UNREACHABLE,
            message="the market shows the lease running but no report arrives; check that the "
            "report URL is reachable from outside; the lease is kept, nothing is opened",
        )
    return Judgement(Verdict.KEEP)


def _finished(code: int) -> Judgement:
    reason = Reason.COMMAND_SUCCEEDED if code == 0 else Reason.COMMAND_FAILED
    return Judgement(Verdict.FINISHED, reason, f"exit code {code}", exit_code=code)


def _close(closing: ClosingReason, reason: Reason, message: str) -> Judgement:
    return Judgement(Verdict.CLOSE, reason, message, closing=closing)


def _said(observation: Observation, default: str) -> str:
    return observation.message or observation.reason or default


def too_many_lost(lost: int, watched: int) -> bool:
    """The breaker: many losses at once are more likely our own blindness than real."""
    return lost > max(3, watched // 5)
