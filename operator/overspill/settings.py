"""Every setting of the operator, read from `OVERSPILL_*` in the environment.

Durations are seconds. The fault campaign and the demo compress the money-safety intervals;
their defaults are those of the lease protocol. Documented in docs/settings.md.
"""

from decimal import Decimal
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The operator's settings; a wrong value ends the process with a sentence."""

    model_config = SettingsConfigDict(env_prefix="OVERSPILL_", frozen=True)

    kubeconfig: Path | None = Field(None, description="A kubeconfig; empty: in-cluster.")
    namespace: str = Field("overspill-system", description="The operator's own namespace.")
    identity: str = Field("", description="Name in the election; empty: hostname and pid.")

    report_url: str = Field("", description="Public base URL of reports for rented leases.")
    home_report_url: str = Field("", description="Base URL of reports for pods at home.")
    report_listen: str = Field("0.0.0.0:8443", description="Where the report endpoint listens.")
    report_tls_cert: Path | None = Field(None, description="PEM certificate of the endpoint.")
    report_tls_key: Path | None = Field(None, description="PEM key of the endpoint.")
    metrics_listen: str = Field("0.0.0.0:8080", description="Where /metrics and probes listen.")
    records_listen: str = Field(
        "127.0.0.1:8081", description="Where decision records are read, on loopback; empty: not."
    )
    cluster_secret: SecretStr = Field(
        SecretStr(""), description="Key of report tokens; from a Secret of the chart."
    )

    lease_duration_s: float = Field(15, gt=0, description="Election: how long a lease holds.")
    renew_deadline_s: float = Field(10, gt=0, description="Election: give up and exit after.")
    retry_period_s: float = Field(2, gt=0, description="Election: time between renewals.")

    truth_period_s: float = Field(60, gt=0, description="Time between full LISTs of our kinds.")
    sweep_period_s: float = Field(60, gt=0, description="Time between sweeps of each account.")
    poll_period_s: float = Field(10, gt=0, description="Time between polls of each account.")
    read_each_up_to: int = Field(
        2, ge=0, description="So few leases of an account are read one by one, without a listing."
    )
    detail_period_s: float = Field(
        60, gt=0, description="A running lease is read by itself so often where lists tell less."
    )
    place_idle_s: float = Field(0.2, ge=0, description="Quiet time before a placement batch.")
    place_cap_s: float = Field(2, gt=0, description="Longest a change waits for its batch.")
    place_period_s: float = Field(10, gt=0, description="Placement runs at least this often.")
    tell_delay_s: float = Field(0.3, ge=0, description="Gathers changes of a job's status.")
    heartbeat_poll_s: float = Field(5, gt=0, description="Time between LISTs of node leases.")

    permit_s: float | None = Field(None, gt=0, description="T_permit; empty: the adapter's.")
    quarantine_s: float | None = Field(None, gt=0, description="T_quarantine; likewise.")
    request_s: float | None = Field(None, gt=0, description="T_req; likewise.")
    absence_interval_s: float = Field(5, ge=0, description="Least time between proofs of absence.")
    start_patience_s: float = Field(900, gt=0, description="How long a rented place may start.")
    drain_s: float = Field(60, ge=0, description="How long a checkpoint is waited for on leaving.")
    refused_offer_s: float = Field(300, gt=0, description="A refused offer is left out so long.")
    failover_stop_s: float = Field(
        300, ge=0, description="Many losses at once are believed when still seen after."
    )
    retention_s: float = Field(7 * 86400, gt=0, description="Closed leases stay as the ledger.")
    low_runway_s: float = Field(86400, ge=0, description="BalanceLow below this runway.")
    opening_limit_s: float = Field(600, gt=0, description="An open without success is given up.")

    past_period_s: float = Field(900, gt=0, description="What was seen of places is kept so often.")
    sla_period_s: float = Field(900, gt=0, description="Attained against promised: told so often.")

    secret_reread_s: float = Field(30, ge=0, description="An account's Secret is read anew after.")

    workers: int = Field(8, ge=1, le=64, description="Leases driven at the same time.")
    price_catalog: Path | None = Field(None, description="Price lists of clouds, CSV.")
    reference_usd: dict[str, Decimal] = Field(
        default_factory=dict,
        description="Reference USD per GPU-hour by model, for savings; '*' is the rest.",
    )
    failpoint: str = Field("", description="Testing: SITE:before|after:N ends the process there.")
