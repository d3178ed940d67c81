"""A cluster in memory for the command line, and a job that has been everywhere."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from overspill.cli.cluster import Json
from overspill.cli.errors import CliError
from overspill.kube.resources import Kind

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@dataclass
class FakeCluster:
    """`overspill.cli.cluster.Cluster` over a dict; remembers annotations that were written."""

    namespace: str = "team-a"
    objects: dict[Kind, list[Json]] = field(default_factory=dict)
    pods_by_selector: dict[str, list[str]] = field(default_factory=dict)
    pod_logs: dict[str, list[bytes]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    annotated: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, bool, int | None]] = field(default_factory=list)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Json:
        """One object, as a copy."""
        for obj in self._inside(kind, namespace):
            if obj["metadata"]["name"] == name:
                return copy.deepcopy(obj)
        raise CliError(f'Reading was refused (404): {kind.plural} "{name}" not found')

    def list_all(self, kind: Kind, *, everywhere: bool = False) -> list[Json]:
        """All objects, unless the kind is in `forbidden`."""
        if kind in self.forbidden:
            raise CliError(f"Reading was refused (403): {kind.plural} is forbidden")
        return copy.deepcopy(self._inside(kind, "" if everywhere else None))

    def annotate(self, kind: Kind, obj: Json, annotations: Mapping[str, str]) -> None:
        """Remembers the annotations."""
        self.annotated.append((obj["metadata"]["name"], dict(annotations)))

    def create(self, kind: Kind, obj: Json) -> Json:
        """Stores it, with what a server adds."""
        meta = {**obj["metadata"], "namespace": self.namespace, "uid": f"uid-{kind.plural}"}
        stored = copy.deepcopy({**obj, "metadata": meta})
        self.objects.setdefault(kind, []).append(stored)
        return copy.deepcopy(stored)

    def delete(self, kind: Kind, obj: Json) -> None:
        """Takes it away; silent when it is gone."""
        uid = obj["metadata"]["uid"]
        kept = [o for o in self.objects.get(kind, []) if o["metadata"].get("uid") != uid]
        self.objects[kind] = kept

    def pods(self, namespace: str, selector: str) -> list[Json]:
        """Pods that only have a name."""
        return [{"metadata": {"name": n}} for n in self.pods_by_selector.get(selector, [])]

    def pod_log(
        self, namespace: str, pod: str, *, follow: bool, tail: int | None
    ) -> Iterator[bytes]:
        """The chunks given for the pod; remembers how they were asked for."""
        self.asked.append((pod, follow, tail))
        yield from self.pod_logs[pod]

    def secret(self, namespace: str, name: str) -> Json:
        """A Secret with encoded values."""
        if name not in self.secrets:
            raise CliError(f'Reading was refused (403): secrets "{name}" is forbidden')
        return {"data": self.secrets[name]}

    def _inside(self, kind: Kind, namespace: str | None) -> list[Json]:
        inside = self.namespace if namespace is None else namespace
        return [
            o
            for o in self.objects.get(kind, [])
            if not inside or not kind.is_namespaced or o["metadata"]["namespace"] == inside
        ]


def lease_of(attempt: int, **changes: Any) -> Json:
    """A GPULease of job finetune-7b; `status`, `offer` and `spec` are merged in."""
    home = changes.pop("home", False)
    place = "home/node-7" if home else "akash/us-west"
    return {
        "metadata": {
            "name": f"gl-1a2b3c4d-{attempt:018d}",
            "namespace": changes.pop("namespace", "team-a"),
            "uid": f"lease-uid-{attempt}",
            "resourceVersion": "77",
            "creationTimestamp": "2026-11-25T08:00:00Z",
        },
        "spec": {
            "jobRef": {
                "name": changes.pop("job", "finetune-7b"),
                "uid": changes.pop("job_uid", "job-uid-1"),
            },
            "attempt": attempt,
            "provider": "home" if home else "akash",
            "clusterID": "1a2b3c4d-0000-4000-8000-000000000000",
            "key": f"gl-1a2b3c4d-{attempt:018d}",
            "home": home,
            "maxHourlyUSD": "6",
            "maxTotalUSD": "100",
            "hardDeadlineTime": "2026-11-26T09:00:00Z",
            "offer": {
                "provider": "home" if home else "akash",
                "offerID": "node-7" if home else "h100/us-west",
                "place": place,
                "capacityType": "Own" if home else "Community",
                "trustTier": "Own" if home else "Audited",
                "gpuModel": "h100",
                "gpuCount": 2,
                "pricePerHourUSD": "3.10",
                "asOf": "2026-11-25T08:00:00Z",
                "asOfTime": "2026-11-25T08:00:00Z",
            },
            "request": {"gpuCount": 2, "numNodes": 1, "image": "train:1", "command": ["run"]},
        },
        "status": changes.pop("status", {}),
    }


def closed(price: str, start: str, end: str, billed: str, reason: str) -> Json:
    """The status of a Closed lease."""
    return {
        "state": "Closed",
        "pricePerHourUSD": price,
        "activeSinceTime": start,
        "closedTime": end,
        "billedUSD": billed,
        "closing": {"reason": reason, "requestedTime": end, "goneSeen": 2},
    }


def active(price: str, start: str) -> Json:
    """The status of an Active lease."""
    return {
        "state": "Active",
        "pricePerHourUSD": price,
        "activeSinceTime": start,
        "handle": {"externalID": "1764060000000/1/1", "data": {}},
    }


def the_job() -> Json:
    """Ran at home, lost its node, runs on Akash."""
    return {
        "metadata": {
            "name": "finetune-7b",
            "namespace": "team-a",
            "uid": "job-uid-1",
            "creationTimestamp": "2026-11-25T08:00:00Z",
        },
        "spec": {"budget": {"maxTotalUSD": "120", "maxHourlyUSD": "6"}},
        "status": {
            "phase": "Running",
            "finishByTime": "2026-11-26T09:00:00Z",
            "placement": {
                "provider": "akash",
                "place": "akash/us-west",
                "leaseName": "gl-1a2b3c4d-000000000000000002",
                "attempt": 2,
                "gpus": "2xh100",
                "pricePerHourUSD": "3.10",
                "sinceTime": "2026-11-25T10:00:00Z",
                "region": "us-west",
                "capacityType": "Community",
            },
            "decision": {
                "action": "Place",
                "reason": "BurstToProviderSelected",
                "message": "home has no free h100 before finish-by; akash keeps the promise for "
                "37.66 USD of at most 116.00 left",
                "time": "2026-11-25T09:58:00Z",
                "provider": "akash",
                "offerID": "h100/us-west",
                "gpuModel": "h100",
                "pricePerHourUSD": "3.10",
                "totalUSD": "37.66",
                "usefulHourUSD": "3.31",
                "lines": [
                    {"name": "rate for 11h20m", "usd": "35.13"},
                    {"name": "coldStart", "usd": "0.31"},
                    {"name": "expected lost work", "usd": "1.66"},
                    {"name": "egress of 14 GiB", "usd": "0.56"},
                ],
                "rejected": [
                    {
                        "provider": "home",
                        "reason": "NoCapacityNow",
                        "message": "4 nodes have 0 or 1 free h100 of the 2 that one node must give",
                        "offers": 4,
                        "gpuModel": "h100",
                        "cheapestPerHourUSD": "2.40",
                    },
                    {
                        "provider": "akash",
                        "reason": "WrongModel",
                        "message": "models are h100, a100-80gb",
                        "offers": 31,
                        "gpuModel": "rtx4090",
                        "cheapestPerHourUSD": "0.62",
                    },
                    {
                        "provider": "vast",
                        "reason": "ProviderUnusable",
                        "message": "credentials were refused: an administrator must mend Secret "
                        "overspill/vast [key]",
                        "offers": 0,
                    },
                ],
            },
            "progress": {
                "percentage": 41,
                "lastCheckpointURI": "s3://team-a/finetune-7b/gl-1a2b3c4d-2/step-4100",
                "lastCheckpointStep": 4100,
                "lastCheckpointTime": "2026-11-25T11:45:00Z",
            },
            "cost": {"spentUSD": "4.00", "projectedUSD": "41.66", "referenceUSD": "12.00"},
            "attempts": [
                {
                    "number": 1,
                    "leaseName": "gl-1a2b3c4d-000000000000000001",
                    "provider": "home",
                    "place": "home/node-7",
                    "startTime": "2026-11-25T08:00:10Z",
                    "endTime": "2026-11-25T09:57:00Z",
                    "reason": "Lost",
                    "checkpointStep": 2900,
                    "costUSD": "4.67",
                },
                {
                    "number": 2,
                    "leaseName": "gl-1a2b3c4d-000000000000000002",
                    "provider": "akash",
                    "place": "akash/us-west",
                    "startTime": "2026-11-25T10:00:00Z",
                    "costUSD": "3.10",
                },
            ],
            "conditions": [
                {"type": "Placed", "status": "True", "reason": "LeaseOpened", "message": ""},
                {
                    "type": "Degraded",
                    "status": "True",
                    "reason": "ReportsUnreachable",
                    "message": "no report of the runner for 6 minutes; the market shows it running",
                },
            ],
        },
    }


def the_leases() -> list[Json]:
    """Attempt 1 at home, lost; attempt 2 on Akash, running."""
    lost = closed("2.40", "2026-11-25T08:00:00Z", "2026-11-25T09:57:00Z", "4.68", "Lost")
    return [
        lease_of(1, home=True, status=lost),
        lease_of(2, status=active("3.10", "2026-11-25T10:00:00Z")),
    ]


def provider_of(name: str, offers: list[Json], **spec: Any) -> Json:
    """A GPUProvider that publishes offers."""
    return {
        "metadata": {"name": name, "resourceVersion": "5"},
        "spec": {"type": "InCluster" if name == "home" else "Akash", **spec},
        "status": {"offers": offers},
    }


def offer_of(place: str, model: str, count: int, price: str, **more: Any) -> Json:
    """One published offer."""
    return {
        "offerID": place,
        "place": place,
        "gpuModel": model,
        "gpuCount": count,
        "pricePerGPUHourUSD": price,
        "region": more.pop("region", ""),
        "capacityType": more.pop("capacity", "Own"),
        "available": more.pop("available", True),
    }


def the_cluster() -> FakeCluster:
    """The job, its two leases, home with a reference price, and Akash."""
    home = provider_of(
        "home",
        [
            offer_of("home/node-1", "h100", 1, "1.20"),
            offer_of("home/node-2", "a100-80gb", 8, "0.90"),
            offer_of("home/node-7", "h100", 8, "1.20", available=False),
        ],
        referenceRatesUSD={"h100": "3.00", "*": "1.00"},
    )
    akash = provider_of(
        "akash", [offer_of("akash/us-west", "h100", 8, "1.55", capacity="Community")]
    )
    return FakeCluster(
        objects={Kind.JOB: [the_job()], Kind.LEASE: the_leases(), Kind.PROVIDER: [home, akash]}
    )
