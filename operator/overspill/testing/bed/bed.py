"""The test bed: a real control plane on this machine, with simulated nodes and a real one.

`Bed.start` is what `make demo`, the pytest fixtures and the benchmarks call. Several beds can
run side by side; the real node is one per machine.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from overspill.testing.bed import controlplane, layout, registry
from overspill.testing.bed.build import build_base
from overspill.testing.bed.clients import Clients
from overspill.testing.bed.cluster import Cluster
from overspill.testing.bed.component import Component
from overspill.testing.bed.objectstore import ObjectStore
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.paths import memory_root, registry_root
from overspill.testing.bed.ports import PortClaims
from overspill.testing.bed.progress import Progress, silent
from overspill.testing.bed.realnode import RealNode
from overspill.testing.bed.reserve import remove_crashed, reserve, state_folder
from overspill.testing.bed.waiting import until


class Bed(Cluster):
    """A running bed. Use it as a context manager, or call `stop`."""

    def __init__(
        self, plan: layout.Layout, plane: controlplane.ControlPlane, clients: Clients
    ) -> None:
        super().__init__(plan.admin_kubeconfig, plan.server, plan.ca.cert, plan.workdir, clients)
        self.layout = plan
        self.etcd: Component = plane.etcd
        self.apiserver: Component = plane.apiserver
        self.controller_manager: Component = plane.controller_manager
        self.scheduler: Component = plane.scheduler
        self.kwok: Component = plane.kwok
        self.real_node: RealNode | None = None
        self.real_node_skipped: str = ""
        self._closing = contextlib.ExitStack()

    @classmethod
    def start(cls, options: BedOptions | None = None, progress: Progress | None = None) -> Bed:
        """Build what is missing, start everything, and return when the bed takes pods."""
        options, report = options or BedOptions(), progress or silent
        for crashed in registry.sweep(remove_crashed):
            report(f"testbed: cleaned up after bed {crashed}")
        binaries = build_base(report)
        with contextlib.ExitStack() as closing:
            bed_id = registry.new_id()
            workdir, data = _directories(bed_id, options, closing)
            node, skipped = reserve(bed_id, options, report, closing)
            address = node.bridge.address if node else layout.LOOPBACK
            claims = closing.enter_context(PortClaims())
            plan = layout.plan(workdir, data / "etcd", address, claims)
            plane = controlplane.assemble(plan, binaries, options)
            closing.callback(plane.kill)
            plane.start(report)
            clients = Clients(binaries.clients, plan.admin_kubeconfig, plan.workdir / "clients")
            bed = cls(plan, plane, clients)
            bed.real_node_skipped = skipped
            until(lambda: bed._takes_pods("default"), "service account in default")
            if node:
                bed.real_node = RealNode.start(node, bed, options, report, closing)
            bed._closing = closing.pop_all()
        atexit.register(bed.stop)
        report(f"testbed: ready at {bed.server}, kubeconfig {bed.kubeconfig}")
        return bed

    @property
    def bridge_address(self) -> str:
        """Where a listener has to be for pods to reach it; loopback without a real node."""
        return self.layout.address

    @property
    def audit_log(self) -> Path:
        """The audit log, one JSON object a line; written only with the `audit` option."""
        return self.layout.log("audit")

    def object_store(
        self,
        address: str | None = None,
        bucket: str = "overspill",
        progress: Progress | None = None,
    ) -> ObjectStore:
        """An S3-compatible store over a directory, ended with the bed."""
        where = address or self.bridge_address
        store = ObjectStore.start(self.workdir, where, bucket, progress)
        self._closing.callback(store.stop)
        return store

    def stop(self) -> None:
        """End every process and remove what the bed made; a second call does nothing."""
        atexit.unregister(self.stop)
        self._closing.close()

    def __enter__(self) -> Bed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _directories(
    bed_id: str, options: BedOptions, closing: contextlib.ExitStack
) -> tuple[Path, Path]:
    """Make the working and the data directory, entered in the registry before they exist."""
    workdir = options.workdir or registry_root() / bed_id
    data = (memory_root() or Path(tempfile.gettempdir())) / f"overspill-bed-{bed_id}"
    own = [data] if options.workdir or options.keep else [data, workdir]
    folders = [str(folder) for folder in own]
    node_state = "" if options.real_node == "no" else str(state_folder(bed_id))
    closing.callback(registry.claim(registry.Record(bed_id, folders, node_state)).close)
    for folder in own:
        closing.callback(shutil.rmtree, folder, ignore_errors=True)
    for folder in (workdir, data):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return workdir, data
