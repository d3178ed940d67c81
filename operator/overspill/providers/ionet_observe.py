"""What an io.net deployment's answer means: phase, price, endpoints, end. Pure; for `ionet.py`.

Nothing here says how a command ended: `completed` means that the prepaid hours are over. A
`public_url` appears only once something answers on the port, so its absence is no failure.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit

from overspill.core.gpus import canonical_model
from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.ionet_wire import Deployment, Worker

ENDED = frozenset({"completed", "failed", "terminated", "destroyed"})
NOT_BOOKED = frozenset({"unpaid"})

_PHASES: dict[str, tuple[Phase, str, str]] = {
    "unpaid": (Phase.PENDING, "Unpaid", "the booking is not paid yet"),
    "deployment requested": (Phase.PENDING, "Requested", "the market looks for a machine"),
    "deploying": (Phase.STARTING, "Deploying", "the container starts"),
    "running": (Phase.RUNNING, "Running", ""),
    "termination requested": (Phase.TERMINATING, "Terminating", "the market ends it"),
    "completed": (Phase.TERMINATED, "HoursUsedUp", "the prepaid hours are over"),
    "failed": (Phase.TERMINATED, "Failed", "the market gave it up"),
    "terminated": (Phase.TERMINATED, "Terminated", "the deployment is terminated"),
    "destroyed": (Phase.TERMINATED, "Destroyed", "the deployment is destroyed"),
}


def status_of(deployment: Deployment) -> str:
    """The market's word, in one spelling."""
    return " ".join(deployment.status.lower().replace("_", " ").replace("-", " ").split())


def price_of(deployment: Deployment) -> Decimal | None:
    """USD per hour: what was paid for the hours that were booked, fees included."""
    minutes = deployment.minutes_served + deployment.minutes_remaining
    if not deployment.amount_paid or minutes <= 0:
        return None
    hours = max(1, (minutes + 30) // 60)  # whole hours are sold; minutes are rounded by the market
    return (deployment.amount_paid / hours).quantize(Decimal("0.000001"))


def observation(
    deployment: Deployment, workers: Sequence[Worker], port: int, now: datetime
) -> Observation:
    """What the market says of one deployment."""
    status = status_of(deployment)
    message = f"the market says {deployment.status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(status, (Phase.UNKNOWN, "UnknownStatus", message))
    if phase is Phase.RUNNING and workers and not any(w.status == "running" for w in workers):
        phase, reason, text = Phase.STARTING, "ContainerNotReady", "the container does not run yet"
    first = workers[0] if workers else None
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=price_of(deployment),
        gpu_model=canonical_model(deployment.hardware_name or ""),
        gpu_count=deployment.total_gpus,
        host_id=(first.device_id or "") if first else "",
        endpoints=_endpoints(workers, port) if phase is Phase.RUNNING else (),
        started_at=deployment.started_at,
        ends_at=_end(deployment, now) if phase is Phase.RUNNING else None,
        billed_usd=deployment.amount_paid,
    )


def held_lease(deployment: Deployment) -> HeldLease:
    """One of ours or another's; ended ones stay in the list for ever."""
    return HeldLease(
        Handle(deployment.name or "", deployment.id),
        is_live=status_of(deployment) not in ENDED,
        created_at=deployment.created_at,
    )


def _end(deployment: Deployment, now: datetime) -> datetime | None:
    left = deployment.minutes_remaining
    return now + timedelta(minutes=left) if left > 0 else None


def _endpoints(workers: Sequence[Worker], port: int) -> tuple[Endpoint, ...]:
    found = []
    for worker in workers:
        url = urlsplit(worker.public_url or "")
        if url.hostname:
            outer = url.port or (443 if url.scheme == "https" else 80)
            found.append(Endpoint(port, url.hostname, outer, url.scheme))
    return tuple(found)
