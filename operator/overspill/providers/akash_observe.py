"""What an Akash deployment's answer means: phase, reason, endpoints, bill.

Pure; called by `akash.py`. An active lease whose provider could not be asked is UNKNOWN: the
chain goes on paying for it, and only missing reports over time make it lost.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from overspill.core.observation import Endpoint, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.akash_prices import Rates
from overspill.providers.akash_wire import Held, LeaseStatus, WireLease

_LIVE = ("active", "reclaiming")

_ENDS: tuple[tuple[tuple[str, ...], Phase, str, str], ...] = (
    (("10000", "unstable"), Phase.LOST, "ProviderUnstable", "the provider found it unstable"),
    (("10001", "decommission"), Phase.LOST, "ProviderDecommissioned", "the provider goes away"),
    (("10002", "unspecified"), Phase.LOST, "ProviderClosed", "the provider gave no reason"),
    (("10003", "manifest_timeout"), Phase.FAILED, "ManifestTimeout", "no manifest arrived in time"),
    (("20000", "insufficient_funds"), Phase.FAILED, "InsufficientFunds", "its escrow ran dry"),
    (("1", "owner"), Phase.TERMINATED, "ClosedByOwner", "its owner closed it"),
)
"""Why the chain says a lease ended; the first match counts, so the bare 1 stands last."""


def live_lease(held: Held) -> WireLease | None:
    """The lease that is being paid, if there is one."""
    return next((lease for lease in held.leases if lease.state in _LIVE), None)


def observation(held: Held, rates: Rates) -> Observation:
    """What the market says of a deployment that it holds as active."""
    lease = live_lease(held) or (held.leases[-1] if held.leases else None)
    billed = billed_usd(held, rates)
    if lease is None:
        message = "the deployment has no lease yet"
        return Observation(Phase.PENDING, reason="NoLease", message=message, billed_usd=billed)
    phase, reason, message = _phase(lease)
    return Observation(
        phase,
        reason=reason,
        message=message,
        price_usd_per_hour=rates.usd_per_hour(lease.price),
        host_id=lease.id.provider,
        endpoints=tuple(_endpoints(lease.status)) if lease.status else (),
        billed_usd=billed,
    )


def ended(held: Held, rates: Rates) -> Observation | None:
    """The observation of a lease that ended by itself; None while one is live or none began.

    The own list carries no live status, so it can tell only this much.
    """
    if live_lease(held) is not None or not held.leases:
        return None
    return observation(held, rates)


def billed_usd(held: Held, rates: Rates) -> Decimal | None:
    """What the escrow has paid out; the chain settles now and then and at the close."""
    amounts = [rates.usd_of(price) for price in held.escrow_account.state.transferred]
    known = [usd for usd in amounts if usd is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


def created_at(dseq: str) -> datetime | None:
    """The console's sequence numbers are its own clock in milliseconds; others tell nothing."""
    if len(dseq) != 13:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(dseq))


def has_manifest(lease: WireLease) -> bool:
    """Whether the provider shows services: then it got the manifest."""
    return lease.status is not None and bool(lease.status.services)


def _phase(lease: WireLease) -> tuple[Phase, str, str]:
    if lease.state == "insufficient_funds":
        return Phase.FAILED, "InsufficientFunds", "the lease stopped, its escrow ran dry"
    if lease.state not in _LIVE:
        return _ended(lease)
    if lease.status is None:
        message = "the lease is active and billing, but its provider could not be asked"
        return Phase.UNKNOWN, "ProviderUnreachable", message
    if lease.state == "reclaiming":
        return Phase.RUNNING, "Reclaiming", "the provider takes the place back soon"
    services = (lease.status.services or {}).values()
    ready, wanted = sum(s.available for s in services), sum(s.total for s in services)
    if wanted == 0 or ready < wanted:
        return Phase.STARTING, "Starting", f"{ready} of {max(wanted, 1)} replicas are there"
    return Phase.RUNNING, "Running", ""


def _ended(lease: WireLease) -> tuple[Phase, str, str]:
    raw = str(lease.reason or "").lower()
    for words, phase, reason, message in _ENDS:
        if any(raw == word or (len(word) > 1 and word in raw) for word in words):
            return phase, reason, f"the lease was closed: {message}"
    return Phase.LOST, "LeaseClosed", "the lease was closed and nobody says why"


def _endpoints(status: LeaseStatus) -> Iterable[Endpoint]:
    for forwarded in (status.forwarded_ports or {}).values():
        for port in forwarded:
            yield Endpoint(port.port, port.host, port.external_port)
    for addresses in (status.ips or {}).values():
        for ip in addresses:
            yield Endpoint(ip.port, ip.ip, ip.external_port, ip.protocol.lower())
    for service in (status.services or {}).values():
        for uri in service.uris or []:
            yield Endpoint(80, uri, 80, "http")
