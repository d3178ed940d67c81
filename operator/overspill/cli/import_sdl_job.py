"""Makes one GPUJob document of one Akash SDL, or finds out why that cannot be.

Called by `import_sdl`. The reverse of `providers/akash_sdl`: what that writes comes back whole.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from overspill.api import API_VERSION
from overspill.api.base import UnreadableError
from overspill.api.job import GPUJob
from overspill.cli.import_sdl_lines import Fault, Reading, Spot
from overspill.cli.import_sdl_parts import container, machine, market, ports
from overspill.core.vocabulary import Workload

TOP = ("version", "services", "profiles", "deployment", "endpoints", "include", "reclamation")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an SDL cannot say, from the command line."""

    name: str = ""
    workload: Workload | None = None
    """None: Inference where a port is open to the world, else Batch."""
    max_total_usd: str = ""
    akt_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """The GPUJob, or the faults; never both. The notes tell what is not carried over."""

    job: dict[str, Any] | None
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


def imported(text: str, wish: Wish) -> Imported:
    """Reads an SDL; raises nothing for whatever stands in it."""
    reading = Reading()
    root = reading.parse(text)
    job = _job(root, wish) if root is not None else None
    if not reading.faults and job is not None:
        try:
            GPUJob.read(job)
        except UnreadableError as error:
            reading.faults.append(Fault(root.line if root else 1, f"as a GPUJob: {error}"))
    faults = tuple(sorted(set(reading.faults)))
    return Imported(None if faults else job, faults, tuple(sorted(set(reading.notes))))


def _job(root: Spot, wish: Wish) -> dict[str, Any] | None:
    parts = root.known(TOP)
    if _is_told(root, parts, "version"):
        parts["version"].matched(r"2\.[01]", 'version "2.0" or "2.1"')
    for name in ("endpoints", "include"):
        if name in parts:
            parts[name].refuse("cannot be carried over")
    if "reclamation" in parts:
        parts["reclamation"].note("is not carried over: a lost place is replaced at once")
    if not all([_is_told(root, parts, name) for name in ("services", "profiles", "deployment")]):
        return None
    name, service = _only(parts["services"], "service", "apply one GPUJob for each")
    if service is None:
        return None
    placed = _placed(parts["deployment"], name)
    return _assembled(parts["profiles"], (name, service), placed, wish) if placed else None


def _is_told(root: Spot, parts: dict[str, Spot], name: str) -> bool:
    if name not in parts:
        root.refuse(f"has no {name}")
    return name in parts


def _only(spot: Spot, what: str, hint: str) -> tuple[str, Spot | None]:
    """The one entry of a mapping."""
    found = list(spot.items().items())
    if not found:
        spot.refuse(f"names no {what}")
        return "", None
    for _, extra in found[1:]:
        extra.refuse(f"is a second {what}: {hint}")
    return found[0]


@dataclass(frozen=True, slots=True)
class _Placed:
    placement: str
    profile: str
    count: int
    spot: Spot


def _placed(deployment: Spot, service: str) -> _Placed | None:
    for name, stranger in deployment.items().items():
        if name != service:
            stranger.refuse("is no service of this SDL")
    found = deployment.items().get(service)
    if found is None:
        deployment.refuse(f"does not place the service {service}")
        return None
    placement, spot = _only(found, "placement", "a GPUJob is in one place at a time")
    parts = spot.known(("profile", "count")) if spot else {}
    if spot is None or set(parts) != {"profile", "count"}:
        found.refuse("needs profile and count")
        return None
    count = parts["count"].matched(r"[1-9][0-9]{0,2}", "a number of copies")
    return _Placed(placement, str(parts["profile"].value()), int(count or 1), parts["count"])


def _assembled(
    profiles: Spot, service: tuple[str, Spot], placed: _Placed, wish: Wish
) -> dict[str, Any]:
    parts = profiles.known(("compute", "placement"))
    compute = _profile(profiles, parts, "compute", placed.profile)
    place = _profile(profiles, parts, "placement", placed.placement)
    name = wish.name or _label(service[0])
    opened, http = ports(service[1])
    workload = wish.workload or (Workload.INFERENCE if opened else Workload.BATCH)
    resources = compute.known(("resources",)).get("resources") if compute else None
    if compute and resources is None:
        compute.refuse("has no resources")
    limits, gpu = machine(resources) if resources else ({}, {})
    told = market(place, placed.profile, wish.akt_usd) if place else {}
    if wish.max_total_usd:
        told["budget"] = {"maxTotalUSD": wish.max_total_usd, **told.get("budget", {})}
    run = container(service[1], name)
    if opened:
        run["ports"] = [{"containerPort": port} for port in dict.fromkeys(opened)]
    run["resources"] = {"limits": {**limits, "nvidia.com/gpu": gpu.get("count", 1)}}
    spec: dict[str, Any] = {"workload": workload.value, "gpu": gpu, **told}
    spec |= _serving(workload, opened, http, placed)
    return {
        "apiVersion": API_VERSION,
        "kind": "GPUJob",
        "metadata": {"name": name},
        "spec": {**spec, "template": {"spec": {"containers": [run]}}},
    }


def _profile(profiles: Spot, parts: dict[str, Spot], kind: str, name: str) -> Spot | None:
    found = parts[kind].items().get(name) if kind in parts else None
    if found is None:
        (parts.get(kind) or profiles).refuse(
            f"has no {name}" if kind in parts else f"has no {kind}"
        )
    return found


def _serving(
    workload: Workload, opened: list[int], http: int | None, placed: _Placed
) -> dict[str, Any]:
    """Endpoint and copies of a service."""
    if workload is not Workload.INFERENCE:
        if placed.count > 1:
            placed.spot.refuse("copies of a job that ends are GPUJobs of their own")
        return {}
    found: dict[str, Any] = {"replicas": placed.count} if placed.count > 1 else {}
    if opened:
        protocol = "HTTP" if http is not None else "TCP"
        found["endpoint"] = {"port": http or opened[0], "protocol": protocol}
    return found


def _label(service: str) -> str:
    """A service's name as the name of an object."""
    return re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")[:63] or "job"
