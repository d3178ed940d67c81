"""Writes the deployment description (SDL) that Akash takes, the same bytes for the same request.

One service `job`, one placement named by the lease's key: that name comes back in the public
list and is how a lost lease is found again. Called by `akash.py`; values of secrets are put in
only here, when sending, and the text is never stored.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

import yaml

from overspill.core.errors import OfferRejected
from overspill.core.offer import Offer
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.akash_prices import usd_per_hour_to_block

SERVICE = "job"
KEY_VARIABLE = "GPUJOB_KEY"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the account adds to every request."""

    denom: str = "uact"
    region: str = ""
    auditors: tuple[str, ...] = field(default=())


def sdl_document(request: OpenRequest, asked: Asked) -> dict[str, Any]:
    """The SDL as data. Raises OfferRejected for what Akash cannot be told to run."""
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise OfferRejected("Akash runs one container on one node; this request is another thing")
    placement: dict[str, Any] = {
        "pricing": {SERVICE: {"denom": asked.denom, "amount": _amount(request.max_usd_per_hour)}}
    }
    if asked.region:
        placement["attributes"] = {"location-region": asked.region}
    if asked.auditors:
        placement["signedBy"] = {"anyOf": list(asked.auditors)}
    return {
        "version": "2.0",
        "services": {SERVICE: _service(request, workload)},
        "profiles": {
            "compute": {SERVICE: {"resources": _resources(request, workload)}},
            "placement": {request.key: placement},
        },
        "deployment": {SERVICE: {request.key: {"profile": SERVICE, "count": 1}}},
    }


def sdl_text(document: Mapping[str, Any]) -> str:
    """The SDL as YAML; every string is quoted, so that no parser takes one for a number."""
    return yaml.dump(
        document, Dumper=_Quoting, sort_keys=False, default_flow_style=False, width=10**9
    )


def gpu_attribute(offer: Offer) -> dict[str, str]:
    """The GPU as Akash names it: model, memory and interface, as far as the offer knows them."""
    known = {name: offer.attribute(name) for name in ("model", "ram", "interface")}
    return {name: value for name, value in known.items() if value}


def _service(request: OpenRequest, workload: PortableWorkload) -> dict[str, Any]:
    service: dict[str, Any] = {"image": workload.image}
    command, args = _command(workload)
    if command:
        service["command"] = command
    if args:
        service["args"] = args
    service["env"] = [f"{name}={value}" for name, value in _environment(request, workload).items()]
    # a provider refuses a manifest without a global port: a batch job gets one nobody listens on
    ports = workload.ports or (80,)
    service["expose"] = [{"port": port, "to": [{"global": True}]} for port in sorted(set(ports))]
    return service


def _command(workload: PortableWorkload) -> tuple[list[str], list[str]]:
    if not workload.working_dir:
        return list(workload.command), list(workload.args)
    # the SDL has no working directory
    change = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workload.working_dir]
    return change, [*workload.command, *workload.args]


def _environment(request: OpenRequest, workload: PortableWorkload) -> dict[str, str]:
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise OfferRejected(f"no value was given for {', '.join(sorted(missing))}")
    return {
        **dict(workload.env),
        **{name: request.secrets[name] for name in sorted(request.secrets)},
        KEY_VARIABLE: request.key,
    }


def _resources(request: OpenRequest, workload: PortableWorkload) -> dict[str, Any]:
    gpu = gpu_attribute(request.offer)
    return {
        "cpu": {"units": f"{math.ceil(workload.cpu_units * 1000)}m"},
        "memory": {"size": _mebibytes(workload.memory_gib)},
        "storage": [{"size": _mebibytes(workload.disk_gib)}],
        "gpu": {
            "units": request.gpu_count,
            "attributes": {"vendor": {"nvidia": [gpu] if gpu else None}},
        },
    }


def _mebibytes(gib: Decimal) -> str:
    return f"{max(1, math.ceil(gib * 1024))}Mi"


def _amount(usd_per_hour: Decimal) -> str:
    """The most we pay per block; rounded down, for it is a ceiling."""
    amount = usd_per_hour_to_block(usd_per_hour)
    return format(amount.quantize(Decimal("0.000001"), rounding=ROUND_DOWN).normalize(), "f")


class _Quoting(yaml.SafeDumper):
    """Quotes every string: YAML 1.1 and 1.2 differ on which bare words are numbers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _quoted)
