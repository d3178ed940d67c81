"""`export-history DIR`: this cluster's jobs, nodes and places as the files that `simulate` reads.

Jobs come from GPUJobs and from the ledger (deleted jobs stay in it for its retention); nodes and
places are those that the operator published last in the GPUProviders' status.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from overspill.cli import times
from overspill.cli.cluster import Cluster, Json, connect
from overspill.cli.errors import CliError
from overspill.cli.ledger import LeaseView, lease_view
from overspill.cli.options import add_cluster_flags, target
from overspill.cli.render import amount
from overspill.kube.resources import Kind

CLASSES = "slaclasses.json"
JOBS = (
    *("id", "submit_s", "gpus", "nodes", "gpu_model", "work_s", "deadline_s", "sla"),
    *("ckpt_interval_s", "ckpt_gib", "max_total_usd"),
)
NODES = ("id", "gpus", "gpu_model")
PLACES = (
    *("id", "kind", "gpu_model", "usd_per_gpu_h", "gpus", "gpus_per_node", "region"),
    *("cold_start_s", "egress_usd_gb", "mtbf_h"),
)

_KINDS = {"Spot": "spot", "Community": "p2p"}
"""By capacity type; the others are on demand."""


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "export-history",
        help="write this cluster's jobs, nodes and places as files for simulate",
        description="Writes jobs.csv, own_nodes.csv, places.csv and slaclasses.json into DIR. "
        "Times are dates; the work of a job is how long its leases ran.",
    )
    parser.add_argument("dir", metavar="DIR", type=Path)
    add_cluster_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Reads the cluster once and writes the files."""
    cluster = connect(target(args))
    return export(cluster, args.dir, times.now())


def export(cluster: Cluster, folder: Path, now: datetime) -> int:
    """The verb without the command line."""
    leases = [lease_view(obj) for obj in cluster.list_all(Kind.LEASE)]
    providers = cluster.list_all(Kind.PROVIDER)
    jobs = list(_jobs(cluster.list_all(Kind.JOB), leases, now))
    if not jobs:
        raise CliError("No GPUJob and no lease has run yet, so there is no history to write.")
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "jobs.csv": (JOBS, jobs),
        "own_nodes.csv": (NODES, list(_nodes(providers, leases))),
        "places.csv": (PLACES, list(_places(providers))),
    }
    for name, (header, rows) in written.items():
        _write(folder / name, header, rows)
        print(f"{folder / name}: {len(rows)} rows")
    classes = cluster.list_all(Kind.SLA_CLASS)
    (folder / CLASSES).write_text(json.dumps(classes, indent=1) + "\n", encoding="utf-8")
    print(f"{folder / CLASSES}: {len(classes)} classes")
    return 0


Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Ran:
    """What the ledger tells of one job."""

    leases: Sequence[LeaseView]
    now: datetime

    @property
    def work_s(self) -> int:
        """How long it was charged for."""
        return round(3600 * float(sum((v.hours(self.now) for v in self.leases), Decimal(0))))


def _jobs(objects: Iterable[Json], leases: Iterable[LeaseView], now: datetime) -> Iterable[Row]:
    by_uid: dict[str, list[LeaseView]] = defaultdict(list)
    for lease in leases:
        by_uid[lease.job_uid].append(lease)
    for obj in objects:
        ran = _Ran(by_uid.pop(obj["metadata"]["uid"], []), now)
        if ran.work_s:
            yield _of_job(obj, ran)
    for forgotten in by_uid.values():
        ran = _Ran(forgotten, now)
        if ran.work_s:
            yield _of_ledger(ran)


def _of_job(obj: Json, ran: _Ran) -> Row:
    meta, spec = obj["metadata"], obj.get("spec") or {}
    gpu, checkpoint = spec.get("gpu") or {}, spec.get("checkpoint") or {}
    nodes = spec.get("numNodes") or 1
    models = gpu.get("models") or []
    return {
        "id": f"{meta['namespace']}/{meta['name']}/{meta['uid'][:8]}",
        "submit_s": meta.get("creationTimestamp", ran.leases[0].created),
        "gpus": (gpu.get("count") or 1) * nodes,
        "nodes": nodes,
        "gpu_model": models[0] if models else "",
        "work_s": ran.work_s,
        "deadline_s": (obj.get("status") or {}).get("finishByTime", ""),
        "sla": spec.get("slaClassName", ""),
        "ckpt_interval_s": checkpoint.get("intervalSeconds", ""),
        "ckpt_gib": checkpoint.get("sizeGiB", ""),
        "max_total_usd": (spec.get("budget") or {}).get("maxTotalUSD", ""),
    }


def _of_ledger(ran: _Ran) -> Row:
    """A deleted job: what its first lease says."""
    first = min(ran.leases, key=lambda v: v.attempt)
    return {
        "id": f"{first.namespace}/{first.job}/{first.job_uid[:8]}",
        "submit_s": first.created,
        "gpus": first.gpus,
        "gpu_model": first.gpu_model,
        "work_s": ran.work_s,
    }


def _nodes(providers: Iterable[Json], leases: Iterable[LeaseView]) -> Iterable[Row]:
    """GPUs that are free or held by our own jobs: what others took is not ours to plan with."""
    held: dict[str, int] = defaultdict(int)
    for lease in leases:
        if lease.is_home and lease.is_charging:
            held[lease.place.rsplit("/", 1)[-1]] += lease.gpus
    for provider in providers:
        if provider["spec"].get("type") != "InCluster":
            continue
        for offer in (provider.get("status") or {}).get("offers") or []:
            free = offer.get("gpuCount", 0) if offer.get("available") else 0
            gpus = free + held[offer["offerID"]]
            if gpus:
                yield {
                    "id": offer["offerID"],
                    "gpus": gpus,
                    "gpu_model": offer.get("gpuModel", ""),
                }


def _places(providers: Iterable[Json]) -> Iterable[Row]:
    """One place per account, model and region, at the least price seen there."""
    for provider in providers:
        if provider["spec"].get("type") == "InCluster":
            continue
        groups: dict[tuple[str, str], list[Json]] = defaultdict(list)
        for offer in (provider.get("status") or {}).get("offers") or []:
            key = (offer.get("gpuModel", ""), offer.get("region", ""))
            groups[key].append(offer)
        for key in sorted(groups):
            yield _place(provider, key, groups[key])


def _place(provider: Json, key: tuple[str, str], offers: Sequence[Json]) -> Row:
    (model, region), spec = key, provider["spec"]
    priors = spec.get("priors") or {}
    prices = [amount(o.get("pricePerGPUHourUSD")) for o in offers]
    mtbf = priors.get("mtbfSeconds")
    return {
        "id": "/".join(part for part in (provider["metadata"]["name"], region, model) if part),
        "kind": _KINDS.get(spec.get("capacityType", ""), "ondemand"),
        "gpu_model": model,
        "usd_per_gpu_h": min((p for p in prices if p is not None), default=""),
        "gpus": sum(o.get("gpuCount", 0) for o in offers),
        "gpus_per_node": max(o.get("gpuCount", 0) for o in offers),
        "region": region,
        "cold_start_s": priors.get("coldStartSeconds", ""),
        "egress_usd_gb": priors.get("egressUSDPerGiB", ""),
        "mtbf_h": "" if not mtbf else round(mtbf / 3600, 2),
    }


def _write(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise CliError(f"Writing {path} failed: {error}") from error
