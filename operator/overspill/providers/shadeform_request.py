"""What we ask of Shadeform for one lease: the body of a create. Pure.

Values of secrets enter only here. The market starts one container on the machine when that is up;
it takes one string of arguments for the image's entrypoint (`_entrypoint.py`).
"""

from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers._entrypoint import ARGS, VARIABLE, is_program, run_line
from overspill.providers.shadeform_config import Config

_GB_PER_GIB = Decimal(2**30) / 10**9
_CENT = Decimal("0.01")
SSH = 22


def body_of(request: OpenRequest, config: Config) -> dict[str, Any]:
    """The create body. Raises OfferRejected for what cannot be run there."""
    workload = _checked(request, config)
    offer = request.offer
    docker: dict[str, Any] = {
        "image": workload.image,
        "args": ARGS,
        "envs": _environment(request, workload),
    }
    if workload.ports:
        docker["port_mappings"] = [
            {"host_port": port, "container_port": port} for port in sorted(set(workload.ports))
        ]
    body: dict[str, Any] = {
        "cloud": offer.attribute("cloud"),
        "region": offer.attribute("region"),
        "shade_instance_type": offer.attribute("type"),
        "shade_cloud": True,
        "name": request.key,
        "launch_configuration": {"type": "docker", "docker_configuration": docker},
        "auto_delete": auto_delete(request.hard_deadline, request.max_total_usd),
        "tags": ["overspill", f"overspill-{request.cluster_id[:8]}"],
    }
    return body | ({"os": config.os} if config.os else {})


def auto_delete(deadline: datetime, most_usd: Decimal) -> dict[str, str]:
    """The dead man's switch: the market deletes the instance at whichever comes first."""
    spend = max(_CENT, most_usd.quantize(_CENT, ROUND_DOWN))
    return {
        "date_threshold": deadline.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "spend_threshold": format(spend, "f"),
    }


def _checked(request: OpenRequest, config: Config) -> PortableWorkload:
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise _no(request, "it runs one container on one machine, and this is another request")
    if request.gpu_count != request.offer.gpu_count:
        raise _no(request, "its instances are taken whole")
    if not workload.command:
        raise _no(request, "the workload has no command, so the image would run what it likes")
    if is_program(workload.image, config.program_images):
        raise _no(
            request,
            f"the entrypoint of {workload.image} is a program and runs no command; Shadeform's API "
            "cannot replace it (config.programImages lists such images)",
        )
    if SSH in workload.ports:
        raise _no(request, "port 22 of its machines is taken")
    _check_size(request, workload)
    return workload


def _check_size(request: OpenRequest, workload: PortableWorkload) -> None:
    """The machine is as big as it is; what it cannot hold is said before anything is rented."""
    for what, needed, name in (
        ("GB of memory", workload.memory_gib * _GB_PER_GIB, "memoryGb"),
        ("GB of disk", workload.disk_gib * _GB_PER_GIB, "storageGb"),
        ("CPUs", workload.cpu_units, "vcpus"),
    ):
        has = Decimal(request.offer.attribute(name, "0"))
        if 0 < has < needed:
            raise _no(request, f"the instance has {has} {what}, the workload needs {needed:.1f}")


def _environment(request: OpenRequest, workload: PortableWorkload) -> list[dict[str, str]]:
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise _no(request, f"no value was given for {', '.join(sorted(missing))}")
    values = {**dict(workload.env), **{k: request.secrets[k] for k in sorted(request.secrets)}}
    values[VARIABLE] = run_line(workload)
    return [{"name": name, "value": value} for name, value in values.items()]


def _no(request: OpenRequest, why: str) -> OfferRejected:
    provider = request.offer.provider
    return OfferRejected(f"{provider}: Shadeform cannot take this: {why}", provider=provider)
