"""What a Shadeform instance's answer means: phase, price, endpoints. Pure; for `shadeform.py`.

`active` is the machine's state, not the container's: nothing here says how a command does or ended.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.shadeform_offers import CENTS, model_of
from overspill.providers.shadeform_wire import Instance

DELETED, DELETING, ERROR, ACTIVE = "deleted", "deleting", "error", "active"
ENDING = frozenset({DELETED, DELETING})
"""From here on nothing is billed, as the market's description of a deletion says."""

_FIRST_YEAR = 1970

_PHASES: dict[str, tuple[Phase, str, str]] = {
    "creating": (Phase.PENDING, "Creating", "the market looks for the machine"),
    "pending_provider": (Phase.PENDING, "PendingProvider", "the cloud makes the machine"),
    "pending": (Phase.STARTING, "Pending", "the machine boots"),
    ACTIVE: (Phase.RUNNING, "Running", ""),
    ERROR: (Phase.FAILED, "InstanceError", "the machine could not be made"),
    DELETING: (Phase.TERMINATING, "Deleting", "the market deletes it"),
    DELETED: (Phase.TERMINATED, "Deleted", "the instance is deleted"),
}


def observation(found: Instance) -> Observation:
    """What the market says of one instance."""
    message = f"the market says {found.status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(found.status, (Phase.UNKNOWN, "UnknownStatus", message))
    if found.status == ERROR and _moment(found.active_at) is not None:
        phase, text = Phase.LOST, "the machine failed after it ran"
    hardware = found.configuration
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=price_of(found),
        gpu_model=model_of(hardware) if hardware else "",
        gpu_count=hardware.num_gpus if hardware else None,
        host_id="/".join(filter(None, (found.cloud, found.region))),
        endpoints=tuple(_endpoints(found)) if phase is Phase.RUNNING else (),
        started_at=_moment(found.active_at),
        billed_usd=found.cost_estimate,
    )


def held_lease(found: Instance) -> HeldLease:
    """One of ours or another's."""
    return HeldLease(
        Handle(found.name, found.id),
        is_live=found.status not in ENDING,
        created_at=_moment(found.created_at),
        price_usd_per_hour=price_of(found),
        observation=observation(found),
    )


def price_of(found: Instance) -> Decimal | None:
    """USD per hour for the whole instance; the market counts cents."""
    return found.hourly_price / CENTS if found.hourly_price else None


def _endpoints(found: Instance) -> Iterable[Endpoint]:
    docker = found.launch_configuration.docker_configuration if found.launch_configuration else None
    if docker is None or not found.ip:
        return
    outside = {p.internal_port: p.external_port for p in found.port_mappings or []}
    for mapping in docker.port_mappings or []:
        external = outside.get(mapping.host_port) or mapping.host_port
        yield Endpoint(mapping.container_port, found.ip, external)


def _moment(told: datetime | None) -> datetime | None:
    """None for the zero time that stands for "never"."""
    return told if told is not None and told.year >= _FIRST_YEAR else None
