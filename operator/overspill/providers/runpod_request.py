"""What we ask of RunPod for one lease: the body of a create. Values of secrets enter only here.

The API has one string of arguments for the image's entrypoint and nothing to replace that. The
string asks a shell to run a variable of the environment, so no quoting of ours can be lost in it;
an image whose entrypoint is a program of its own cannot be told that, and is refused.
"""

import json
from decimal import Decimal
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers._entrypoint import ARGS, VARIABLE, is_program, run_line, words_of
from overspill.providers.runpod_config import Config
from overspill.providers.runpod_offers import disk_gb, disk_usd_per_hour


def body_of(request: OpenRequest, config: Config) -> dict[str, Any]:
    """The create body. Raises OfferRejected for what RunPod cannot be told to run."""
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise _no(request, "it runs one container on one machine, and this is another request")
    if not workload.command:
        raise _no(request, "the workload has no command, so the image would run what it likes")
    _check_image(request, workload, config)
    gb = disk_gb(workload.disk_gib)
    _check_price(request, config, gb)
    offer = request.offer
    body: dict[str, Any] = {
        "name": request.key,
        "image": workload.image,
        "args": _args(workload, config),
        "disk": gb,
        "env": _environment(request, workload, config),
        "ports": [_port(port, config) for port in sorted(set(workload.ports))],
        "gpu": {"id": offer.attribute("gpu"), "count": request.gpu_count},
        "cloud": offer.attribute("cloud"),
    }
    centers = offer.attribute("dataCenters").split()
    body |= {"dataCenterIds": centers} if centers else {}
    return body | ({"registry": config.registry} if config.registry else {})


def _check_image(request: OpenRequest, workload: PortableWorkload, config: Config) -> None:
    if config.start_command == "shell" and is_program(workload.image, config.program_images):
        raise _no(
            request,
            f"the entrypoint of {workload.image} is a program and runs no command; "
            "RunPod's API cannot replace it (config.programImages lists such images)",
        )


def _check_price(request: OpenRequest, config: Config, gb: int) -> None:
    """A bigger disk than was quoted costs more: said before anything is rented."""
    told = request.offer.attribute("gpuUsdPerHour")
    if not told:
        return
    price = Decimal(told) * request.gpu_count + disk_usd_per_hour(config, gb)
    if price > request.max_usd_per_hour:
        raise _no(
            request,
            f"with a disk of {gb} GB it costs {price:.4f} USD per hour, over the cap of "
            f"{request.max_usd_per_hour}; offers are quoted with config.diskGib",
        )


def _args(workload: PortableWorkload, config: Config) -> str:
    if config.start_command == "shell":
        return ARGS
    words = words_of(workload)
    return json.dumps({"entrypoint": words[:1], "cmd": words[1:]})


def _environment(
    request: OpenRequest, workload: PortableWorkload, config: Config
) -> dict[str, str]:
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise _no(request, f"no value was given for {', '.join(sorted(missing))}")
    values = {**dict(workload.env), **{k: request.secrets[k] for k in sorted(request.secrets)}}
    if config.start_command == "shell":
        values[VARIABLE] = run_line(workload)
    return values


def _port(port: int, config: Config) -> str:
    return f"{port}/{'tcp' if str(port) in config.tcp_ports else 'http'}"


def _no(request: OpenRequest, why: str) -> OfferRejected:
    provider = request.offer.provider
    return OfferRejected(f"{provider}: RunPod cannot take this: {why}", provider=provider)
