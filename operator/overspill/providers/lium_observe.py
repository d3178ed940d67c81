"""What a Lium pod's answer means: phase, reason, endpoints, price. Pure; called by `lium.py`.

An ended command is started again by the host, so no state here is an end of ours.
"""

import re
from collections.abc import Iterable

from overspill.core.gpus import canonical_model
from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.lium_offers import model_of
from overspill.providers.lium_request import SSH_PORT
from overspill.providers.lium_wire import Pod

NEVER_BEGAN = frozenset({"CREATION_FAILED", "FAILED", "ERROR"})
OVER = frozenset({"TERMINATED", "DELETED", "REMOVED", "CANCELLED"})
_GONE = "the market gave the pod up"

_PHASES: dict[str, tuple[Phase, str, str]] = {
    "PENDING": (Phase.PENDING, "Pending", "the pod is being created"),
    "REBOOT_PENDING": (Phase.STARTING, "Rebooting", "the pod is started again"),
    "RUNNING": (Phase.RUNNING, "Running", ""),
    "STOPPED": (Phase.LOST, "Stopped", "the pod was stopped, and not by us"),
    "BROKEN": (Phase.LOST, "Broken", "the host left or broke"),
    "REBOOT_FAILED": (Phase.LOST, "RebootFailed", "the host did not come back"),
    "DELETING": (Phase.TERMINATING, "Deleting", "the pod is being removed"),
    **{word: (Phase.FAILED, "NeverBegan", _GONE) for word in NEVER_BEGAN},
    **{word: (Phase.TERMINATED, "Removed", "the pod is removed") for word in OVER},
}


def observation(pod: Pod) -> Observation:
    """What the market says of one pod."""
    status = pod.status.upper()
    message = f"the market says {status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(status, (Phase.UNKNOWN, "UnknownStatus", message))
    if phase is Phase.PENDING and pod.phase:
        text = f"{text}: {pod.phase}"
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=pod.price,
        gpu_model=gpu_of(pod),
        gpu_count=pod.gpu_count,
        host_id=pod.executor.id if pod.executor else "",
        endpoints=tuple(_endpoints(pod)) if phase is Phase.RUNNING else (),
        ends_at=pod.removal_scheduled_at,
    )


def held_lease(pod: Pod) -> HeldLease:
    """One of ours or another's; what is listed bills, unless it is over."""
    return HeldLease(
        Handle(pod.pod_name, pod.id),
        is_live=pod.status.upper() not in OVER,
        created_at=pod.created_at,
        price_usd_per_hour=pod.price,
        observation=observation(pod),
    )


def gpu_of(pod: Pod) -> str:
    """Our name of its GPUs, "" where the market does not tell."""
    memory = model_of(pod.executor)[1] if pod.executor else None
    if pod.gpu_name:
        return canonical_model(pod.gpu_name, memory)
    return model_of(pod.executor)[0] if pod.executor and pod.executor.machine_name else ""


def _endpoints(pod: Pod) -> Iterable[Endpoint]:
    found = re.search(r"@(\S+)", pod.ssh_connect_cmd or "")
    known = pod.executor.executor_ip_address if pod.executor else None
    host = found.group(1) if found else known
    if not host:
        return
    for inner, outer in sorted(pod.ports_mapping.items()):
        if inner.isdecimal() and str(outer).isdecimal() and int(inner) != SSH_PORT:
            yield Endpoint(int(inner), host, int(outer))
