"""Reads what administrators write: GPUProvider, SLAClass and GPUBudget."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.sla import Budget, Reservation, SlaClass
from overspill.core.snapshot import GrownPool, ProviderAccount
from overspill.core.vocabulary import (
    BudgetPeriod,
    CapacityType,
    FailbackPolicy,
    ProviderType,
    TrustTier,
    VerificationMode,
)
from overspill.kube.mapping.reading import Fields
from overspill.kube.resources import PROVIDER_FINALIZER

DEFAULT_COLD_START = timedelta(minutes=2)


def read_account(obj: Mapping[str, Any]) -> ProviderAccount:
    """The core's ProviderAccount of a GPUProvider document."""
    root = Fields(obj, "")
    meta, spec = root.inside("metadata"), root.inside("spec")
    limits, priors = spec.inside("limits"), spec.inside("priors")
    is_deleted = meta.has("deletionTimestamp")
    return ProviderAccount(
        name=meta.required("name"),
        type=_type(spec.required("type")),
        resource_version=meta.required("resourceVersion"),
        uid=meta.text("uid"),
        generation=meta.number("generation", 1),
        endpoint=spec.text("endpoint"),
        credentials_secret=_credentials(spec),
        capacity_type=spec.word("capacityType", CapacityType, CapacityType.ON_DEMAND),
        trust_tier=spec.word("trustTier", TrustTier, TrustTier.COMMUNITY),
        regions=spec.texts("regions"),
        max_leases=limits.whole("maxLeases"),
        max_hourly_usd=limits.decimal("maxHourlyUSD"),
        max_exposure_usd=limits.decimal("maxExposureUSD"),
        mtbf=priors.seconds("mtbfSeconds"),
        cold_start=priors.span("coldStartSeconds", DEFAULT_COLD_START),
        egress_usd_per_gib=priors.money("egressUSDPerGiB"),
        rates_usd=_rates(spec.inside("ratesUSD")),
        config={name: str(value) for name, value in spec.mapping("config").items()},
        suspended=spec.flag("suspended") or is_deleted,
        status=root.mapping("status"),
        reference_rates_usd=_rates(spec.inside("referenceRatesUSD")),
        pool=_pool(spec.inside("pool")) if spec.has("pool") else None,
        is_held=PROVIDER_FINALIZER in meta.texts("finalizers"),
        deletion_requested=is_deleted,
        **_node_health(spec.inside("nodeHealth")),
    )


def _type(word: str) -> ProviderType | str:
    """One of the shipped markets, or a plugin's own word."""
    return ProviderType(word) if word in set(ProviderType) else word


def _credentials(spec: Fields) -> tuple[str, str] | None:
    if not spec.has("credentialsSecretRef"):
        return None
    ref = spec.inside("credentialsSecretRef")
    return ref.required("namespace"), ref.required("name")


def _pool(pool: Fields) -> GrownPool:
    labels = {key: str(value) for key, value in pool.mapping("nodeSelector").items()}
    return GrownPool(
        node_selector=tuple(sorted(labels.items())),
        gpu_model=pool.required("gpuModel"),
        gpu_count=pool.number("gpuCount", 1),
        max_nodes=pool.number("maxNodes", 1),
        boot=pool.span("bootSeconds", timedelta(minutes=5)),
        instance_type=pool.text("instanceType"),
        usd_per_node_hour=pool.decimal("usdPerNodeHour"),
    )


def _rates(rates: Fields) -> dict[str, Decimal]:
    """USD per GPU-hour by model."""
    return {model: rates.money(model) for model in rates.whole_document()}


def _node_health(health: Fields) -> dict[str, Any]:
    return {
        "unhealthy_conditions": tuple(
            (c.required("type"), c.required("unhealthyStatus")) for c in health.each("conditions")
        ),
        "suspect_after": health.span("suspectSeconds", timedelta(seconds=20)),
        "lost_after": health.span("lostSeconds", timedelta(seconds=40)),
    }


def read_class(obj: Mapping[str, Any]) -> SlaClass:
    """The core's SlaClass of an SLAClass document."""
    root = Fields(obj, "")
    meta, spec = root.inside("metadata"), root.inside("spec")
    failback = spec.inside("failback")
    return SlaClass(
        name=meta.required("name"),
        resource_version=meta.text("resourceVersion"),
        generation=meta.number("generation", 1),
        status=root.mapping("status"),
        is_default=spec.flag("isDefault"),
        capacity_types=spec.words("capacityTypes", CapacityType) or (CapacityType.OWN,),
        availability_target=spec.decimal("availabilityTarget"),
        burst_after=spec.span("burstAfterSeconds", timedelta(0)),
        failover_within=spec.span("failoverWithinSeconds", timedelta(seconds=120)),
        pending_patience=spec.span("pendingPatienceSeconds", timedelta(seconds=120)),
        heartbeat_grace=spec.span("heartbeatGraceSeconds", timedelta(seconds=300)),
        min_reliability=spec.decimal("minReliability"),
        verification=spec.word("verification", VerificationMode, VerificationMode.PREFLIGHT),
        spare_replicas=spec.whole("spareReplicas"),
        max_loss_usd=spec.decimal("maxLossUSD"),
        failback_policy=failback.word("policy", FailbackPolicy, FailbackPolicy.WHEN_CHEAPER),
        failback_min_saving_percent=failback.number("minSavingPercent", 15),
        failback_cooldown=failback.span("cooldownSeconds", timedelta(minutes=30)),
        priority=spec.number("priority", 0),
    )


def read_budget(obj: Mapping[str, Any]) -> Budget:
    """The core's Budget of a GPUBudget document."""
    root = Fields(obj, "")
    meta, status = root.inside("metadata"), root.inside("status")
    return Budget(
        namespace=meta.required("namespace"),
        name=meta.required("name"),
        limit_usd=root.inside("spec").money("limitUSD"),
        spent_usd=status.money("spentUSD"),
        committed_usd=status.money("committedUSD"),
        forecast_usd=status.money("forecastUSD"),
        resource_version=meta.required("resourceVersion"),
        reservations=tuple(
            Reservation(r.required("leaseName"), r.text("jobUID"), r.money("usd"))
            for r in status.each("reservations")
        ),
        period=root.inside("spec").word("period", BudgetPeriod, BudgetPeriod.MONTHLY),
        period_started_at=status.time("periodStartTime"),
        generation=meta.number("generation", 1),
    )
