"""What jobs cost up to this second: the ledger's live leases plus what the ledger has forgotten.

Used by `cost` and `explain`. Nothing is written anywhere; every figure is derived.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from overspill.cli.cluster import Cluster, Json
from overspill.cli.errors import CliError
from overspill.cli.ledger import LeaseView, lease_view, newest_first
from overspill.cli.render import amount
from overspill.kube.resources import Kind

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Money:
    """One job's dollars. `reference` and `saved` are None where no reference rate is known."""

    namespace: str
    job: str
    phase: str
    usd_per_hour: Decimal
    spent: Decimal
    projected: Decimal | None
    cap: Decimal | None
    reference: Decimal | None
    saved: Decimal | None


def leases_of(cluster: Cluster, job: Json) -> list[LeaseView]:
    """What the ledger holds of one job, newest attempt first."""
    uid = job["metadata"]["uid"]
    return newest_first(
        v for v in map(lease_view, cluster.list_all(Kind.LEASE)) if v.job_uid == uid
    )


def all_money(cluster: Cluster, now: datetime) -> list[Money]:
    """The dollars of every job of the namespace, deleted ones that the ledger still knows too."""
    by_uid: dict[str, list[LeaseView]] = {}
    for lease in map(lease_view, cluster.list_all(Kind.LEASE)):
        by_uid.setdefault(lease.job_uid, []).append(lease)
    rates = reference_rates(cluster)
    found = [
        tally(job, by_uid.pop(job["metadata"]["uid"], []), rates, now)
        for job in cluster.list_all(Kind.JOB)
    ]
    found += [tally(_deleted(leases), leases, rates, now) for leases in by_uid.values()]
    return sorted(found, key=lambda m: (m.namespace, m.job))


def tally(
    job: Json, leases: Sequence[LeaseView], rates: Mapping[str, Decimal], now: datetime
) -> Money:
    """Adds up one job. Leases gone from the ledger count as the job's status remembers them."""
    status, spec = job.get("status") or {}, job.get("spec") or {}
    cost = status.get("cost") or {}
    spent = sum((v.cost_usd(now) for v in leases), _forgotten(status, leases, now))
    reference = _reference(status, leases, rates, now)
    return Money(
        namespace=job["metadata"]["namespace"],
        job=job["metadata"]["name"],
        phase=status.get("phase", ""),
        usd_per_hour=sum((v.usd_per_hour or _NOTHING for v in leases if v.is_charging), _NOTHING),
        spent=spent,
        projected=amount(cost.get("projectedUSD")),
        cap=amount((spec.get("budget") or {}).get("maxTotalUSD")),
        reference=reference,
        saved=None if reference is None else reference - spent,
    )


def reference_rates(cluster: Cluster) -> dict[str, Decimal]:
    """Reference USD per GPU-hour by model; empty when the caller may not read providers."""
    try:
        providers = cluster.list_all(Kind.PROVIDER)
    except CliError:
        return {}
    rates: dict[str, Decimal] = {}
    for provider in providers:
        for model, rate in (provider["spec"].get("referenceRatesUSD") or {}).items():
            found = amount(rate)
            if found is not None:
                rates.setdefault(model, found)
    return rates


def _forgotten(status: Json, leases: Iterable[LeaseView], now: datetime) -> Decimal:
    """Spent on leases whose ledger entry is gone: the larger of the two records of it.

    `attempts` is bounded and drops its oldest; `closedCostUSD` is not, but may lag by one write.
    """
    present = {v.name for v in leases}
    attempts = status.get("attempts") or []
    listed = sum(
        (amount(a.get("costUSD")) or _NOTHING for a in attempts if a["leaseName"] not in present),
        _NOTHING,
    )
    closed_here = sum((v.cost_usd(now) for v in leases if not v.is_open), _NOTHING)
    recorded = (amount(status.get("closedCostUSD")) or _NOTHING) - closed_here
    # Cents were rounded when they were recorded; a negative rest is only that.
    return max(listed, recorded, _NOTHING)


def _reference(
    status: Json, leases: Sequence[LeaseView], rates: Mapping[str, Decimal], now: datetime
) -> Decimal | None:
    """What the same GPU-hours would have cost at the reference rate."""
    live = [v.reference_usd(now, rates) for v in leases]
    known = [value for value in live if value is not None]
    if len(known) < len(live) or not live:
        # As last written: no rate to derive it from, or no lease left.
        return amount((status.get("cost") or {}).get("referenceUSD"))
    closed_here = sum(
        (v.reference_usd(now, rates) or _NOTHING for v in leases if not v.is_open), _NOTHING
    )
    recorded = (amount(status.get("closedReferenceUSD")) or _NOTHING) - closed_here
    return sum(known, max(recorded, _NOTHING))


def _deleted(leases: Sequence[LeaseView]) -> Json:
    """A stand-in for a job that is gone while its ledger is not."""
    first = leases[0]
    return {
        "metadata": {"namespace": first.namespace, "name": first.job, "uid": first.job_uid},
        "status": {"phase": "Deleted"},
    }
