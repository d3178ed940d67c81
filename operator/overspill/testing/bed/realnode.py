"""The one real node: kubelet, containerd and kube-proxy on this machine.

Pods bound to it are real processes with real exit codes and logs. Killing `kubelet` leaves
their containers running: the zombie that fencing is for.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from overspill.testing.bed import images, node_config, probes
from overspill.testing.bed.build import NODE, build
from overspill.testing.bed.component import Component
from overspill.testing.bed.layout import LOOPBACK
from overspill.testing.bed.node_spec import NodeSpec, gpu_labels
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.ports import PortClaims
from overspill.testing.bed.progress import Progress
from overspill.testing.bed.reserve import Reservation
from overspill.testing.bed.waiting import until

if TYPE_CHECKING:
    from overspill.testing.bed.bed import Bed

NAME = "real-1"
LABEL = "overspill.dev/real"


class RealNode:
    """A running real node; its components are ended with the bed."""

    name = NAME

    def __init__(
        self, bed: Bed, state: Path, parts: tuple[Component, Component, Component]
    ) -> None:
        self._bed = bed
        self.state = state
        self.containerd, self.kubelet, self.kube_proxy = parts

    @classmethod
    def start(
        cls,
        granted: Reservation,
        bed: Bed,
        options: BedOptions,
        progress: Progress,
        closing: contextlib.ExitStack,
    ) -> RealNode:
        """Start the three components, load the images, and wait until the node is Ready."""
        archives = [make(progress) for make in (images.pause, images.busybox, images.python)]
        parts = _components(granted, bed, options, build(NODE, progress), closing)
        node = cls(bed, granted.state, parts)
        for part in reversed(parts):
            closing.callback(part.kill)
        progress(f"testbed: starting the real node {NAME}")
        node.containerd.start()
        for archive in archives:
            node.import_image(archive)
        node.kubelet.start()
        until(lambda: NAME in bed.nodes.ready(), f"node {NAME} Ready")
        # kube-proxy ends when its node's address changes, so it starts once there is one.
        node.kube_proxy.start()
        return node

    def import_image(self, archive: Path) -> None:
        """Load an image archive; pods can name it at once."""
        self.ctr("images", "import", str(archive))

    def set_gpus(self, count: int, product: str = NodeSpec.product) -> None:
        """Advertise GPUs, as a device plugin and feature discovery would."""
        spec = NodeSpec(NAME, gpus=count, product=product)
        labels = [f"{key}={value}" for key, value in gpu_labels(spec).items()]
        self._bed.kubectl("label", "node", NAME, "--overwrite", *labels)
        self._bed.nodes.set_gpus(NAME, count, capacity=True)

    def containers(self, pod: str | None = None) -> list[int]:
        """Process ids of the running workload containers, by their pod's name if given.

        Asks the runtime, not the kubelet, so it also sees what a dead kubelet left behind.
        """
        listed = self.ctr("containers", "list", "--quiet").split()
        tasks = dict(line.split()[:2] for line in self.ctr("tasks", "list").splitlines()[1:])
        infos = [json.loads(self.ctr("containers", "info", name)) for name in listed]
        return [
            int(tasks[info["ID"]])
            for info in infos
            if info["ID"] in tasks
            and info["Labels"].get("io.cri-containerd.kind") == "container"
            and pod in (None, info["Labels"].get("io.kubernetes.pod.name"))
        ]

    def ctr(self, *args: str) -> str:
        """Run containerd's own client against this node."""
        result = subprocess.run(
            ["ctr", "--address", f"{self.state}/containerd.sock", "--namespace", "k8s.io", *args],
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout


def _components(
    granted: Reservation,
    bed: Bed,
    options: BedOptions,
    programs: Path,
    closing: contextlib.ExitStack,
) -> tuple[Component, Component, Component]:
    state, layout, bridge = granted.state, bed.layout, granted.bridge
    claims = closing.enter_context(PortClaims())
    served, health, metrics, proxy_health = (
        claims.claim(layout.address), claims.claim(), claims.claim(), claims.claim(),
    )  # fmt: skip
    bridge.write_cni(state / "cni", state)
    serving = layout.ca.issue("kubelet-serving", f"system:node:{NAME}", hosts=[layout.address])
    account = layout.client_kubeconfig(f"system:node:{NAME}", ("system:nodes",))
    proxy_account = layout.client_kubeconfig("system:kube-proxy")
    kubelet = node_config.kubelet(state, layout, serving, (served, health), options)
    proxy = node_config.kube_proxy(state, proxy_account, NAME, bridge, (metrics, proxy_health))
    return (
        Component(
            "containerd",
            ["containerd", f"--config={node_config.containerd(state)}"],
            layout.log("containerd"),
            ready=lambda: _ctr_answers(state),
        ),
        Component(
            "kubelet",
            [str(programs / "kubelet"), f"--config={kubelet}", f"--kubeconfig={account}",
             f"--root-dir={state}/kubelet", f"--hostname-override={NAME}",
             f"--node-ip={layout.address}", f"--node-labels={LABEL}=true"],
            layout.log("kubelet"),
            ready=probes.http(f"http://{LOOPBACK}:{health}/healthz"),
        ),
        Component(
            "kube-proxy",
            [str(programs / "kube-proxy"), f"--config={proxy}"],
            layout.log("kube-proxy"),
            ready=probes.http(f"http://{LOOPBACK}:{proxy_health}/healthz"),
        ),
    )  # fmt: skip


def _ctr_answers(state: Path) -> bool:
    result = subprocess.run(
        ["ctr", "--address", f"{state}/containerd.sock", "plugins", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode == 0 and "cri" in result.stdout
