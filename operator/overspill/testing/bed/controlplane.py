"""Puts the five processes of a control plane together from a layout and the built programs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from overspill.testing.bed import flags, probes
from overspill.testing.bed.build import Binaries
from overspill.testing.bed.component import Component
from overspill.testing.bed.layout import LOOPBACK, Layout
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.paths import modules_root
from overspill.testing.bed.progress import Progress

# Heartbeats need no stage: kwok renews node leases by itself, and the lease is what counts.
KWOK_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "node/chaos/node-not-ready.yaml",
    "pod/general/pod-create.yaml",
    "pod/general/pod-init-container-running.yaml",
    "pod/general/pod-init-container-completed.yaml",
    "pod/general/pod-ready.yaml",
    "pod/general/pod-complete.yaml",
    "pod/general/pod-delete.yaml",
    "pod/chaos/pod-container-running-failed.yaml",
    "pod/chaos/pod-init-container-running-failed.yaml",
)


@dataclass(frozen=True)
class ControlPlane:
    """The components, in the order in which they have to start."""

    etcd: Component
    apiserver: Component
    controller_manager: Component
    scheduler: Component
    kwok: Component

    def start(self, progress: Progress) -> None:
        """Start everything; what only needs the API server starts at the same time."""
        progress("testbed: starting etcd and kube-apiserver")
        self.etcd.start()
        self.apiserver.start()
        progress("testbed: starting controllers, scheduler and kwok")
        rest = (self.controller_manager, self.scheduler, self.kwok)
        with ThreadPoolExecutor(len(rest)) as pool:
            list(pool.map(lambda component: component.start(), rest))

    def kill(self) -> None:
        """End everything at once: nothing here is worth a graceful end."""
        for component in (
            self.kwok,
            self.scheduler,
            self.controller_manager,
            self.apiserver,
            self.etcd,
        ):
            component.kill()


def assemble(layout: Layout, binaries: Binaries, options: BedOptions) -> ControlPlane:
    """The control plane of `layout`, nothing started yet."""
    ports = layout.ports
    return ControlPlane(
        etcd=Component(
            "etcd",
            flags.etcd(layout, binaries),
            layout.log("etcd"),
            ready=probes.http(f"http://{LOOPBACK}:{ports.etcd_metrics}/health"),
        ),
        apiserver=Component(
            "kube-apiserver",
            flags.apiserver(layout, binaries, options),
            layout.log("kube-apiserver"),
            ready=probes.https(f"{layout.server}/readyz", layout.ca.cert),
        ),
        controller_manager=Component(
            "kube-controller-manager",
            flags.controller_manager(layout, binaries, options),
            layout.log("kube-controller-manager"),
            ready=probes.https(f"https://{LOOPBACK}:{ports.controller_manager}/healthz"),
        ),
        scheduler=Component(
            "kube-scheduler",
            flags.scheduler(layout, binaries),
            layout.log("kube-scheduler"),
            ready=probes.https(f"https://{LOOPBACK}:{ports.scheduler}/healthz"),
        ),
        kwok=Component(
            "kwok",
            flags.kwok(layout, binaries, stage_files(binaries), options),
            layout.log("kwok"),
            ready=probes.http(f"http://{LOOPBACK}:{ports.kwok}/healthz"),
        ),
    )


def stage_files(binaries: Binaries) -> list[Path]:
    """kwok's own stages as built, and ours from `testbed/stages`."""
    theirs = [binaries.kwok_stages / name for name in KWOK_STAGES]
    ours = sorted((modules_root() / "stages").glob("*.yaml"))
    return [*theirs, *ours]
