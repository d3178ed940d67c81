"""What a RunPod pod's answer means: phase, reason, endpoints, price. Pure; for `runpod.py`.

An ended command is started again by the market, so `EXITED` is no end of ours: somebody, or an
empty balance, stopped the pod. `RUNNING` without a runtime is a machine that does not answer.
"""

from collections.abc import Iterable

from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.runpod_offers import model_of
from overspill.providers.runpod_wire import Pod

TERMINATED = "TERMINATED"
_HTTPS = 443

_PHASES: dict[str, tuple[Phase, str, str]] = {
    "PROVISIONING": (Phase.PENDING, "Provisioning", "the pod is being allocated"),
    "STARTING": (Phase.STARTING, "Starting", "the container starts"),
    "RUNNING": (Phase.RUNNING, "Running", ""),
    "EXITED": (Phase.LOST, "StoppedByMarket", "the pod was stopped, and not by us"),
    "ERROR": (Phase.FAILED, "PodError", "the market gave the container up"),
    TERMINATED: (Phase.TERMINATED, "Terminated", "the pod is terminated"),
}


def observation(pod: Pod, proxy_domain: str) -> Observation:
    """What the market says of one pod."""
    message = f"the market says {pod.status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(pod.status, (Phase.UNKNOWN, "UnknownStatus", message))
    if phase is Phase.RUNNING and pod.runtime is None:
        phase, reason, text = Phase.UNKNOWN, "MachineSilent", "the pod runs, its machine is silent"
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=pod.cost or None,  # 0 when nothing runs: no price
        gpu_model=model_of(pod.gpu.id) if pod.gpu else "",
        gpu_count=pod.gpu.count if pod.gpu else None,
        host_id=pod.data_center or "",
        endpoints=tuple(_endpoints(pod, proxy_domain)) if phase is Phase.RUNNING else (),
        started_at=pod.started_at,
    )


def held_lease(pod: Pod, proxy_domain: str) -> HeldLease:
    """One of ours or another's; a stopped one is still there and can be started again."""
    return HeldLease(
        Handle(pod.name, pod.id),
        is_live=pod.status != TERMINATED,
        created_at=pod.created_at,
        price_usd_per_hour=pod.cost or None,
        observation=observation(pod, proxy_domain),
    )


def _endpoints(pod: Pod, proxy_domain: str) -> Iterable[Endpoint]:
    for entry in pod.ports or []:
        port, _, kind = entry.partition("/")
        if kind == "http" and port.isdecimal():
            host = f"{pod.id}-{port}.{proxy_domain}"
            yield Endpoint(int(port), host, _HTTPS, "https")
    for mapped in (pod.runtime.ports or []) if pod.runtime else []:
        if mapped.type == "tcp" and mapped.private and mapped.public and mapped.ip:
            yield Endpoint(mapped.private, mapped.ip, mapped.public)
