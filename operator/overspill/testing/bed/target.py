"""Which cluster the tests and the demo use: `CLUSTER=local|kind|external`.

Nothing here reads the user's current context. An external cluster is used only when
`OVERSPILL_KUBECONFIG` names its kubeconfig, and kind writes to a kubeconfig of its own.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

from overspill.testing.bed import wheels
from overspill.testing.bed.bed import Bed
from overspill.testing.bed.build import KIND, build
from overspill.testing.bed.clients import Clients
from overspill.testing.bed.cluster import Cluster
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.paths import cache_root, modules_root
from overspill.testing.bed.progress import Progress, silent, step

KIND_NAME = "overspill"


class ClusterUnavailableError(RuntimeError):
    """The cluster that was asked for cannot be had; the message says what is missing."""


def open_cluster(options: BedOptions | None = None, progress: Progress | None = None) -> Cluster:
    """The cluster that the environment asks for; `stop` ends it where it is ours."""
    wanted, report = os.environ.get("CLUSTER", "local"), progress or silent
    if wanted == "local":
        return Bed.start(options, report)
    if wanted == "kind":
        return _kind(report)
    if wanted == "external":
        return _external(report)
    raise ClusterUnavailableError(f"CLUSTER={wanted}: choose local, kind or external")


def _external(progress: Progress) -> Cluster:
    given = os.environ.get("OVERSPILL_KUBECONFIG")
    if not given or not Path(given).is_file():
        raise ClusterUnavailableError(
            "CLUSTER=external needs OVERSPILL_KUBECONFIG to name a kubeconfig file"
        )
    return attach(Path(given), progress)


def _kind(progress: Progress) -> Cluster:
    if not _has_docker_engine():
        raise ClusterUnavailableError("CLUSTER=kind needs a running Docker engine")
    program = build(KIND, progress) / "kind"
    kubeconfig = cache_root() / "kind" / "kubeconfig"
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    shared = ["--name", KIND_NAME, "--kubeconfig", str(kubeconfig)]
    listed = _checked(program, "get", "clusters")
    if KIND_NAME in listed.split():
        _checked(program, "export", "kubeconfig", *shared)
    else:
        with step(progress, "creating the kind cluster"):
            config = str(modules_root() / "kind.yaml")
            _checked(program, "create", "cluster", "--config", config, "--wait", "180s", *shared)
    return attach(kubeconfig, progress)


def _has_docker_engine() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def delete_kind(progress: Progress) -> None:
    """Remove the kind cluster; it is kept between runs otherwise."""
    _checked(build(KIND, progress) / "kind", "delete", "cluster", "--name", KIND_NAME)


def attach(kubeconfig: Path, progress: Progress) -> Cluster:
    """A cluster that already runs, by its kubeconfig's current context."""
    workdir = cache_root() / "attached"
    workdir.mkdir(parents=True, exist_ok=True)
    clients = Clients(wheels.clients(progress), kubeconfig, workdir / "clients")
    view = ["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]
    cluster = json.loads(clients.kubectl(*view))["clusters"][0]["cluster"]
    ca_file = workdir / "ca.crt"
    ca_file.write_bytes(base64.b64decode(cluster.get("certificate-authority-data", "")))
    return Cluster(kubeconfig, cluster["server"], ca_file, workdir, clients)


def _checked(program: Path, *args: str) -> str:
    result = subprocess.run([program, *args], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ClusterUnavailableError(f"kind {' '.join(args)} failed:\n{result.stderr[-2000:]}")
    return result.stdout
