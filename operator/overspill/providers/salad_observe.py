"""What a container group's answer means: phase, reason, endpoint. Pure; called by `salad.py`.

A machine that leaves is replaced by the market itself, without a word and on an empty disk: the
group stays what it was, only its machine's id changes. So nothing here is ever `LOST` but a group
that somebody, or an empty balance, stopped.
"""

from decimal import Decimal

from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.salad_wire import Group

_HTTPS = 443
_PHASES: dict[str, tuple[Phase, str, str]] = {
    "pending": (Phase.PENDING, "Preparing", "the market prepares the image"),
    "deploying": (Phase.STARTING, "Deploying", "no machine runs it yet"),
    "running": (Phase.RUNNING, "Running", ""),
    "succeeded": (Phase.SUCCEEDED, "Succeeded", "the container ended well"),
    "failed": (Phase.FAILED, "Failed", "the image could not be prepared, or the container failed"),
    "stopped": (Phase.LOST, "Stopped", "the group was stopped, and not by us"),
}
_REALLOCATED = "its machine left; the market looks for another one"
_MOVED = "the market moved it to another machine, where it began on an empty disk"


def observation(
    group: Group, price: Decimal | None, gpu_model: str, *, machine: str = "", moved: bool = False
) -> Observation:
    """What the market says of one group; `machine` runs it now, `moved`: since the last look."""
    state = group.current_state
    message = f"the market says {state.status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(state.status, (Phase.UNKNOWN, "UnknownStatus", message))
    if phase is Phase.RUNNING and not runs(group):
        phase, reason, text = Phase.STARTING, "Reallocating", _REALLOCATED
    elif phase is Phase.RUNNING and moved:
        phase, reason, text = Phase.RESTARTED, "Reallocated", _MOVED
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=price,
        gpu_model=gpu_model,
        host_id=machine,
        endpoints=_endpoints(group) if phase in (Phase.RUNNING, Phase.RESTARTED) else (),
    )


def runs(group: Group) -> bool:
    """Whether a machine runs it, which is also when it is billed."""
    state = group.current_state
    return state.status == "running" and state.instance_status_counts.running_count > 0


def held_lease(group: Group, price: Decimal | None, gpu_model: str) -> HeldLease:
    """One of ours or another's; an ended one is free, and there until it is deleted."""
    return HeldLease(
        Handle(group.name, group.name),
        is_live=True,
        created_at=group.create_time,
        price_usd_per_hour=price,
        observation=observation(group, price, gpu_model),
    )


def _endpoints(group: Group) -> tuple[Endpoint, ...]:
    network = group.networking
    if network is None or not network.dns:
        return ()
    return (Endpoint(network.port, network.dns, _HTTPS, "https"),)
