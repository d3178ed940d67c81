"""What a Vast.ai instance's answer means: phase, reason, endpoints, price. Pure; for `vast.py`.

`exited` says nothing of success (no exit code is told), and never becomes `running` again by
itself. `offline` is the market's own word for a host it lost. `unknown` is no word at all.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from overspill.core.gpus import canonical_model
from overspill.core.lease import Handle
from overspill.core.observation import Endpoint, HeldLease, Observation
from overspill.core.vocabulary import Phase
from overspill.providers.vast_wire import Instance

_PHASES: dict[str, tuple[Phase, str, str]] = {
    "": (Phase.PENDING, "Provisioning", "the host has not begun yet"),
    "loading": (Phase.STARTING, "Loading", "the host fetches the image"),
    "created": (Phase.STARTING, "Loading", "the host fetches the image"),
    "rebooting": (Phase.STARTING, "Rebooting", "the container is restarted"),
    "running": (Phase.RUNNING, "Running", ""),
    "frozen": (Phase.UNKNOWN, "Frozen", "the container is paused and billed"),
    "unknown": (Phase.UNKNOWN, "HostSilent", "the host sends no heartbeat"),
    "exited": (Phase.FAILED, "ContainerExited", "the container exited; nobody tells its code"),
    "offline": (Phase.LOST, "HostOffline", "the host left the market"),
    "stopped": (Phase.LOST, "StoppedByMarket", "the market stopped it (credit, or outbid)"),
}


def observation(instance: Instance) -> Observation:
    """What the market says of one instance."""
    status = (instance.actual_status or "").lower()
    if status in {"", "loading", "created"} and instance.intended_status == "stopped":
        status = "stopped"  # it will never begin
    message = f"the market says {status!r}, a word we do not know"
    phase, reason, text = _PHASES.get(status, (Phase.UNKNOWN, "UnknownStatus", message))
    memory = instance.gpu_ram / 1024 if instance.gpu_ram else None
    return Observation(
        phase,
        reason=reason,
        message=text,
        price_usd_per_hour=instance.dph_total,
        gpu_model=canonical_model(instance.gpu_name, memory) if instance.gpu_name else "",
        gpu_count=instance.num_gpus,
        host_id="" if instance.machine_id is None else str(instance.machine_id),
        endpoints=tuple(_endpoints(instance)) if phase is Phase.RUNNING else (),
        started_at=_time(instance.start_date),
        ends_at=_time(instance.end_date),
    )


def held_lease(instance: Instance) -> HeldLease:
    """One of ours or another's: whatever is listed still bills, if only its disk."""
    return HeldLease(
        Handle(instance.label or "", str(instance.id)),
        is_live=True,
        created_at=_time(instance.start_date),
        price_usd_per_hour=instance.dph_total,
        observation=observation(instance),
    )


def _endpoints(instance: Instance) -> Iterable[Endpoint]:
    if not isinstance(instance.ports, dict) or not instance.public_ipaddr:
        return
    for name, mapped in sorted(instance.ports.items()):
        port, _, protocol = name.partition("/")
        for outer in mapped[:1]:
            if port.isdecimal() and outer.host_port.isdecimal():
                host = instance.public_ipaddr.strip()
                yield Endpoint(int(port), host, int(outer.host_port), protocol or "tcp")


def _time(seconds: Decimal | None) -> datetime | None:
    if not seconds or seconds > 10**11:
        return None
    return datetime.fromtimestamp(float(seconds), UTC)
