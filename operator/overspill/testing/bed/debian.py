"""Installs and unpacks Debian packages for the real node and the workload images."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from overspill.testing.bed import cache
from overspill.testing.bed.paths import cache_root
from overspill.testing.bed.progress import Progress, step

NODE_TOOLS = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "nftables": "nft",
    "iproute2": "ip",
    "conntrack": "conntrack",
}
"""Packages of the real node, each with a program that shows whether it is installed."""

_LOCK = "debian.lock"


class DebianError(RuntimeError):
    """A package could not be installed or downloaded; the message ends with apt's output."""


def install_node_tools(progress: Progress) -> None:
    """Install what the real node needs and lacks; a no-op on a prepared machine."""
    with cache.locked(cache_root() / _LOCK):
        missing = [name for name, proof in NODE_TOOLS.items() if not _has(proof)]
        if not missing:
            return
        with step(progress, f"installing {' '.join(missing)}"):
            refresh()
            _apt("install", "--yes", "--no-install-recommends", *missing)


def unpack(packages: Sequence[str], target: Path, scratch: Path) -> None:
    """Download packages and lay their files out in `target`; nothing is installed.

    `target` may have its /lib and /bin merged into /usr by links, as Debian's own roots do.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    scratch.chmod(0o755)
    with cache.locked(cache_root() / _LOCK):
        refresh()
    _apt("download", *packages, cwd=scratch)
    for archive in sorted(scratch.glob("*.deb")):
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE
        ) as files:
            subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "-C", target],
                stdin=files.stdout,
                check=True,
            )


def closure(packages: Sequence[str], without: Sequence[str]) -> list[str]:
    """The packages and all they depend on, except what `without` names."""
    refresh()
    quiet = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks")]
    quiet += ["--no-replaces", "--no-enhances"]
    result = subprocess.run(
        ["apt-cache", "depends", "--recurse", *quiet, *packages],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line for line in result.stdout.splitlines() if line[:1].isalnum()}
    return sorted(name for name in names - set(without) if ":" not in name)


@functools.cache
def refresh() -> None:
    """Fetch the package lists, once per process: without them every download fails."""
    _apt("update")


def _has(proof: str) -> bool:
    return Path(proof).exists() if proof.startswith("/") else shutil.which(proof) is not None


def _apt(*args: str, cwd: Path | None = None) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # apt's own download user may not enter the private directories that we download into.
    options = ["-o", "DPkg::Lock::Timeout=120", "-o", "APT::Sandbox::User=root"]
    result = subprocess.run(
        ["apt-get", "-q", *options, *args],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise DebianError(f"apt-get {' '.join(args)} failed:\n{result.stderr[-2000:]}")
