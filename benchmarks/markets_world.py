"""What the tour of the markets and the faults on them share: one stack, jobs, leases, the ledger.

The control plane, the operator and every market's HTTP are real; what is simulated is behind the
markets' APIs: hosts, prices, money. The oracle is the sandbox's ledger, never the operator's view.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from demo.view import View, choose

from overspill.cli.cluster import KubeCluster, connect
from overspill.cli.options import Target
from overspill.kube.resources import Kind
from overspill.testing.bed import Bed, BedOptions
from overspill.testing.markets import market_stack, ready
from overspill.testing.stack import Stack

Json = dict[str, Any]
Found = TypeVar("Found")

CLASS = "swift"
POLL_S = 0.4
TERMINAL = ("Complete", "Failed", "Refused")
SETTINGS = {"OVERSPILL_REFUSED_OFFER_S": "4", "OVERSPILL_FAILOVER_STOP_S": "4"}
"""A refused offer is tried again soon, as a market on one machine has few."""


class NotSo(Exception):  # noqa: N818  (a claim that does not hold)
    """What was claimed is not so, or did not happen in time. The message is a sentence."""


@dataclass
class World:
    """The running parts, and the screen."""

    bed: Bed
    stack: Stack
    view: View
    names: Sequence[str]
    _jobs: dict[str, Json] = field(default_factory=dict)
    _clusters: dict[str, KubeCluster] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cluster(self, namespace: str) -> KubeCluster:
        """The API server in one namespace, as the command line speaks to it."""
        if namespace not in self._clusters:
            made = connect(Target(str(self.bed.kubeconfig), None, namespace))
            self._clusters[namespace] = made
        return self._clusters[namespace]

    def account(self, market: str) -> Json:
        """The GPUProvider of a market."""
        return self.cluster("default").get(Kind.PROVIDER, market)

    def job(self, namespace: str, name: str) -> Json:
        """The GPUJob, also drawn."""
        found = self.cluster(namespace).get(Kind.JOB, name)
        with self._lock:
            self._jobs[f"{namespace}/{name}"] = found
            self.view.jobs(list(self._jobs.values())[-16:])
        return found

    def forget(self, namespace: str, name: str) -> None:
        """The job is drawn no more."""
        with self._lock:
            self._jobs.pop(f"{namespace}/{name}", None)

    def leases(self, namespace: str, job: str) -> list[Json]:
        """The GPULeases of a job, by attempt."""
        found = self.cluster(namespace).list_all(Kind.LEASE)
        mine = [x for x in found if x["spec"]["jobRef"]["name"] == job]
        return sorted(mine, key=lambda lease: int(lease["spec"]["attempt"]))

    def until(self, seen: Callable[[], Found | None], what: str, timeout_s: float = 90) -> Found:
        """Looks until `seen` gives something; NotSo when it takes too long."""
        self.view.waiting(what)
        deadline = time.monotonic() + timeout_s
        while not (found := seen()):
            if time.monotonic() > deadline:
                raise NotSo(f"waited {timeout_s:.0f} s in vain for {what}")
            time.sleep(POLL_S)
        return found

    def until_phase(self, namespace: str, name: str, *phases: str, timeout_s: float = 120) -> Json:
        """The job, once its phase is one of these; another end is an error."""

        def seen() -> Json | None:
            job = self.job(namespace, name)
            phase = job.get("status", {}).get("phase", "")
            if phase in TERMINAL and phase not in phases:
                raise NotSo(f"{name} is {phase}")
            return job if phase in phases else None

        return self.until(seen, f"{name} to be {' or '.join(phases)}", timeout_s)

    def until_settled(self, namespace: str, job: str, timeout_s: float = 120) -> list[Json]:
        """The job's leases, once all are Closed and without a finalizer."""

        def seen() -> list[Json] | None:
            found = self.leases(namespace, job)
            return found if all(map(_is_settled, found)) else None

        return self.until(seen, f"the leases of {job} to be closed", timeout_s)


