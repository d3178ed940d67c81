"""Closed lists of condition types and reasons; every one appears in docs/conditions.md.

That page says who must do what for each; messages carry the particulars.
"""

from enum import StrEnum


class Condition(StrEnum):
    """Condition types of a GPUJob. The negative ones are only written when true."""

    PLACED = "Placed"
    RUNNING = "Running"
    READY = "Ready"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    BUDGET_EXCEEDED = "BudgetExceeded"
    NODE_LOST = "NodeLost"
    DEADLINE_AT_RISK = "DeadlineAtRisk"
    NOT_BURSTABLE = "NotBurstable"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Why. One CamelCase word each, unique across conditions, decisions and events."""

    # As the word it equals; that of an Enum is Python code, and plans look up very many.
    __hash__ = str.__hash__

    # waiting and refusing (decisions)
    WAITING_FOR_HOME = "WaitingForHome"
    WAITING_PAYS = "WaitingPays"
    WAITING_FOR_ROOM = "WaitingForRoom"
    MAKES_ROOM = "MakesRoom"
    NO_OFFER_FITS = "NoOfferFits"
    NO_CAPACITY_NOW = "NoCapacityNow"
    NO_SUCH_GPU = "NoSuchGPU"
    PRICE_ABOVE_CAP = "PriceAboveCap"
    BUDGET_TOO_SMALL = "BudgetTooSmall"
    KEPT_FOR_FINISH = "KeptForFinish"
    FINISH_NOT_COVERED = "FinishNotCovered"
    BUDGET_MISSING = "BudgetMissing"
    NAMESPACE_BUDGET_EXHAUSTED = "NamespaceBudgetExhausted"
    DEADLINE_PASSED = "DeadlinePassed"
    DEADLINE_UNREACHABLE = "DeadlineUnreachable"
    UNKNOWN_SLA_CLASS = "UnknownSLAClass"
    TEMPLATE_NOT_PORTABLE = "TemplateNotPortable"
    TEMPLATE_INVALID = "TemplateInvalid"
    SECRET_MISSING = "SecretMissing"  # noqa: S105  (a word, not a secret)
    SECRET_NOT_ALLOWED = "SecretNotAllowed"  # noqa: S105  (as above)
    ENTRYPOINT_UNKNOWN = "EntrypointUnknown"
    REPORT_URL_MISSING = "ReportURLMissing"
    PROVIDER_UNUSABLE = "ProviderUnusable"
    TOO_MANY_MOVES = "TooManyMoves"
    FAILOVER_STOPPED = "FailoverStopped"
    MANAGED_ELSEWHERE = "ManagedElsewhere"
    RECENTLY_REFUSED = "RecentlyRefused"
    FENCED_BY_POD = "FencedByPod"
    # filter reasons of single offers
    WRONG_MODEL = "WrongModel"
    MEMORY_TOO_SMALL = "MemoryTooSmall"
    COMPUTE_CAPABILITY_TOO_LOW = "ComputeCapabilityTooLow"
    INTERCONNECT_TOO_WEAK = "InterconnectTooWeak"
    TOO_FEW_GPUS = "TooFewGPUs"
    TOO_MANY_GPUS = "TooManyGPUs"
    NODE_TOO_SMALL = "NodeTooSmall"
    GANG_WOULD_SPLIT = "GangWouldSplit"
    REGION_NOT_ALLOWED = "RegionNotAllowed"
    PROVIDER_NOT_ALLOWED = "ProviderNotAllowed"
    CAPACITY_TYPE_NOT_ALLOWED = "CapacityTypeNotAllowed"
    TRUST_TIER_TOO_LOW = "TrustTierTooLow"
    RELIABILITY_TOO_LOW = "ReliabilityTooLow"
    BURST_NOT_ALLOWED = "BurstNotAllowed"
    HOME_NOT_ALLOWED = "HomeNotAllowed"
    BURST_NOT_YET = "BurstNotYet"
    UNAVAILABLE = "Unavailable"
    ENDS_TOO_SOON = "EndsTooSoon"
    LOSS_TOO_HIGH = "LossTooHigh"
    PROVIDER_LIMIT = "ProviderLimit"
    LESS_PREFERRED = "LessPreferred"
    COSTS_MORE = "CostsMore"
    # placing
    CHEAPEST_FITTING = "CheapestFitting"
    HOME_FITS = "HomeFits"
    BURST_TO_PROVIDER_SELECTED = "BurstToProviderSelected"
    FAILOVER = "Failover"
    REPATRIATION_PAYS = "RepatriationPays"
    CHEAPER_ELSEWHERE = "CheaperElsewhere"
    FINISH_BY_AT_RISK = "FinishByAtRisk"
    RUNNING_WELL = "RunningWell"
    HYSTERESIS = "Hysteresis"
    # life of a lease as the job sees it
    LEASE_PLANNED = "LeasePlanned"
    LEASE_OPENING = "LeaseOpening"
    LEASE_OPENED = "LeaseOpened"
    LEASE_LOST = "LeaseLost"
    LEASE_REJECTED = "LeaseRejected"
    LEASE_UNCERTAIN = "LeaseUncertain"
    NODE_HEARTBEAT_STOPPED = "NodeHeartbeatStopped"
    NODE_UNHEALTHY = "NodeUnhealthy"
    HARDWARE_MISMATCH = "HardwareMismatch"
    PRICE_MISMATCH = "PriceMismatch"
    CHILD_PENDING_TOO_LONG = "ChildPendingTooLong"
    MOVED = "Moved"
    REPORTS_UNREACHABLE = "ReportsUnreachable"
    MARKET_UNREACHABLE = "MarketUnreachable"
    PROVIDER_MISSING = "ProviderMissing"
    NEAR_CEILING = "NearCeiling"
    CEILING_REACHED = "CeilingReached"
    # copies of a service
    COPIES_MISSING = "CopiesMissing"
    COPIES_UNFUNDED = "CopiesUnfunded"
    COPY_NAME_TAKEN = "CopyNameTaken"
    COPY_REFUSED = "CopyRefused"
    # ends
    COMMAND_SUCCEEDED = "CommandSucceeded"
    COMMAND_FAILED = "CommandFailed"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    ACTIVE_DEADLINE_EXCEEDED = "ActiveDeadlineExceeded"
    SUSPENDED_BY_USER = "SuspendedByUser"
    RESUMED = "Resumed"
