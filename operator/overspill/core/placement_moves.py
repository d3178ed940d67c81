"""Whether a job that runs outside comes home: only when it pays, and not too often.

The saving over the remaining work must beat the work lost since the last checkpoint, the start
at home, the overlap of both leases and the bytes that move, by the class's or the job's
percentage. Called by `placement` for running jobs, after everybody who waits was served.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.filters import Market, Needs, Refusal
from overspill.core.lease import Lease
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_case import Case
from overspill.core.placement_money import Allowance
from overspill.core.pricing import Terms, egress_usd_per_gib, hours, quote, span
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.statusparts import usd
from overspill.core.vocabulary import FailbackPolicy, Fencing

FRESH_SHARE = Decimal("0.25")
FRESH_LEAST = timedelta(seconds=60)
"""How old a checkpoint may be for OnCheckpoint: a share of the interval, at least this."""


@dataclass(frozen=True, slots=True)
class Saving:
    """Staying against moving, in USD for the remaining work."""

    stay_usd: Decimal
    move_usd: Decimal

    @property
    def usd(self) -> Decimal:
        """What moving saves; negative when it costs."""
        return self.stay_usd - self.move_usd

    def is_worth(self, percent: int) -> bool:
        """Whether the saving is large enough to disturb a running job."""
        return self.usd > 0 and self.usd * 100 >= self.stay_usd * percent


def kept_outside(case: Case, lease: Lease, stop_failover: str) -> Refusal | None:
    """Why the job is not moved whatever it saves; None: ask for the saving."""
    return immovable(case, stop_failover) or _unwanted(case) or _too_soon(case, lease)


def immovable(case: Case, stop_failover: str) -> Refusal | None:
    """Why the job cannot be moved at all, not even for its deadline."""
    if stop_failover:
        return Refusal(Reason.FAILOVER_STOPPED, stop_failover)
    return _forbidden(case)


def cooled_at(case: Case, lease: Lease) -> datetime:
    """When the cooldown of the last change of place is over."""
    times = [case.job.last_move_at, lease.active_since, lease.created_at]
    return max(t for t in times if t is not None) + _cooldown(case)


def saving_of(
    case: Case, lease: Lease, market: Market, needs: Needs, terms: Terms, home: Candidate
) -> Saving:
    """What the rest of the work costs where it runs, and what it costs there (mostly home)."""
    price = _price(lease)
    here = quote(lease.offer, market, needs, terms)
    scale = price / here.price if here.price else Decimal(1)
    stay = (here.line("rate") + here.line("rework")) * scale - _prepaid(case, lease, price)
    again_h = hours(work_at_risk(case, lease))
    moved = case.job.checkpoint.size_gib if case.job.checkpoint else Decimal(0)
    move = (
        home.quote.total
        + home.quote.price * again_h
        + price * home.quote.start_h
        + egress_usd_per_gib(lease.offer, market) * moved
    )
    return Saving(max(Decimal(0), stay), move)


def work_at_risk(case: Case, lease: Lease) -> timedelta:
    """Work that a move would have to do again: since the last durable checkpoint, or the start."""
    known = [case.facts.last_checkpoint_at, case.job.durable_checkpoint_at, lease.active_since]
    latest = max((t for t in known if t is not None), default=case.now)
    return max(timedelta(0), case.now - latest)


def allowance_to_move(case: Case, lease: Lease, home: Candidate) -> Allowance:
    """What the job may spend at home: both leases cost while they overlap, some work is redone."""
    hourly, left, here = case.allowance.max_hourly, case.allowance.left, _price(lease)
    again = home.quote.price * hours(work_at_risk(case, lease))
    return Allowance(
        None if hourly is None else hourly - here,
        None if left is None else left - here * home.quote.start_h - again,
    )


def would_be_late(case: Case, lease: Lease, terms: Terms, home: Candidate) -> bool:
    """Whether moving breaks a finish-by that staying keeps."""
    if case.job.finish_by is None or not terms.is_known:
        return False
    staying = case.now + span(terms.work_h)
    moving = case.now + home.takes + work_at_risk(case, lease)
    return staying <= case.job.finish_by < moving


def min_percent(case: Case) -> int:
    """The least saving, in percent of what staying costs."""
    own = case.job.failback_min_saving_percent
    return (case.sla or SlaClass("")).failback_min_saving_percent if own is None else own


def not_worth(saving: Saving, percent: int, where: str = "home") -> str:
    """The sentence for a place that fits but does not pay."""
    least = saving.stay_usd * percent / 100
    return f"moving {where} saves {usd(saving.usd)} USD, less than {usd(least)} USD ({percent} %)"


def _unwanted(case: Case) -> Refusal | None:
    if _policy(case) is FailbackPolicy.NEVER:
        return Refusal(Reason.RUNNING_WELL, "failback policy is Never")
    return None


def _forbidden(case: Case) -> Refusal | None:
    job = case.job
    if job.fencing is Fencing.WAIT_FOR_POD:
        told = "fencing is WaitForPod, so two attempts may not overlap"
        return Refusal(Reason.RUNNING_WELL, told)
    if case.withdrawn is not None:
        told = f"attempt {case.withdrawn.attempt} at home is withdrawn first"
        return Refusal(Reason.CHILD_PENDING_TOO_LONG, told, clears=True)
    if case.moves >= job.max_moves:
        told = f"the job moved {case.moves} times, spec.recovery.maxMoves is {job.max_moves}"
        return Refusal(Reason.TOO_MANY_MOVES, told)
    return None


def _too_soon(case: Case, lease: Lease) -> Refusal | None:
    cooled = cooled_at(case, lease)
    if case.now < cooled:
        told = f"it came here lately; the cooldown ends at {cooled:%Y-%m-%dT%H:%M:%SZ}"
        return Refusal(Reason.HYSTERESIS, told, clears=True)
    if _policy(case) is FailbackPolicy.ON_CHECKPOINT and not _has_fresh_checkpoint(case):
        return Refusal(Reason.HYSTERESIS, "it moves right after a checkpoint only", clears=True)
    return None


def _policy(case: Case) -> FailbackPolicy:
    return case.job.failback_policy or (case.sla or SlaClass("")).failback_policy


def _cooldown(case: Case) -> timedelta:
    own = case.job.failback_cooldown
    return (case.sla or SlaClass("")).failback_cooldown if own is None else own


def _has_fresh_checkpoint(case: Case) -> bool:
    contract = case.job.checkpoint
    at = case.facts.last_checkpoint_at or case.job.durable_checkpoint_at
    if contract is None or at is None:
        return False
    allowed = max(FRESH_LEAST, span(hours(contract.interval) * FRESH_SHARE))
    return case.now - at <= allowed


def _price(lease: Lease) -> Decimal:
    price = lease.price_usd_per_hour
    return lease.offer.price_usd_per_hour if price is None else price


def _prepaid(case: Case, lease: Lease, price: Decimal) -> Decimal:
    """A minimum that is paid already is not saved by leaving."""
    if lease.active_since is None:
        return Decimal(0)
    paid_until = lease.active_since + lease.offer.min_billable
    return price * hours(max(timedelta(0), paid_until - case.now))