@dataclass(frozen=True)
class Money:
    """What the ledger and the books say of a job's leases."""

    ledger_usd: Decimal
    books_usd: Decimal
    created: int
    active: int
    problems: tuple[str, ...]


def money_of(
    world: World, leases: Sequence[Json], tolerance_usd: Decimal, spare_usd: Decimal | None = None
) -> Money:
    """The verdict on closed leases: nothing held, nothing doubled, permits kept, bills recorded.

    The books may be over the ledger by less than `spare_usd` (absent: the tolerance), never under.
    """
    summary = world.stack.market.summary()
    ledger = books = Decimal(0)
    created = active = 0
    told = []
    for lease in leases:
        key, status = lease["metadata"]["name"], lease["status"]
        sold = summary["by_key"].get(key, {"usd": "0", "created": 0, "creates_received": 0})
        ledger += Decimal(sold["usd"])
        books += Decimal(status.get("billedUSD", "0"))
        created += int(sold["created"])
        active += bool(status.get("activeSinceTime"))
        if sold["creates_received"] > status.get("permit", {}).get("seq", 0):
            told.append(f"{key}: more sends than permits")
        if key in summary["held"].values():
            told.append(f"{key} is still held")
        for double in ("doubles", "double_creates"):
            if key in summary[double]:
                told.append(f"{key}: {double}")
    over = tolerance_usd if spare_usd is None else spare_usd
    if ledger - books >= tolerance_usd or books - ledger >= over:
        told.append(f"the ledger says {ledger:.4f} USD, the books {books:.4f}")
    return Money(ledger, books, created, active, tuple(told))


def spec(market: str, script: str, **more: Any) -> Json:
    """The job: one GPU, on this market alone, with the class that waits for nothing."""
    container = {
        "name": "main",
        "image": "busybox:1",
        "command": ["sh", "-c", script],
        "env": [{"name": "OVERSPILL_HEARTBEAT_SECONDS", "value": "2"}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    return {
        "workload": "Batch",
        "slaClassName": CLASS,
        "gpu": {"count": 1},
        "budget": {"maxTotalUSD": "20"},
        "placement": {"burst": "Only", "providers": [market]},
        "activeDeadlineSeconds": 1800,
        "template": {"spec": {"containers": [container]}},
        **more,
    }


@contextlib.contextmanager
def opened(
    names: Sequence[str], acts: Sequence[str], settings: Mapping[str, str]
) -> Iterator[World]:
    """The world, ready; everything ends with it."""
    view = choose(acts)
    view.act(acts[0], "a real control plane, the operator, and every market's API")
    try:
        with Bed.start(BedOptions(real_node="no"), view.progress) as bed:
            view.progress("installing the chart, starting the markets and the operator")
            workdir = Path(bed.workdir) / "markets"
            workdir.mkdir(exist_ok=True)
            with market_stack(bed, workdir, names, {**SETTINGS, **settings}) as stack:
                stack.apply(_sla_class())
                yield World(bed, stack, view, names)
    finally:
        view.close()


def chosen(argv: list[str] | None, about: str | None) -> argparse.Namespace:
    """The command line: which markets; all when none is named."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--market", default="", metavar="NAMES", help="only these, separated by commas"
    )
    parser.add_argument(
        "--failure", default="", metavar="WORDS", help="only failures with these words (faults)"
    )
    args = parser.parse_args(argv)
    args.names = [name for name in args.market.split(",") if name] or ready()
    return args


def _sla_class() -> Json:
    return {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "SLAClass",
        "metadata": {"name": CLASS},
        "spec": {
            "capacityTypes": ["OnDemand"],
            "burstAfterSeconds": 0,
            "heartbeatGraceSeconds": 8,
            "verification": "Preflight",
            "failback": {"policy": "Never"},
        },
    }


def _is_settled(lease: Json) -> bool:
    is_closed = lease.get("status", {}).get("state") == "Closed"
    return is_closed and not lease["metadata"].get("finalizers")
