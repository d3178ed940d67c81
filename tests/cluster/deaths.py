"""Death and paralysis at each passage of the Effect gate, on a market of the caller's choice.

Used by `test_kill9.py` for a sample and by `benchmarks/chaos_crashes.py` for all passages. The
oracle is the market's ledger.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overspill.kube.watchdog import EXIT_CODE
from overspill.testing.bed import until
from overspill.testing.operator import OperatorProcess, free_port
from overspill.testing.stack import Stack

from .kubelet import Kubelet
from .manifests import burst_only
from .proofs import SWIFT, sla_class, until_complete, until_leads

FAST_ELECTION = {
    "OVERSPILL_LEASE_DURATION_S": "3",
    "OVERSPILL_RENEW_DEADLINE_S": "2.4",
    "OVERSPILL_RETRY_PERIOD_S": "0.3",
    "OVERSPILL_REQUEST_S": "2",
    "OVERSPILL_PERMIT_S": "3",
    "OVERSPILL_QUARANTINE_S": "1",
}
MOMENTS = ("before", "after")
CLUSTER_PASSAGES = {
    "PlanLease": 1,
    "LeaseStatus": 4,
    "ReleaseLease": 1,
    "JobStatus": 3,
    "ProviderStatus": 1,
    "Event": 1,
    "all_leases": 1,
}
"""How often one life passes each call on the API server, and below on a market."""
MARKET_PASSAGES = {"offers": 1, "open": 2, "observe": 1, "close": 1, "leases": 2}
AKASH_OPENS = 3
"""Create, choose among the bids, take."""
STRIKES_S = 60.0


def passages(market: str) -> Iterator[str]:
    """Every passage of one burst on this market, as failpoints, before and after."""
    on_market = {**MARKET_PASSAGES, **({"open": AKASH_OPENS} if market == "akash" else {})}
    counts = {f"cluster.{name}": n for name, n in CLUSTER_PASSAGES.items()}
    counts |= {f"{market}.{name}": n for name, n in on_market.items()}
    for site, count in counts.items():
        for number in range(1, count + 1):
            yield from (f"{site}:{moment}:{number}" for moment in MOMENTS)


def hurry(stack: Stack) -> None:
    """The impatient SLA class that these jobs ask for."""
    sla_class(stack, SWIFT)


def burst(market: str, script: str = "sleep 1") -> dict[str, Any]:
    """A short job that rents on this market alone."""
    placement = {"burst": "Only", "providers": [market]}
    wanted = {"slaClassName": SWIFT, "deadline": {"workSeconds": 30}, "activeDeadlineSeconds": 3000}
    return burst_only("sh", "-c", script, placement=placement, **wanted)


def kill_at_each(
    stack: Stack,
    namespace: str,
    market: str,
    sites: Iterable[str],
    show: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """One burst and one death for each failpoint, then everything ends; those never passed."""
    missed = []
    for number, site in enumerate(sites):
        _restart_with(stack.operator, site)
        stack.apply_job(namespace, f"{market}-{number}", burst(market))
        if not dies(stack.operator):
            missed.append(site)
        show(f"  L3     {site}{' was never passed' if site in missed else ''}")
    _restart_with(stack.operator, "")
    with Kubelet(stack.operator):
        until_complete(stack, namespace)
    return missed


@dataclass
class Pause:
    """A leader that stops dead at a passage, and another that finishes its work meanwhile.

    The workloads report to the stack's own operator, so the zombie is the second replica.
    """

    stack: Stack
    zombie: OperatorProcess

    @classmethod
    def beside(cls, stack: Stack) -> Pause:
        """A second replica with the settings of the first; it does not run yet."""
        first = stack.operator
        ports = {
            "OVERSPILL_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "OVERSPILL_REPORT_LISTEN": f"0.0.0.0:{free_port()}",
        }
        environment = {**first.environment, **ports}
        return cls(stack, OperatorProcess(first.kubeconfig, first.workdir, environment, "zombie"))

    def at(self, namespace: str, market: str, site: str) -> bool:
        """One burst whose leader is paused there; False when it never passed that way."""
        standby, name = self.stack.operator, re.sub(r"[^a-z0-9]+", "-", f"{market}-{site}".lower())
        standby.stop()
        _restart_with(self.zombie, f"{site}:stop")
        until_leads(self.zombie)
        standby.restart()
        standby.wait_ready()
        self.stack.apply_job(namespace, name, burst(market))
        if not self._stops():
            self.zombie.stop()
            return False
        with Kubelet(standby):
            until_leads(standby)
            self.stack.until_phase(namespace, name, "Complete", timeout_s=120)
            self.stack.until_settled(namespace)
        self.zombie.send(signal.SIGCONT)
        until(lambda: not self.zombie.running, "the zombie to end itself", 20, 0.05)
        assert self.zombie.exit_code == EXIT_CODE, self.zombie.exit_code
        return True

    def _stops(self) -> bool:
        """Whether the failpoint strikes."""
        try:
            until(lambda: is_stopped(self.zombie), "the failpoint", STRIKES_S, 0.1)
        except TimeoutError:
            return False
        return True


def is_stopped(operator: OperatorProcess) -> bool:
    """Whether SIGSTOP has it. One that ended itself, too slow to renew, is not stopped."""
    if not operator.running:
        return False
    status = Path(f"/proc/{operator.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


def dies(operator: OperatorProcess) -> bool:
    """Whether the failpoint strikes. A leader too slow to renew ends itself: it is started again,
    as by a kubelet, and may meet the failpoint in its next life."""

    def struck() -> bool:
        if not operator.running and operator.exit_code != -signal.SIGKILL:
            operator.restart()
        return operator.exit_code == -signal.SIGKILL

    try:
        return until(struck, "the failpoint", STRIKES_S, 0.1)
    except TimeoutError:
        return False


def assert_spared(stack: Stack, namespace: str) -> None:
    """The verdict: nothing held, nothing doubled, no create without a permit of its own."""
    summary = stack.market.summary()
    assert summary["held"] == {}, "orphans"
    assert summary["doubles"] == {}, "two running leases under one key"
    assert summary["double_creates"] == {}, "two things under one key"
    for lease in stack.leases(namespace):
        sold = summary["by_key"].get(lease["metadata"]["name"])
        if sold is not None:
            assert sold["creates_received"] <= lease["status"]["permit"]["seq"], lease["metadata"]


def _restart_with(operator: OperatorProcess, failpoint: str) -> None:
    operator.environment["OVERSPILL_FAILPOINT"] = failpoint
    operator.restart()
