"""The whole path behind fault proxies: chart, operator, two markets, and one home node.

What cases share: one control plane, one operator (restarted when it ends itself, as a kubelet
would), one sandbox. Used by `campaign` (L4), by `sieve` (L4s) and by the tests.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import Bed
from overspill.testing.faultproxy.manifests import (
    MARKETS,
    NAMESPACE,
    account,
    applied,
    sla_class,
    supply,
)
from overspill.testing.faultproxy.process import FaultProxies, through
from overspill.testing.faultproxy.reader import Reader
from overspill.testing.faultproxy.upstream import kube_upstream, market_upstream
from overspill.testing.operator import OperatorProcess
from overspill.testing.sandbox import Sandbox
from overspill.testing.stack import report_urls

API = "api"
SWEEP_S = 3.0
SETTINGS: Mapping[str, str] = {
    "OVERSPILL_TRUTH_PERIOD_S": "3",
    "OVERSPILL_SWEEP_PERIOD_S": f"{SWEEP_S:g}",
    "OVERSPILL_PERMIT_S": "6",
    "OVERSPILL_QUARANTINE_S": "3",
    "OVERSPILL_REQUEST_S": "4",
    "OVERSPILL_REFUSED_OFFER_S": "5",
    "OVERSPILL_LEASE_DURATION_S": "12",
    "OVERSPILL_RENEW_DEADLINE_S": "10",
    "OVERSPILL_DRAIN_S": "2",
    "OVERSPILL_OPENING_LIMIT_S": "300",
}
"""Compressed alike, and not further than a busy machine can keep. An old list (`rules.yaml`) is
always younger than a sweep period: what looks like an orphan in one can then not look so in the
next sweep."""
NODE = "case-home"
HOME_GPUS = 64


@dataclass
class World:
    """Everything that runs."""

    cluster: Bed
    market: Sandbox
    operator: OperatorProcess
    proxies: FaultProxies
    reader: Reader
    exits: Counter[int] = field(default_factory=Counter)
    """How often the operator ended by itself, by exit code."""

    def kubectl(self, *args: str, **rest: Any) -> str:
        """The administrator's way, around the proxies."""
        return self.cluster.kubectl(*args, **rest)

    def apply(self, items: Sequence[Mapping[str, Any]]) -> None:
        """kubectl apply of many objects."""
        applied(self.cluster, items)

    def is_led(self) -> bool:
        """Whether the operator acts now."""
        try:
            return "overspill_is_leader 1.0" in self.operator.metrics_text()
        except OSError:
            return False

    def keep_alive(self) -> None:
        """Restarts an operator that has ended, as a kubelet does."""
        if not self.operator.running:
            self.exits[self.operator.exit_code or 0] += 1
            self.operator.restart()


@contextmanager
def opened(
    cluster: Bed, workdir: Path, settings: Mapping[str, str] | None = None
) -> Iterator[World]:
    """A world whose operator is ready; ended, with its node, on the way out."""
    workdir.mkdir(parents=True, exist_ok=True)
    chart.install(cluster, chart.ChartOptions(values={"rbac.providerSecrets": list(MARKETS)}))
    with contextlib.ExitStack() as closing:
        cluster.nodes.add(NODE, gpus=HOME_GPUS)
        closing.callback(cluster.nodes.delete, NODE)
        hosts = workdir / "supply.json"
        hosts.write_text(json.dumps({"hosts": supply()}))
        options = SandboxOptions(allow_exec=True, markets=tuple(MARKETS), supply=hosts)
        market = Sandbox.start(options, log=workdir / "sandbox.log")
        closing.callback(market.stop)
        proxies = closing.enter_context(FaultProxies())
        proxies.add(API, kube_upstream(cluster.server, cluster.ca_file))
        for name in MARKETS:
            proxies.add(name, market_upstream(name, market.urls[name]))
        closing.callback(chart.forget_accounts, cluster)
        applied(cluster, [sla_class(), *_accounts(market, proxies)])
        token = through(cluster.token_kubeconfig(NAMESPACE, "overspill"), proxies.urls[API])
        environment = {**report_urls(market), **SETTINGS, **(settings or {})}
        operator = OperatorProcess.start(token, workdir, environment)
        closing.callback(operator.stop)
        operator.wait_ready()
        reader = closing.enter_context(Reader(cluster, market))
        yield World(cluster, market, operator, proxies, reader)


def _accounts(market: Sandbox, proxies: FaultProxies) -> list[dict[str, Any]]:
    made = [account(name, proxies.urls[name], market.api_key) for name in MARKETS]
    return [manifest for pair in made for manifest in pair]
