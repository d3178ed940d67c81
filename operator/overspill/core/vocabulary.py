"""The closed word lists of the product, spelled as users write them in YAML.

Read by every layer. A word here is part of the API: `api/` builds its enums from these.
"""

from enum import StrEnum


class Workload(StrEnum):
    """What kind of work a GPUJob is; it sets the defaults of placement."""

    TRAINING = "Training"
    BATCH = "Batch"
    INFERENCE = "Inference"


class CapacityType(StrEnum):
    """How firmly a place is ours."""

    OWN = "Own"
    RESERVED = "Reserved"
    ON_DEMAND = "OnDemand"
    SPOT = "Spot"
    COMMUNITY = "Community"


class TrustTier(StrEnum):
    """How far a place is trusted with data; see `TRUST_ORDER`."""

    OWN = "Own"
    CLOUD = "Cloud"
    AUDITED = "Audited"
    SECURE = "Secure"
    COMMUNITY = "Community"


TRUST_ORDER: tuple[TrustTier, ...] = (
    TrustTier.OWN,
    TrustTier.CLOUD,
    TrustTier.AUDITED,
    TrustTier.SECURE,
    TrustTier.COMMUNITY,
)
"""From most to least trusted."""


class Burst(StrEnum):
    """May the job leave the cluster?"""

    NEVER = "Never"
    ALLOWED = "Allowed"
    ONLY = "Only"


class DataClass(StrEnum):
    """`Confidential` never leaves the cluster."""

    INTERNAL = "Internal"
    CONFIDENTIAL = "Confidential"


class InterconnectClass(StrEnum):
    """The fabric between the GPUs of one place, weakest first."""

    NONE = "None"
    PCIE = "PCIe"
    NVLINK = "NVLink"
    INFINIBAND = "InfiniBand"


class InterconnectMode(StrEnum):
    """Whether the interconnect is a demand or a wish."""

    REQUIRED = "Required"
    PREFERRED = "Preferred"


class FailbackPolicy(StrEnum):
    """When a job that runs outside may be brought home."""

    NEVER = "Never"
    ON_CHECKPOINT = "OnCheckpoint"
    WHEN_CHEAPER = "WhenCheaper"


class Fencing(StrEnum):
    """What must be proven of the old attempt before the next one may start."""

    IMMEDIATE = "Immediate"
    WAIT_FOR_POD = "WaitForPod"


class VerificationMode(StrEnum):
    """How far a place's claims are checked."""

    NONE = "None"
    PREFLIGHT = "Preflight"
    SPOT_CHECK = "SpotCheck"
    REDUNDANT = "Redundant"
    REFEREED = "Refereed"


class ProviderType(StrEnum):
    """Which adapter speaks to a GPUProvider: those shipped. A plugin may bring other words."""

    IN_CLUSTER = "InCluster"
    AKASH = "Akash"
    IO_NET = "IoNet"
    DISPERSED = "Dispersed"
    VAST = "Vast"
    RUNPOD = "RunPod"
    SALAD = "Salad"
    LIUM = "Lium"
    SHADEFORM = "Shadeform"


class BillEnd(StrEnum):
    """What ends the bill of a lease at a market when the operator never comes back."""

    HOME = "Home"
    """Nothing is billed by a third party."""
    PREPAID = "Prepaid"
    """All of it was paid at the opening."""
    DEADLINE = "Deadline"
    """The market's own switch, set to the lease's hard deadline."""
    BALANCE = "Balance"
    """The market stops what the account cannot pay; nothing before."""
    NOTHING = "Nothing"
    """Nothing that is known of."""


class LeaseState(StrEnum):
    """States of a GPULease; lease-protocol section 2.2. No status yet means `Planned`."""

    PLANNED = "Planned"
    OPENING = "Opening"
    ACTIVE = "Active"
    CLOSING = "Closing"
    CLOSED = "Closed"
    UNCERTAIN = "Uncertain"


class ClosingReason(StrEnum):
    """Why a lease closes."""

    REJECTED = "Rejected"
    LOST = "Lost"
    FINISHED = "Finished"
    SUPERSEDED = "Superseded"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    BUDGET_EXCEEDED = "BudgetExceeded"
    MISMATCH = "Mismatch"
    JOB_GONE = "JobGone"
    SUSPENDED = "Suspended"
    PREEMPTED = "Preempted"
    WITHDRAWN = "Withdrawn"


class Phase(StrEnum):
    """What a place says of its workload, in one vocabulary for all markets."""

    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    LOST = "Lost"
    RESTARTED = "Restarted"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    UNKNOWN = "Unknown"


class JobPhase(StrEnum):
    """`status.phase` of a GPUJob: one word for a person, derived from its conditions."""

    WAITING = "Waiting"
    PLACING = "Placing"
    RUNNING = "Running"
    MOVING = "Moving"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"
    REFUSED = "Refused"


class PromiseOutcome(StrEnum):
    """What became of a finish-by."""

    OPEN = "Open"
    KEPT = "Kept"
    BROKEN = "Broken"
    RELEASED = "Released"
    """Nobody's fault but the user's: suspended, or ended by its own command or limit."""


class BudgetPeriod(StrEnum):
    """After which time the spending of a GPUBudget starts again from zero (UTC)."""

    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"


class EndpointProtocol(StrEnum):
    """What an inference endpoint speaks."""

    HTTP = "HTTP"
    GRPC = "GRPC"
    TCP = "TCP"


class CircuitState(StrEnum):
    """Whether calls to a provider's account are let through."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"
