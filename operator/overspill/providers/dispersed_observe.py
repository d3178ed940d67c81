"""What Dispersed's answers mean: offers, phase, price, endpoints. Pure; for `dispersed.py`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from overspill.core.gpus import canonical_model, gpu_info
from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import InterconnectClass, Phase
from overspill.providers.dispersed_config import Config
from overspill.providers.dispersed_request import SSH
from overspill.providers.dispersed_wire import Gpu, Job, Node, Run

COMPLETED = "COMPLETED"
ENDED = frozenset({COMPLETED, "FAILED", "CANCELLED"})
HOUR = timedelta(hours=1)

_PHASES: dict[str, tuple[Phase, str, str]] = {
    "PENDING": (Phase.PENDING, "Pending", "no machine is assigned yet"),
    "ASSIGNED": (Phase.STARTING, "Assigned", "a machine is assigned"),
    "PREPARING": (Phase.STARTING, "Preparing", "the machine fetches the image"),
    "RUNNING": (Phase.RUNNING, "Running", ""),
    COMPLETED: (Phase.SUCCEEDED, "Completed", "the container ended well"),
    "FAILING": (Phase.TERMINATING, "Failing", "the market gives the job up"),
    "CANCELLING": (Phase.TERMINATING, "Cancelling", "the market ends the job"),
}


def offer_of(gpu: Gpu, account: ProviderAccount, config: Config, now: datetime) -> Offer | None:
    """The offer of one kind; None for what has no price in the settings."""
    model = canonical_model(gpu.name, gpu.vram_gb)
    price, info = config.prices_usd.get(model), gpu_info(model)
    if price is None:
        return None
    return Offer(
        provider=account.name,
        offer_id=gpu.name,
        place=account.name,
        capacity_type=account.capacity_type,
        trust_tier=account.trust_tier,
        gpu_model=model,
        gpu_count=config.max_gpus,
        price_usd_per_hour=price * config.max_gpus,
        as_of=now,
        gpu_memory_gib=info.memory_gib if info else gpu.vram_gb,
        compute_capability=info.compute_capability if info else None,
        interconnect=info.interconnect if info else InterconnectClass.PCIE,
        is_divisible=True,
        is_firm=False,  # the price is ours to know, and the machine may be a bigger one
        egress_usd_per_gib=account.egress_usd_per_gib,
        cold_start=account.cold_start,
        mtbf=account.mtbf,
        min_billable=HOUR,
        unavailable_reason="there is none left now" if gpu.available == 0 else "",
        attributes=(("name", gpu.name),),
    )


def observation(
    job: Job, run: Run | None, prices: Mapping[str, Decimal], now: datetime
) -> Observation:
    """What the market says of one job and its run."""
    message = f"the market says {job.status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(job.status, (Phase.UNKNOWN, "UnknownStatus", message))
    node = run.node if run else None
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=price_of(run, prices),
        gpu_model=_model(node),
        gpu_count=node.gpu_count if node else None,
        host_id=(node.uuid or "") if node else "",
        endpoints=_endpoints(run) if run and phase is Phase.RUNNING else (),
        started_at=_time(run.started_at_ms) if run else None,
        billed_usd=billed_usd(job, run, prices, now),
    )


def billed_usd(
    job: Job, run: Run | None, prices: Mapping[str, Decimal], now: datetime
) -> Decimal | None:
    """The hours that have begun since the creation, at the price of the machine; None without one.

    When a job ended is not told: one that is over is counted up to now, no longer than it may run.
    """
    price = price_of(run, prices)
    created = _time(job.created_at_ms)
    if price is None or created is None:
        return None
    started = _time(run.started_at_ms) if run else None
    if started is not None and job.max_timeout_run_ms:
        now = min(now, started + timedelta(milliseconds=job.max_timeout_run_ms))
    begun = max(timedelta(0), now - created) // HOUR + 1
    return price * begun


def held_lease(job: Job) -> HeldLease:
    """One of ours or another's."""
    return HeldLease(
        Handle(job.title or "", job.uuid),
        is_live=job.status not in ENDED,
        created_at=_time(job.created_at_ms),
    )


def price_of(run: Run | None, prices: Mapping[str, Decimal]) -> Decimal | None:
    """What the real machine costs: told, or so many times the price of its GPU; else unknown."""
    node = run.node if run else None
    if node is None:
        return None
    if node.price_per_hour_usd is not None:
        return node.price_per_hour_usd
    unit = prices.get(_model(node))
    return unit * node.gpu_count if unit is not None and node.gpu_count else None


def _model(node: Node | None) -> str:
    return canonical_model(node.gpu_name, node.vram_gb) if node and node.gpu_name else ""


def _endpoints(run: Run) -> tuple[Endpoint, ...]:
    """Ports as far as the market says which is which: the description ends with our port."""
    found = []
    for url in run.node_urls or []:
        inner = (url.description or "").split()[-1:]
        port = int(inner[0]) if inner and inner[0].isdecimal() else url.port
        if port != SSH:
            scheme = url.protocol or "tcp"
            scheme = "https" if scheme == "http" and url.tls else scheme
            found.append(Endpoint(port, url.hostname, url.port, scheme))
    return tuple(found)


def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
