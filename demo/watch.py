"""Reads the demo's GPUJobs and GPULeases, and waits for what should become true of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from demo.checks import DemoError
from overspill.cli.cluster import KubeCluster
from overspill.cli.ledger import LeaseView, lease_view
from overspill.kube.resources import Kind

Json = dict[str, Any]
Found = TypeVar("Found")

POLL_S = 0.3
ENDED = ("Complete", "Failed", "Refused")


class Watch:
    """One namespace as the demo sees it. `shown` is called with all jobs at every look."""

    def __init__(self, cluster: KubeCluster, shown: Callable[[list[Json]], None]) -> None:
        self._cluster = cluster
        self._shown = shown
        self.waiting_for: Callable[[str], None] = lambda _what: None

    def jobs(self) -> list[Json]:
        """All jobs, as last written, oldest first."""
        found = self._cluster.list_all(Kind.JOB)
        found.sort(key=lambda job: job["metadata"]["creationTimestamp"])
        self._shown(found)
        return found

    def status(self, name: str) -> Json:
        """The status of one job; empty before the operator wrote anything."""
        for job in self.jobs():
            if job["metadata"]["name"] == name:
                status: Json = job.get("status") or {}
                return status
        raise DemoError(f"GPUJob {name} is gone.")

    def leases(self, job: str = "") -> list[LeaseView]:
        """The ledger's entries, of one job or of all, by attempt."""
        views = [lease_view(obj) for obj in self._cluster.list_all(Kind.LEASE)]
        return sorted((v for v in views if job in ("", v.job)), key=lambda v: (v.job, v.attempt))

    def until(self, seen: Callable[[], Found | None], what: str, timeout_s: float = 90) -> Found:
        """Looks until `seen` gives something, and returns it; DemoError when it takes too long."""
        self.waiting_for(what)
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self.jobs()
                found = seen()
                if found:
                    return found
                if time.monotonic() > deadline:
                    raise DemoError(f"Waited {timeout_s:.0f} s in vain for: {what}.")
                time.sleep(POLL_S)
        finally:
            self.waiting_for("")

    def ended(self, name: str, timeout_s: float = 90) -> Json:
        """The status of a job that is Complete, Failed or Refused."""

        def seen() -> Json | None:
            status = self.status(name)
            return status if status.get("phase") in ENDED else None

        return self.until(seen, f"{name} to end", timeout_s)

    def running(self, name: str, attempt: int, timeout_s: float = 90) -> Json:
        """The status of a job whose given attempt runs; an end in between is an error."""

        def seen() -> Json | None:
            status = self.status(name)
            if status.get("phase") in ENDED:
                raise DemoError(f"{name} is {status['phase']} before its attempt {attempt} ran.")
            placed = status.get("placement") or {}
            ready = status.get("phase") == "Running" and placed.get("attempt") == attempt
            return status if ready else None

        return self.until(seen, f"attempt {attempt} of {name} to run", timeout_s)


def condition(status: Json, kind: str) -> Json:
    """One condition of a status, empty when it was never written."""
    found = (c for c in status.get("conditions") or [] if c["type"] == kind)
    return next(found, {})
