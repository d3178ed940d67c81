"""What we ask of Dispersed for one lease: the body of a job. Values of secrets enter only here.

The API has no command: an image runs its entrypoint. So an image must say that it is ready, by an
entrypoint that runs the shell text in the variable OVERSPILL_RUN; everything travels in there.
"""

import shlex
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.dispersed_config import Config

VARIABLE = "OVERSPILL_RUN"
ENTRYPOINT = f"""ENTRYPOINT ["/bin/sh", "-c", "eval \\"${VARIABLE}\\""]"""
SSH = 22
"""Without it in the list of ports the market tells no address at all."""


def body_of(request: OpenRequest, config: Config, now: datetime) -> dict[str, Any]:
    """The create body. Raises OfferRejected for what Dispersed cannot be told to run."""
    workload = _checked(request, config)
    left_ms = int((request.hard_deadline - now).total_seconds() * 1000)
    if left_ms <= 0:
        raise no(request, "the hard deadline of the lease is over")
    body: dict[str, Any] = {
        # only a BATCH job has a longest run, and that is the dead man's switch
        "task": "BATCH",
        "title": request.key,
        "description": "Overspill lease",
        "cpu_count": _up(workload.cpu_units),
        "gpu_count": request.gpu_count,
        "gpu_name": request.offer.attribute("name"),
        "min_ram_gb": _up(workload.memory_gib),
        "min_storage_gb": _up(workload.disk_gib),
        "max_timeout_run_ms": left_ms,
        "max_timeout_assign_ms": config.assign_timeout_seconds * 1000,
        "max_timeout_start_ms": config.start_timeout_seconds * 1000,
        "max_node_count": 1,
        "max_retry_count": 0,
        "parameters": {"type": "docker", "parameters": _docker(request, workload)},
    }
    if request.offer.gpu_memory_gib is not None:
        body["min_vram_gb"] = int(request.offer.gpu_memory_gib)
    return body


def is_ready(image: str, patterns: tuple[str, ...]) -> bool:
    """Whether an image was declared to run what stands in the variable."""
    host, name, tag = parts_of(image)
    full = "/".join(filter(None, (host, name)))
    return any(fnmatchcase(full, p) or fnmatchcase(f"{full}:{tag}", p) for p in patterns)


def parts_of(image: str) -> tuple[str, str, str]:
    """Registry host ("" for the public one), name and tag of an image."""
    head, _, rest = image.partition("/")
    has_host = bool(rest) and ("." in head or ":" in head or head == "localhost")
    host, name = (head, rest) if has_host else ("", image)
    path, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return host, "/".join(filter(None, (path, last))), tag or "latest"


def _checked(request: OpenRequest, config: Config) -> PortableWorkload:
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise no(request, "it runs one container on one machine, and this is another request")
    if "@" in workload.image:
        raise no(request, f"it takes an image by tag, and {workload.image} names one by digest")
    if not workload.command:
        raise no(request, "the workload has no command, so the image would run what it likes")
    if not is_ready(workload.image, config.runner_images):
        raise no(
            request,
            f"it cannot be given a command, and {workload.image} is not declared to run ours: "
            f"build the image with {ENTRYPOINT} and name it in config.runnerImages",
        )
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise no(request, f"no value was given for {', '.join(sorted(missing))}")
    return workload


def _docker(request: OpenRequest, workload: PortableWorkload) -> dict[str, Any]:
    host, name, tag = parts_of(workload.image)
    words = [*workload.command, *workload.args]
    if workload.working_dir:
        words = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workload.working_dir, *words]
    secrets = {name: request.secrets[name] for name in sorted(request.secrets)}
    return {
        "image": name,
        "tag": tag,
        "host": host,
        "user": "",
        "secret": "",
        "sshkey": "",
        "env": {**dict(workload.env), **secrets, VARIABLE: f"exec {shlex.join(words)}"},
        "ports": sorted({SSH, *workload.ports}),
        "allowed_ips": ["0.0.0.0/0"],
        "volumes": [],
    }


def _up(amount: Any) -> int:
    return max(1, int(amount.to_integral_value(rounding="ROUND_CEILING")))


def no(request: OpenRequest, why: str) -> OfferRejected:
    """A refusal of ours."""
    provider = request.offer.provider
    return OfferRejected(f"{provider}: Dispersed cannot take this: {why}", provider=provider)
