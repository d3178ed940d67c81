"""Builds the control plane's programs from the code-free Go modules under `testbed/`.

`python -m overspill.testing.bed build` and every `Bed.start` come here; a warm cache answers in
milliseconds. Kubernetes, etcd and kwok stay separate modules, because one shared build list
would drag Kubernetes off the versions it was released with.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from overspill.testing.bed import cache, wheels
from overspill.testing.bed.paths import modules_root
from overspill.testing.bed.progress import Progress, silent, step

OLDEST_GO = (1, 26)


class BuildError(RuntimeError):
    """A program of the test bed could not be built; the message ends with the tool's output."""


@dataclass(frozen=True)
class Target:
    """One cache entry: programs of one module that are built and used together."""

    name: str
    module: str
    packages: tuple[str, ...]
    hint: str
    version_of: str = ""
    """The module whose version the programs report, where the linker has to tell them."""


ETCD = Target("etcd", "etcd", ("go.etcd.io/etcd/server/v3",), "about 1 min cold")
CONTROL_PLANE = Target(
    "control-plane",
    "k8s",
    tuple(
        f"k8s.io/kubernetes/cmd/kube-{n}" for n in ("apiserver", "controller-manager", "scheduler")
    ),
    "about 5 min cold",
    version_of="k8s.io/kubernetes",
)
KWOK = Target("kwok", "kwok", ("sigs.k8s.io/kwok/cmd/kwok",), "about 1 min cold")
NODE = Target(
    "node",
    "k8s",
    ("k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kube-proxy"),
    "about 1 min cold",
    version_of="k8s.io/kubernetes",
)
KIND = Target("kind", "kind", ("sigs.k8s.io/kind",), "half a minute cold")
OBJECT_STORE = Target(
    "versitygw", "versitygw", ("github.com/versity/versitygw/cmd/versitygw",), "about 1 min cold"
)


@dataclass(frozen=True)
class Binaries:
    """Where each program lies; the directories are the cache's and must not be written to."""

    etcd: Path
    control_plane: Path
    kwok: Path
    clients: Path

    @property
    def kwok_stages(self) -> Path:
        """kwok's own stage files, kept beside its program."""
        return self.kwok / "stages"


def build_all(progress: Progress | None = None, *, real_node: bool = True) -> Binaries:
    """Build or find everything a bed can ask for; without `real_node`, what every bed needs."""
    report = progress or silent
    binaries = build_base(report)
    build(OBJECT_STORE, report)
    if real_node:
        build(NODE, report)
    return binaries


def build_base(progress: Progress) -> Binaries:
    """What a bed of simulated nodes needs."""
    return Binaries(
        etcd=build(ETCD, progress),
        control_plane=build(CONTROL_PLANE, progress),
        kwok=build(KWOK, progress),
        clients=wheels.clients(progress),
    )


def build(target: Target, progress: Progress) -> Path:
    """The directory with one target's programs."""
    module = modules_root() / target.module
    go = _go(progress)
    flags = _flags(module, target)
    key = cache.digest(
        (module / "go.mod").read_bytes(),
        (module / "go.sum").read_bytes(),
        _go_version(go),
        *flags,
        *target.packages,
    )
    place = cache.entry("bin", target.name, key)
    if place.is_dir():
        progress(f"testbed: {target.name}: cached")
        return place

    def fill(folder: Path) -> None:
        _go_run(go, module, "build", *flags, "-o", f"{folder}/", *target.packages)
        if target is ETCD:
            (folder / "server").rename(folder / "etcd")
        if target is KWOK:
            _keep_stages(go, module, folder)

    # Around the lock, so that a process waiting for another's build shows progress too.
    with step(progress, f"building {target.name} ({target.hint})"):
        return cache.filled(place, fill)


def _flags(module: Path, target: Target) -> list[str]:
    linker = "-s -w"
    if target.version_of:
        found = re.search(rf"{re.escape(target.version_of)} v(\d+)\.(\d+)\.\S+", _text(module))
        if found is None:
            raise BuildError(f"{module}/go.mod does not pin {target.version_of}")
        version = found.group(0).split()[1]
        package = "k8s.io/component-base/version"
        stamps = {"Version": version, "Major": found[1], "Minor": found[2]}
        linker += "".join(f" -X {package}.git{k}={v}" for k, v in stamps.items())
    return ["-trimpath", "-buildvcs=false", f"-ldflags={linker}"]


def _text(module: Path) -> str:
    return (module / "go.mod").read_text()


def _keep_stages(go: Path, module: Path, folder: Path) -> None:
    """kwok's own stage files travel with its binary: the module cache may be emptied later."""
    where = _go_run(go, module, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip()
    shutil.copytree(Path(where) / "kustomize" / "stage", folder / "stages", copy_function=_copy)


def _copy(source: str, target: str) -> None:
    """Contents only: the module cache is read-only, and its mode would make ours so."""
    Path(target).write_bytes(Path(source).read_bytes())


def _go(progress: Progress) -> Path:
    installed = shutil.which("go")
    if installed and _is_recent(_go_version(Path(installed))):
        return Path(installed)
    progress("testbed: no Go of the needed version is installed; using the packaged toolchain")
    return wheels.go_root(progress) / "bin" / "go"


def _is_recent(version: str) -> bool:
    found = re.match(r"go(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_GO


def _go_version(go: Path) -> str:
    result = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return result.stdout.strip()


def _go_run(go: Path, module: Path, *args: str) -> str:
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    result = subprocess.run(
        [go, *args], cwd=module, env=env, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise BuildError(f"go {args[0]} in {module} failed:\n{result.stderr[-4000:]}")
    return result.stdout
