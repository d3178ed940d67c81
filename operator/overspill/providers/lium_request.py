"""What we ask of Lium for one lease: a template, and a rent. Values of secrets enter only here.

A template's entrypoint is one word and its start command a line that is split as a shell does it;
values are trimmed, empty ones and some names are dropped, and older hosts quote them badly. So the
command travels in one variable, written with harmless characters only, and with it what would
not arrive as it is. The image needs a shell.
"""

import math
import re
import shlex
from datetime import timedelta
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers._entrypoint import words_of
from overspill.providers.lium_config import Config

VARIABLE = "OVERSPILL_RUN"
ENTRYPOINT = "/bin/sh"
START = f"""-c 'eval "$(printf %b "${VARIABLE}")"'"""
MOST_HOURS = 720
SSH_PORT = 22

_HARMLESS = re.compile(r"[A-Za-z0-9_./:=,+@%-]+( [A-Za-z0-9_./:=,+@%-]+)*")
_DROPPED = frozenset(
    ["PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "NODE_PATH", "RUBYLIB", "PERL5LIB"]
)
"""Names of variables that hosts do not pass on."""


def template_of(request: OpenRequest) -> dict[str, Any]:
    """The body of a template. Raises OfferRejected for what Lium cannot be told to run."""
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise no(request, "it runs one container on one machine, and this is another request")
    if not workload.command:
        raise no(request, "the workload has no command, so the image would run what it likes")
    if request.gpu_count < int(request.offer.attribute("leastGpus", "1")):
        least = request.offer.attribute("leastGpus")
        raise no(request, f"its owner rents out {least} GPUs at least")
    if request.hard_deadline <= request.lease.created_at:
        raise no(request, "its deadline is over")
    return {
        "name": request.key,
        "docker_image": workload.image,
        "docker_image_digest": "",
        "docker_image_tag": "",  # the market splits the reference itself
        "internal_ports": sorted({SSH_PORT, *workload.ports}),
        "startup_commands": START,
        "category": "UBUNTU",
        "container_start_immediately": True,
        "description": request.key,
        "entrypoint": ENTRYPOINT,
        "environment": _environment(request, workload),
        "is_private": True,
        "one_time_template": True,  # it goes with its pod
        "is_temporary": False,
        "readme": request.key,
        "volumes": ["/workspace"],
    }


def emptied(body: dict[str, Any]) -> dict[str, Any]:
    """The same template without anything of the workload's."""
    return {**body, "environment": {}, "startup_commands": ""}


def rent_of(request: OpenRequest, template: str, config: Config) -> dict[str, Any]:
    """The body of a rent: the same for the same lease, whenever it is sent."""
    left = request.hard_deadline - request.lease.created_at
    body: dict[str, Any] = {
        "pod_name": request.key,
        "template_id": template,
        "user_public_key": list(config.ssh_public_keys),
        "termination_hours": min(MOST_HOURS, math.ceil(left / timedelta(hours=1))),
        "enable_volume_encryption": False,
        "enable_backups": False,
    }
    if request.offer.attribute("isWhole"):
        return body  # without a number all of it is meant
    return {**body, "gpu_count": request.gpu_count}


def encoded(text: str) -> str:
    r"""One line of harmless characters for `printf %b`; all others as `\0` and octal digits."""
    harmless = frozenset(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _./:=,+@%-"
    )
    return "".join(chr(byte) if byte in harmless else f"\\0{byte:03o}" for byte in text.encode())


def no(request: OpenRequest, why: str) -> OfferRejected:
    """This request cannot be taken, said before anything was sent."""
    provider = request.offer.provider
    return OfferRejected(f"{provider}: Lium cannot take this: {why}", provider=provider)


def _environment(request: OpenRequest, workload: PortableWorkload) -> dict[str, str]:
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise no(request, f"no value was given for {', '.join(sorted(missing))}")
    values = {**dict(workload.env), **{k: request.secrets[k] for k in sorted(request.secrets)}}
    arriving = {
        k: v for k, v in values.items() if _HARMLESS.fullmatch(v) and k.upper() not in _DROPPED
    }
    rest = [f"{name}={value}" for name, value in values.items() if name not in arriving]
    words = [*(["env", *rest] if rest else []), *words_of(workload)]
    return arriving | {VARIABLE: encoded(f"exec {shlex.join(words)}")}
