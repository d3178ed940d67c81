"""Metrics of the operator; names follow Prometheus' rules, money is `_usd`.

Imported by every layer but the core. No metric carries a job's name or uid.
"""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("overspill_decisions", "Placement decisions.", ["action", "reason"])
PLAN_SECONDS = Histogram("overspill_plan_seconds", "Time of one placement batch.")
LEASE_TRANSITIONS = Counter("overspill_lease_transitions", "Lease states entered.", ["state"])
PROVIDER_CALLS = Histogram(
    "overspill_provider_call_seconds", "Calls to providers.", ["provider", "call", "outcome"]
)
CIRCUIT_OPEN = Gauge("overspill_provider_circuit_open", "1 while unusable.", ["provider"])
TRUTH_FINDS = Counter("overspill_truth_finds", "Changes that only the truth LIST found.", ["kind"])
ORPHANS = Counter("overspill_orphans_ended", "Orphans ended by the sweep.", ["provider"])
SWEEP_STOPPED = Gauge("overspill_sweep_stopped", "1 while the sweep's breaker holds.", ["provider"])
FAILOVER_STOPPED = Gauge("overspill_failover_stopped", "1 while the loss breaker holds.")
STRANDED_LEASES = Gauge("overspill_leases_stranded", "Open leases that nobody can close.")
BALANCE_USD = Gauge("overspill_provider_balance_usd", "Money left in the account.", ["provider"])
RUNWAY_SECONDS = Gauge(
    "overspill_provider_runway_seconds", "How long the balance lasts; +Inf: unknown.", ["provider"]
)
WORST_CASE_USD = Gauge(
    "overspill_provider_worst_case_usd",
    "Most that open leases can cost in 30 days if nobody closes them.",
    ["provider"],
)
LEDGER_USD = Counter(
    "overspill_ledger_usd", "Closed leases by our own books, where the market told.", ["provider"]
)
BILLED_USD = Counter("overspill_billed_usd", "The same leases by the market's bill.", ["provider"])
SLA_PROMISES = Gauge(
    "overspill_sla_promises", "Finish-bys of 30 days: made, kept, broken.", ["sla_class", "outcome"]
)
SLA_AVAILABILITY = Gauge(
    "overspill_sla_availability", "Share of 30 days that services were up.", ["sla_class"]
)
SLA_TARGET = Gauge(
    "overspill_sla_availability_target", "The promised share of time.", ["sla_class"]
)
SLA_SECONDS = Gauge(
    "overspill_sla_service_seconds", "Time of services in 30 days.", ["sla_class", "state"]
)
PAST_HOURS = Gauge("overspill_past_hours", "Hours of past that placement knows of places.")
IS_LEADER = Gauge("overspill_is_leader", "1 on the leader.")
QUEUE_DEPTH = Gauge("overspill_queue_depth", "Keys waiting in the work-queue.")
"""Read by alerts: a queue that grows means that the API server or a market is slow."""
