"""The filter chain: why an offer cannot serve a job, whatever it costs and whenever it is asked.

`needs_of` boils a job down to what filters look at, so that equal jobs share one answer;
`refusal` is the chain. Hardware is asked first, then policy, then the account: of an offer that
fails several questions the earliest is told. What depends on free capacity, money and time is
not decided here but in `placement`. Called by `placement_ranking` alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from overspill.core.gpus import has_memory
from overspill.core.job import Job
from overspill.core.offer import NOTHING_BESIDE, Beside, GpuRequirements, Offer
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, ProviderAccount, ProviderHealth
from overspill.core.vocabulary import (
    Burst,
    CapacityType,
    DataClass,
    InterconnectClass,
    InterconnectMode,
    ProviderType,
    TrustTier,
    Workload,
)

FABRIC_ORDER = tuple(InterconnectClass)
"""Weakest first, as the enum is written."""


class Refusal(NamedTuple):
    """One reason with its sentence."""

    reason: Reason
    message: str
    clears: bool = False
    """True: time alone may clear it, so the job waits instead of being refused."""


class Needs(NamedTuple):
    """What the chain asks of an offer. A tuple: jobs with equal needs are filtered once."""

    gpu: GpuRequirements
    num_nodes: int
    capacity_types: tuple[CapacityType, ...]
    """Allowed ones, best first."""
    min_reliability: Decimal | None = None
    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    is_batch: bool = True
    may_stay: bool = True
    """False: `burst: Only`, home is not wanted."""
    tied_home: Refusal | None = None
    """Why the job may not leave the cluster; None: it may."""
    secret_tiers: frozenset[TrustTier] | None = None
    max_rtt_ms: int | None = None
    """How far away the place may be by its measured round trip."""
    beside: Beside = NOTHING_BESIDE
    """What is rented beside the GPUs; no question of the chain, but part of some prices."""

    @property
    def plain(self) -> "Needs":
        """The same for the chain: jobs that differ in nothing else are filtered once."""
        return self if self.beside is NOTHING_BESIDE else self._replace(beside=NOTHING_BESIDE)

    @property
    def gpus_total(self) -> int:
        """GPUs of the whole gang."""
        return self.gpu.count * self.num_nodes


@dataclass(frozen=True, slots=True)
class Market:
    """The account behind an offer, as far as filters care."""

    account: ProviderAccount | None
    health: ProviderHealth = field(default_factory=ProviderHealth)
    needs_report_url: bool = False
    node_hours: Decimal = Decimal(0)
    losses: int = 0
    """What became of our own leases there."""
    rtt_ms: Mapping[str, float] = field(default_factory=dict)
    """Measured round trips to this cluster by region."""

    @property
    def is_home(self) -> bool:
        """Own nodes, or a node pool of this cluster."""
        return self.account is not None and self.account.type is ProviderType.IN_CLUSTER


def needs_of(job: Job, sla: SlaClass, facts: JobFacts) -> Needs:
    """The needs of a job under its class; the job may narrow the class, never widen it."""
    allowed = sla.capacity_types
    if job.capacity_types:
        allowed = tuple(t for t in job.capacity_types if t in sla.capacity_types)
    return Needs(
        gpu=job.gpu,
        num_nodes=job.num_nodes,
        capacity_types=allowed,
        min_reliability=sla.min_reliability,
        providers=job.providers,
        regions=job.regions,
        is_batch=job.workload is not Workload.INFERENCE,
        may_stay=job.burst is not Burst.ONLY,
        tied_home=_tie(job, facts),
        secret_tiers=facts.secret_tiers,
        max_rtt_ms=job.max_rtt_ms,
        beside=facts.beside,
    )


def refusal(needs: Needs, offer: Offer, market: Market) -> Refusal | None:
    """The first question of the chain that the offer fails; None when it passes all."""
    for question in _CHAIN:
        found = question(needs, offer, market)
        if found is not None:
            return found
    return None


def fabric_falls_short(gpu: GpuRequirements, offer: Offer) -> bool:
    """Whether the fabric is weaker than what was asked, demanded or wished."""
    return FABRIC_ORDER.index(offer.interconnect) < FABRIC_ORDER.index(gpu.interconnect)


def gpus_per_node(offer: Offer) -> int:
    """GPUs that one node of the offer has; for a home node all of it, free or taken."""
    total = offer.attribute("gpusTotal")
    if total.isdecimal():
        return int(total)
    return offer.gpu_count // max(1, offer.node_count)


def _tie(job: Job, facts: JobFacts) -> Refusal | None:
    if job.burst is Burst.NEVER:
        return Refusal(Reason.BURST_NOT_ALLOWED, "spec.placement.burst is Never")
    if job.data_class is DataClass.CONFIDENTIAL:
        why = "spec.placement.dataClass is Confidential: such data never leaves the cluster"
        return Refusal(Reason.TRUST_TIER_TOO_LOW, why)
    if facts.not_portable:
        reason = Reason(facts.not_portable_reason or Reason.TEMPLATE_NOT_PORTABLE)
        return Refusal(reason, "; ".join(facts.not_portable))
    if job.max_total_usd is None:
        why = "set spec.budget.maxTotalUSD to let the job rent GPUs outside"
        return Refusal(Reason.BUDGET_MISSING, why)
    return None


Question = Callable[[Needs, Offer, Market], Refusal | None]


def _model(needs: Needs, offer: Offer, _m: Market) -> Refusal | None:
    if needs.gpu.models and offer.gpu_model not in needs.gpu.models:
        wanted = ", ".join(needs.gpu.models)
        return Refusal(Reason.WRONG_MODEL, f"has {offer.gpu_model}, the job asks for {wanted}")
    return None


def _memory(needs: Needs, offer: Offer, _m: Market) -> Refusal | None:
    least, memory = needs.gpu.memory_min_gib, offer.gpu_memory_gib
    if least is None or (memory is not None and has_memory(memory, least)):
        return None
    has = "does not tell its memory" if memory is None else f"has {memory.normalize():f} GiB"
    return Refusal(Reason.MEMORY_TOO_SMALL, f"{has}, the job asks for {least.normalize():f} GiB")


def _capability(needs: Needs, offer: Offer, _m: Market) -> Refusal | None:
    least, has = needs.gpu.compute_capability_min, offer.compute_capability
    if least is None or (has is not None and has >= least):
        return None
    told = "unknown" if has is None else f"{has[0]}.{has[1]}"
    asked = f"the job asks for {least[0]}.{least[1]}"
    return Refusal(Reason.COMPUTE_CAPABILITY_TOO_LOW, f"compute capability {told}, {asked}")


def _fabric(needs: Needs, offer: Offer, _m: Market) -> Refusal | None:
    is_demand = needs.gpu.interconnect_mode is InterconnectMode.REQUIRED
    if not is_demand or not fabric_falls_short(needs.gpu, offer):
        return None
    asked = f"the job requires {needs.gpu.interconnect}"
    return Refusal(Reason.INTERCONNECT_TOO_WEAK, f"interconnect {offer.interconnect}, {asked}")


def _size(needs: Needs, offer: Offer, market: Market) -> Refusal | None:
    # A home offer is one node of many: whether some are large enough is asked of their pool.
    if market.is_home:
        return None
    has = gpus_per_node(offer)
    if has < needs.gpu.count:
        told = f"{has} GPUs on one node, the job asks for {needs.gpu.count}"
        return Refusal(Reason.TOO_FEW_GPUS, told)
    if needs.gpu.count < offer.least_gpus:
        told = f"at least {offer.least_gpus} GPUs are taken, the job asks for {needs.gpu.count}"
        return Refusal(Reason.TOO_MANY_GPUS, told, clears=True)  # smaller ones come and go
    if offer.node_count < needs.num_nodes:
        told = f"{offer.node_count} node(s), the gang needs {needs.num_nodes} in one place"
        return Refusal(Reason.GANG_WOULD_SPLIT, told)
    return None


def _side(needs: Needs, _o: Offer, market: Market) -> Refusal | None:
    if market.is_home:
        stays = needs.may_stay
        return None if stays else Refusal(Reason.HOME_NOT_ALLOWED, "spec.placement.burst is Only")
    return needs.tied_home


def _provider(needs: Needs, offer: Offer, _m: Market) -> Refusal | None:
    if not needs.providers or offer.provider in needs.providers:
        return None
    allowed = ", ".join(needs.providers)
    return Refusal(Reason.PROVIDER_NOT_ALLOWED, f"spec.placement.providers allows {allowed}")


def _region(needs: Needs, offer: Offer, market: Market) -> Refusal | None:
    # Home without region labels is where the user already is.
    if not needs.regions or (market.is_home and not offer.region):
        return None
    if any(is_in_region(offer.region, wanted) for wanted in needs.regions):
        return None
    told = f"region {offer.region or 'unknown'}, allowed are {', '.join(needs.regions)}"
    return Refusal(Reason.REGION_NOT_ALLOWED, told)


def is_in_region(region: str, wanted: str) -> bool:
    """`eu` takes `eu-west-1`, `EU-RO-1` and `eu`; it does not take `europe` or `us-east`."""
    region, wanted = region.lower(), wanted.lower()
    return region == wanted or region.startswith(f"{wanted}-")


def distance(needs: Needs, offer: Offer, market: Market) -> Refusal | None:
    """Why a place is too far away. What was never measured is not: it is, once it is used."""
    most, measured = needs.max_rtt_ms, market.rtt_ms.get(offer.region)
    if most is None or market.is_home or measured is None or measured <= most:
        return None
    told = f"{measured:.0f} ms away by its measured round trip, the job allows {most} ms"
    return Refusal(Reason.TOO_FAR, told)


def _capacity(needs: Needs, offer: Offer, _m: Market) -> Refusal | None:
    if offer.capacity_type in needs.capacity_types:
        return None
    allowed = ", ".join(needs.capacity_types) or "none"
    told = f"capacity type {offer.capacity_type}, class and job allow {allowed}"
    return Refusal(Reason.CAPACITY_TYPE_NOT_ALLOWED, told)


def _secrets(needs: Needs, offer: Offer, market: Market) -> Refusal | None:
    tiers = needs.secret_tiers
    if market.is_home or tiers is None or offer.trust_tier in tiers:
        return None
    told = f"its Secrets may not reach tier {offer.trust_tier}"
    how = "annotate them with overspill.dev/allowed-tiers to allow it"
    return Refusal(Reason.SECRET_NOT_ALLOWED, f"{told}; {how}")


def _reliability(needs: Needs, offer: Offer, market: Market) -> Refusal | None:
    least = needs.min_reliability
    if least is None or market.is_home:
        return None
    if offer.reliability is not None and offer.reliability >= least:
        return None
    has = "unknown" if offer.reliability is None else f"{offer.reliability:.4f}"
    told = f"reliability {has}, the class asks for {least}"
    return Refusal(Reason.RELIABILITY_TOO_LOW, told)


def _reports(needs: Needs, _o: Offer, market: Market) -> Refusal | None:
    if not needs.is_batch or not market.needs_report_url:
        return None
    told = "this market restarts what exits and no report URL is configured, so a job never ends"
    return Refusal(Reason.REPORT_URL_MISSING, told)


def _account(_n: Needs, offer: Offer, market: Market) -> Refusal | None:
    if market.account is None:
        return Refusal(Reason.PROVIDER_UNUSABLE, f"there is no GPUProvider {offer.provider}")
    if market.account.suspended:
        state = "being deleted" if market.account.deletion_requested else "suspended"
        told = f"GPUProvider {offer.provider} is {state}"
        return Refusal(Reason.PROVIDER_UNUSABLE, told, clears=True)
    if not market.health.is_usable:
        told = market.health.message or market.health.reason or "it does not answer"
        return Refusal(Reason.PROVIDER_UNUSABLE, told, clears=True)
    return None


_CHAIN: tuple[Question, ...] = (
    _model,
    _memory,
    _capability,
    _fabric,
    _size,
    _side,
    _provider,
    _region,
    distance,
    _capacity,
    _secrets,
    _reliability,
    _reports,
    _account,
)
