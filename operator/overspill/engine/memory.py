"""What the engine remembers between two looks; all of it can be rebuilt, none of it is truth.

Monotonic times only. A restart forgets everything here, and the protocol is written so that
forgetting costs time, never money.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from overspill.core.attainment import Share
from overspill.core.copies import Spares
from overspill.core.decision import Decision
from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease, Observation
from overspill.core.policy_past import Past
from overspill.core.portability import Portability
from overspill.core.reasons import Reason
from overspill.core.vocabulary import Phase, TrustTier
from overspill.engine.record import Shelf


@dataclass(slots=True)
class StepMemo:
    """The known outcome of the last `open` step under one permit."""

    seq: int
    handle: Handle | None
    next_costs: bool
    is_complete: bool = False


@dataclass(slots=True)
class Seen:
    """The last observation of a lease, and since when its phase has been the same."""

    observation: Observation
    at: float
    phase_since: float


@dataclass(slots=True)
class Drain:
    """A lease that is asked to checkpoint before it is left."""

    since: float
    checkpoint_before: str


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What a job's Secrets allow, or the one that is missing; never a value."""

    read_at: float
    tiers: frozenset[TrustTier]
    problem: tuple[Reason, str] | None = None


@dataclass(slots=True)
class Counted:
    """What a job adds to its class, as last seen; `gone_at`: when it was first missed."""

    klass: str
    share: Share
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What we wrote last into a job's status, when (monotonic), and how often in vain."""

    mark: int
    at: float
    in_vain: int = 0


@dataclass(slots=True)
class Memory:
    """Every table is keyed by lease name or job uid, and pruned with the view."""

    first_read: dict[tuple[str, int], float] = field(default_factory=dict)
    steps: dict[str, StepMemo] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    opened_at: dict[str, float] = field(default_factory=dict)
    missing_since: dict[str, float] = field(default_factory=dict)
    absences: dict[str, float] = field(default_factory=dict)
    bills: dict[str, HeldLease] = field(default_factory=dict)
    drains: dict[str, Drain] = field(default_factory=dict)
    leaving: dict[str, str] = field(default_factory=dict)
    """By lease: why the newest plan wants it to leave home (`preempt`)."""
    degraded: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    near_ceiling: set[str] = field(default_factory=set)
    decisions: dict[str, Decision] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    """What we last wrote into a job's status: see `engine/giveway`."""
    explained: set[str] = field(default_factory=set)
    """Jobs whose status was found to say what led to their place, though we never decided it."""
    rtt_ms: dict[tuple[str, str], float] = field(default_factory=dict)
    """Round trips to this cluster by (provider, region), as runners measured them last."""
    spares: dict[str, Spares] = field(default_factory=dict)
    """Of services, by the uid of copy 0: the spare copies that placement chose."""
    excluded: dict[tuple[str, str, str], float] = field(default_factory=dict)
    secrets: dict[str, SecretFacts] = field(default_factory=dict)
    held_off: dict[str, float] = field(default_factory=dict)
    portability: dict[tuple[str, int], Portability] = field(default_factory=dict)
    lost_since: dict[str, float] = field(default_factory=dict)
    losses: deque[tuple[float, str]] = field(default_factory=deque)
    orphans_seen: dict[str, set[str]] = field(default_factory=dict)
    swept_at: dict[str, float] = field(default_factory=dict)
    """When the last sweep of an account began that its breaker let act."""
    vanished: dict[str, float] = field(default_factory=dict)
    """When the record of a living job's last attempt was first seen to be gone."""
    opening_since: dict[str, float] = field(default_factory=dict)
    """When a lease that is not open yet was first looked at."""
    past: Past = field(default_factory=Past)
    """What was seen of every place; bounded by itself."""
    shares: dict[str, Counted] = field(default_factory=dict)
    """By job uid: what is still to be counted, also of jobs that were deleted meanwhile."""
    copy_of: dict[str, str] = field(default_factory=dict)
    """By uid of a copy's GPUJob: that of the service's copy 0."""
    copy_problems: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    """By uid of copy 0: what keeps copies from being there."""
    past_kept_at: float | None = None
    """When it was last read or written; None: what is kept was not read yet."""
    past_kept_until: int = -1
    """The last look that is kept."""
    shelf: Shelf = field(default_factory=Shelf)
    """The latest decisions and what they were made from; bounded by itself."""

    def note(self, lease: str, observation: Observation, now: float) -> bool:
        """Keeps an observation; True when its phase changed."""
        before = self.seen.get(lease)
        same = before is not None and before.observation.phase is observation.phase
        since = before.phase_since if before is not None and same else now
        self.seen[lease] = Seen(observation, now, since)
        self.missing_since.pop(lease, None)
        return not same

    def quarantine_left(self, lease: Lease, wait_s: float, now: float) -> float:
        """Seconds until a call under the lease's last permit cannot execute any more (R5, R6).

        Counted from when *we* first read this permit, so no two clocks need to agree.
        """
        if lease.permit is None:
            return 0.0
        first = self.first_read.setdefault((lease.name, lease.permit.seq), now)
        return max(0.0, first + wait_s - now)

    def phase(self, lease: str) -> Phase | None:
        """The last phase seen of a lease."""
        found = self.seen.get(lease)
        return found.observation.phase if found else None

    def forget_lease(self, name: str) -> None:
        """Drops everything known of a lease that is no more."""
        for table in (
            self.steps, self.seen, self.opened_at, self.missing_since, self.absences,
            self.bills, self.drains, self.degraded, self.lost_since, self.opening_since,
        ):  # fmt: skip
            table.pop(name, None)
        self.near_ceiling.discard(name)
        for key in [k for k in self.first_read if k[0] == name]:
            del self.first_read[key]

    def lost_lately(self, now: float, window_s: float = 60.0) -> int:
        """Losses within the window."""
        while self.losses and self.losses[0][0] < now - window_s:
            self.losses.popleft()
        return len({name for _, name in self.losses})
