"""Counts API writes between two scrapes of the API server's own metrics, and says whose they are.

The server counts by verb and resource, not by client; the owner follows from the resource. Where
two clients write the same one (events), the objects' own `reportingController` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from overspill.testing.bed import Metrics

METRIC = "apiserver_request_total"
READS = ("GET", "LIST")
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
OURS = "overspill.dev"
NODE_CARE = ("leases", "nodes", "nodes/status")
"""Written whether or not there are jobs: heartbeats and the operator's election."""

ACCOUNT_CARE = ("gpuproviders", "gpubudgets")
"""Statuses of accounts and budgets: a few a minute, however many jobs there are."""


@dataclass(frozen=True, order=True)
class What:
    """One kind of write. `resource` carries its subresource; `ok` tells a success."""

    group: str
    resource: str
    verb: str
    ok: bool = True


def scrape(metrics: Metrics, verbs: Collection[str] = WRITES) -> dict[What, float]:
    """All requests of these verbs so far."""
    sums: dict[What, float] = {}
    for sample in metrics.select(METRIC):
        labels = sample.labels
        if labels.get("verb") not in verbs or labels.get("dry_run"):
            continue
        sub = f"/{labels['subresource']}" if labels.get("subresource") else ""
        what = What(
            labels["group"],
            labels["resource"] + sub,
            labels["verb"],
            labels["code"].startswith("2"),
        )
        sums[what] = sums.get(what, 0.0) + sample.value
    return sums


def between(before: Mapping[What, float], after: Mapping[What, float]) -> dict[What, int]:
    """What was written from one scrape to the next."""
    deltas = {what: int(count - before.get(what, 0)) for what, count in after.items()}
    return {what: count for what, count in sorted(deltas.items()) if count > 0}


def owner(what: What) -> str:
    """Who writes this: `operator`, `user` (the load), `kube` or `upkeep`."""
    if what.group == OURS and what.resource.startswith(ACCOUNT_CARE):
        return "upkeep" if what.verb == "PATCH" else "user"
    if what.group == OURS:
        is_load = (what.resource, what.verb) == ("gpujobs", "POST")
        return "user" if is_load else "operator"
    if what.group == "batch" and what.resource == "jobs" and what.verb in ("POST", "DELETE"):
        return "operator"
    if what.resource in NODE_CARE:
        return "upkeep"
    return "kube"
