"""What the proofs on the real control plane share: fast policies, jobs, and the ledger's verdict.

The oracle is the market's own ledger, never the operator's view.
"""

import itertools
import json
import time
import urllib.error
from collections.abc import Callable, Mapping
from typing import Any

from overspill.testing.bed import until
from overspill.testing.operator import OperatorProcess
from overspill.testing.stack import PROVIDER, Stack

from .manifests import burst_only, template

SWIFT = "swift"
BEATS = {"name": "OVERSPILL_HEARTBEAT_SECONDS", "value": "2"}


def hasten(stack: Stack, **config: str) -> None:
    """An account that waits for little, and the class `swift`, impatient in everything."""
    wanted = {
        "bidWindowSeconds": "5",
        "bidSettleSeconds": "0.5",
        "requestTimeoutSeconds": "3",
        "listLagSeconds": "1",
        **config,
    }
    patch(stack, f"gpp/{PROVIDER}", {"spec": {"config": wanted, "priors": {"coldStartSeconds": 5}}})
    sla_class(stack, SWIFT)


def sla_class(stack: Stack, name: str, **spec: Any) -> None:
    """An SLAClass that bursts at once and bears a silence for a few seconds only."""
    swift = {
        "capacityTypes": ["Own", "OnDemand"],
        "burstAfterSeconds": 0,
        "pendingPatienceSeconds": 5,
        "heartbeatGraceSeconds": 6,
        "verification": "None",
        "failback": {"policy": "Never"},
        **spec,
    }
    kind = {"apiVersion": "overspill.dev/v1alpha1", "kind": "SLAClass"}
    stack.apply({**kind, "metadata": {"name": name}, "spec": swift})


def patch(stack: Stack, what: str, change: Mapping[str, Any]) -> None:
    """kubectl patch of a cluster-wide object of ours."""
    stack.cluster.kubectl("patch", what, "--type=merge", "-p", json.dumps(change))


def rented(script: str, **spec: Any) -> dict[str, Any]:
    """A burst-only job of the class `swift` that runs a shell script and reports often."""
    pod = template("sh", "-c", script)
    pod["spec"]["containers"][0]["env"] = [BEATS]
    defaults = {"slaClassName": SWIFT, "deadline": {"workSeconds": 30}, "template": pod}
    return burst_only(**{**defaults, **spec})


def until_leads(operator: OperatorProcess, timeout_s: float = 60) -> None:
    """Waits until this replica acts."""
    until(lambda: leads(operator), f"{operator.name} to lead", timeout_s, 0.1)


def leads(operator: OperatorProcess) -> bool:
    """Whether this replica acts now."""
    try:
        return "overspill_is_leader 1.0" in operator.metrics_text()
    except (urllib.error.URLError, OSError):
        return False


def until_condition(
    stack: Stack, namespace: str, name: str, kind: str, reason: str, timeout_s: float = 60
) -> str:
    """Waits for a condition with this reason; its message."""
    until(
        lambda: stack.condition(namespace, name, kind).get("reason") == reason,
        f"{name} to have {kind}/{reason}",
        timeout_s,
        0.5,
    )
    return str(stack.condition(namespace, name, kind)["message"])


def until_complete(stack: Stack, namespace: str, timeout_s: float = 240) -> None:
    """Waits until every job of the namespace is Complete and every lease closed for certain."""
    try:
        until(
            lambda: phases(stack, namespace) == {"Complete"},
            f"every job of {namespace} to be Complete",
            timeout_s,
            1,
        )
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {stragglers(stack, namespace)}") from error
    stack.until_settled(namespace)


def stragglers(stack: Stack, namespace: str) -> str:
    """The jobs that are not Complete, what was decided for them, and their leases."""
    printed = stack.cluster.kubectl("get", "gpj", "-n", namespace, "-o", "json")
    told = []
    for job in json.loads(printed)["items"]:
        name, status = job["metadata"]["name"], job.get("status", {})
        if status.get("phase") != "Complete":
            mine = [x for x in stack.leases(namespace) if x["spec"]["jobRef"]["name"] == name]
            states = [x.get("status", {}).get("state", "Planned") for x in mine]
            decision = status.get("decision", {})
            why = f"{decision.get('reason')}: {decision.get('message')}"
            told.append(f"{name} is {status.get('phase')}, leases {states}, {why}")
    return "; ".join(told)


def phases(stack: Stack, namespace: str) -> set[str]:
    """The phases of all jobs of a namespace."""
    printed = stack.cluster.kubectl("get", "gpj", "-n", namespace, "-o", "json")
    jobs: list[dict[str, Any]] = json.loads(printed)["items"]
    return {str(job.get("status", {}).get("phase", "")) for job in jobs}


def lease_of(stack: Stack, namespace: str, job: str, attempt: int = 1) -> dict[str, Any]:
    """One attempt's GPULease."""
    return next(
        lease
        for lease in stack.leases(namespace)
        if lease["spec"]["jobRef"]["name"] == job and lease["spec"]["attempt"] == attempt
    )


def held_by(stack: Stack, namespace: str) -> dict[str, str]:
    """What the market holds for the leases of a namespace, market id → key."""
    keys = {lease["metadata"]["name"] for lease in stack.leases(namespace)}
    held: dict[str, str] = stack.market.summary()["held"]
    return {id_: key for id_, key in held.items() if key in keys}


def assert_clean(stack: Stack, namespace: str) -> None:
    """The verdict: no orphan, no double, no send without a permit, every bill recorded.

    To be asked when every lease of the namespace is settled and nothing else is rented.
    """
    summary = stack.market.summary()
    leases = {lease["metadata"]["name"]: lease for lease in stack.leases(namespace)}
    assert summary["held"] == {}, "orphans"
    assert summary["doubles"] == {}, "two running leases under one key"
    assert summary["double_creates"] == {}, "two escrows under one key"
    for key, lease in leases.items():
        sold = summary["by_key"].get(key)
        if sold is None:
            continue
        assert sold["creates_received"] <= lease["status"]["permit"]["seq"], key
        assert abs(float(lease["status"]["billedUSD"]) - float(sold["usd"])) < 1e-4, key


def assert_one_at_a_time(stack: Stack, namespace: str, job: str) -> None:
    """No attempt of the job came to a market before the one before it was being closed."""
    mine = [x for x in stack.leases(namespace) if x["spec"]["jobRef"]["name"] == job]
    mine.sort(key=lambda lease: lease["spec"]["attempt"])
    for older, newer in itertools.pairwise(mine):
        asked = older["status"]["closing"]["requestedTime"]
        assert asked <= newer["metadata"]["creationTimestamp"], (older, newer)


def provider_ready(stack: Stack, name: str) -> bool:
    """Whether the GPUProvider's Ready condition is True."""
    found = json.loads(stack.cluster.kubectl("get", "gpp", name, "-o", "json"))
    conditions = found.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def stays(claim: Callable[[], bool], seconds: float) -> bool:
    """Whether a claim holds for so long; looks twice a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not claim():
            return False
        time.sleep(0.5)
    return True
