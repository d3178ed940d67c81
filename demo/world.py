"""Sets the demo's world up and takes it down: control plane, chart, market, store, operator.

Everything is real: the bed's API server and scheduler, a node with a kubelet where the machine
allows one, the operator as a process with the chart's own ServiceAccount, the market over HTTP.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from demo import manifests
from demo.checks import DemoError, Findings
from demo.view import View
from demo.watch import Watch
from overspill.cli.cluster import connect
from overspill.cli.options import Target
from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions, ObjectStore
from overspill.testing.operator import OperatorProcess, free_port
from overspill.testing.sandbox import Sandbox

L40S_NODE = "l40s-1"


@dataclass
class World:
    """What the acts play in."""

    bed: Bed
    market: Sandbox
    store: ObjectStore
    operator: OperatorProcess
    watch: Watch
    view: View
    findings: Findings

    @property
    def has_real_node(self) -> bool:
        """Whether home pods can really run; without one they are simulated."""
        return self.bed.real_node is not None

    def apply(self, *objects: manifests.Json) -> None:
        """kubectl apply, as a user would."""
        _apply(self.bed, *objects)

    def kubectl(self, *args: str) -> str:
        """kubectl in the demo's namespace."""
        return self.bed.kubectl("--namespace", manifests.NAMESPACE, *args)

    def skipped(self, what: str, why: str) -> None:
        """A part of the story that this machine cannot show."""
        told = f"{what}: {why or 'simulated nodes were asked for'}"
        self.findings.skipped.append(told)
        self.view.note(f"not shown here: {told}")

    def check(self, claim: str, detail: str = "", *, holds: bool) -> None:
        """One claim, verified, recorded and shown."""
        self.findings.check(claim, detail, holds=holds)
        self.view.check(claim, detail)


@contextlib.contextmanager
def opened(view: View, findings: Findings, *, real_node: bool) -> Iterator[World]:
    """The world, ready; everything ends with it."""
    if os.environ.get("CLUSTER", "local") != "local":
        raise DemoError("The demo kills a node of its own making: it needs CLUSTER=local.")
    with contextlib.ExitStack() as closing:
        wish = BedOptions(real_node="auto" if real_node else "no")
        bed = closing.enter_context(Bed.start(wish, view.progress))
        logs = bed.workdir / "demo"
        logs.mkdir(exist_ok=True)
        view.progress("starting the market and the object store")
        market = closing.enter_context(_market(logs))
        store = bed.object_store(market.bridge_address or None, "checkpoints", view.progress)
        if bed.real_node is not None:
            bed.real_node.set_gpus(manifests.TRAINING_GPUS)
        view.progress("adding the GPU nodes and installing the chart")
        _furnish(bed, market, store)
        view.progress("starting the operator")
        operator = _operator(bed, market, logs)
        closing.callback(operator.stop)
        operator.wait_ready()
        target = Target(str(bed.kubeconfig), None, manifests.NAMESPACE)
        watch = Watch(connect(target), view.jobs)
        watch.waiting_for = view.waiting
        yield World(bed, market, store, operator, watch, view, findings)


def _market(logs: Path) -> Sandbox:
    if shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") is None:
        raise DemoError("The demo's rented machines need a python3 in /usr/bin; install one.")
    options = SandboxOptions(allow_exec=True, restart_backoff_s=1.0)
    return Sandbox.start(options, log=logs / "market.log")


def _furnish(bed: Bed, market: Sandbox, store: ObjectStore) -> None:
    bed.nodes.add(
        L40S_NODE,
        gpus=manifests.BATCH_GPUS,
        product="NVIDIA-L40S",
        memory_mib=46068,
        family="ada-lovelace",
        compute=(8, 9),
    )
    bed.kubectl("create", "namespace", manifests.NAMESPACE)
    secrets = [{"namespace": manifests.NAMESPACE, "names": [manifests.STORE_SECRET]}]
    values = {"rbac.providerSecrets": ["akash"], "rbac.secretNamespaces": secrets}
    chart.install(bed, chart.ChartOptions(namespace=manifests.SYSTEM, values=values))
    key = f"--from-literal=apiKey={market.api_key}"
    bed.kubectl("create", "secret", "generic", "akash", "-n", manifests.SYSTEM, key)
    _apply(
        bed,
        manifests.sla_class(),
        manifests.home(),
        manifests.akash(market.url),
        manifests.store_secret(store.access_key, store.secret_key),
    )


def _apply(bed: Bed, *objects: manifests.Json) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    # The chart made the home provider; --force-conflicts takes its fields over, as docs say.
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(listed))


def _operator(bed: Bed, market: Sandbox, logs: Path) -> OperatorProcess:
    port = free_port()
    outside = market.bridge_address or "127.0.0.1"
    settings = {
        "OVERSPILL_REPORT_LISTEN": f"0.0.0.0:{port}",
        "OVERSPILL_REPORT_URL": f"http://{outside}:{port}",
        "OVERSPILL_HOME_REPORT_URL": f"http://{bed.bridge_address}:{port}",
    }
    account = bed.token_kubeconfig(manifests.SYSTEM, "overspill")
    return OperatorProcess.start(account, logs, settings)
