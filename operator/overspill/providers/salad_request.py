"""What we ask of SaladCloud for one lease: the body of a create. Values of secrets enter only here.

The API takes words and values of one line and at most 1000 characters, none of them empty. So the
command travels in numbered variables that a short loop puts together again, and what does not
fit as a variable goes with it.
"""

import re
import shlex
from decimal import Decimal
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers._entrypoint import words_of

LONGEST = 1000
VARIABLE = "OVERSPILL_RUN"
LOADER = (
    f'i=0 t=; while eval "p=\\${{{VARIABLE}_$i-}}"; [ -n "$p" ]; do t=$t$p i=$((i+1)); done; '
    'eval "$(printf %b "$t")"'
)
"""POSIX sh; without a doubled dollar sign, which a kubelet would halve."""

_MIB, _BYTES = Decimal(1024), Decimal(2**30)
_LEAST_MB, _LEAST_BYTES = 1024, 2**30
_ONE_LINE = re.compile(r"[^\r\n\u2028\u2029]+")


def body_of(request: OpenRequest, countries: tuple[str, ...]) -> dict[str, Any]:
    """The create body. Raises OfferRejected for what SaladCloud cannot be told to run."""
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise no(request, "it runs one container on one machine, and this is another request")
    if request.gpu_count != request.offer.gpu_count:
        raise no(request, f"an instance of the class has {request.offer.gpu_count} GPUs or none")
    if not workload.command:
        raise no(request, "the workload has no command, so the image would run what it likes")
    if len(set(workload.ports)) > 1:
        raise no(request, "it publishes one HTTP port")
    body: dict[str, Any] = {
        "name": request.key,
        "autostart_policy": True,
        "replicas": 1,
        "restart_policy": "never",  # an end that can be seen, where `always` would hide it
        "container": {
            "image": workload.image,
            "command": ["/bin/sh", "-c", LOADER],
            "environment_variables": _environment(request, workload),
            "priority": request.offer.attribute("priority"),
            "resources": _resources(request, workload),
        },
    }
    if workload.ports:
        body["networking"] = {"protocol": "http", "port": workload.ports[0], "auth": False}
    return body | ({"country_codes": list(countries)} if countries else {})


def encoded(text: str) -> str:
    r"""One line for `printf %b`: only backslashes and ends of lines need another form."""
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")


def no(request: OpenRequest, why: str) -> OfferRejected:
    """This request cannot be taken, said before anything was sent."""
    provider = request.offer.provider
    return OfferRejected(f"{provider}: SaladCloud cannot take this: {why}", provider=provider)


def _resources(request: OpenRequest, workload: PortableWorkload) -> dict[str, Any]:
    cpu = int(workload.cpu_units.to_integral_value(rounding="ROUND_CEILING"))
    memory = int((workload.memory_gib * _MIB).to_integral_value(rounding="ROUND_CEILING"))
    disk = int((workload.disk_gib * _BYTES).to_integral_value(rounding="ROUND_CEILING"))
    return {
        "cpu": _within(request, "vcpu", "vCPUs", max(1, cpu)),
        "memory": _within(request, "ram", "MB of memory", max(_LEAST_MB, memory)),
        "storage_amount": _within(request, "storage", "bytes of disk", max(_LEAST_BYTES, disk)),
        "gpu_classes": [request.offer.attribute("class")],
    }


def _within(request: OpenRequest, name: str, unit: str, wanted: int) -> int:
    """At least what the class always has; refused over its most."""
    most = int(request.offer.attribute(f"max_{name}", "0"))
    if most and wanted > most:
        raise no(request, f"the class has at most {most} {unit}, {wanted} are asked for")
    return max(wanted, int(request.offer.attribute(f"min_{name}", "0")))


def _environment(request: OpenRequest, workload: PortableWorkload) -> dict[str, str]:
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise no(request, f"no value was given for {', '.join(sorted(missing))}")
    values = {**dict(workload.env), **{k: request.secrets[k] for k in sorted(request.secrets)}}
    fitting = {name: value for name, value in values.items() if _fits(value)}
    rest = [f"{name}={value}" for name, value in values.items() if name not in fitting]
    words = [*(["env", *rest] if rest else []), *words_of(workload)]
    return fitting | _pieces(encoded(f"exec {shlex.join(words)}"))


def _fits(value: str) -> bool:
    return len(value) <= LONGEST and _ONE_LINE.fullmatch(value) is not None


def _pieces(text: str) -> dict[str, str]:
    """Never cut beside a blank: one at an edge may be trimmed somewhere on the way."""
    found: list[str] = []
    while text:
        size = LONGEST
        while 1 < size < len(text) and " " in text[size - 1 : size + 1]:
            size -= 1
        found.append(text[:size])
        text = text[size:]
    return {f"{VARIABLE}_{n}": piece for n, piece in enumerate(found)}
