"""The images that real pods run, built from Debian packages: no image registry is needed.

Pods name them with `imagePullPolicy: IfNotPresent` or `Never`; the real node has them from its
start.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from overspill.testing.bed import cache, debian, oci
from overspill.testing.bed.progress import Progress, silent, step

BUSYBOX = "overspill.dev/busybox:1"
PYTHON = "overspill.dev/python:1"
PAUSE = "overspill.dev/pause:1"

_RECIPE = "2"
"""Raise this when an image's content changes."""

_NOT_NEEDED = ("debconf", "debconf-2.0", "cdebconf", "dpkg", "tar", "media-types", "install-info")


def busybox(progress: Progress = silent) -> Path:
    """An archive of `overspill.dev/busybox:1`: a shell and the usual small tools."""
    return _image(BUSYBOX, lambda root, scratch: _base(root, scratch, []), progress)


def python(progress: Progress = silent) -> Path:
    """An archive of `overspill.dev/python:1`: Python 3 with its standard library, and a shell."""

    def lay_out(root: Path, scratch: Path) -> None:
        _base(root, scratch, debian.closure(["python3"], _NOT_NEEDED))

    return _image(PYTHON, lay_out, progress)


def pause(progress: Progress = silent) -> Path:
    """The image that holds a pod's network namespace open."""

    def lay_out(root: Path, scratch: Path) -> None:
        _base(root, scratch, [])

    return _image(PAUSE, lay_out, progress, ("/usr/bin/sleep", "2147483647"))


def _image(
    name: str,
    lay_out: Callable[[Path, Path], None],
    progress: Progress,
    entrypoint: tuple[str, ...] = (),
) -> Path:
    release = Path("/etc/debian_version").read_text()
    short = name.split("/")[1].replace(":", "-")

    def fill(folder: Path) -> None:
        with step(progress, f"building image {name}"):
            root = folder / "root"
            root.mkdir()
            lay_out(root, folder / "packages")
            oci.write(folder / "image.tar", name, root, entrypoint)
            subprocess.run(["rm", "-rf", root, folder / "packages"], check=True)

    key = cache.digest(name, release, _RECIPE, *entrypoint)
    return cache.filled(cache.entry("images", short, key), fill) / "image.tar"


def _base(root: Path, scratch: Path, packages: list[str]) -> None:
    """A root with merged /usr, the packages, and busybox for everything they do not bring."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("etc", "run", "var"):
        (root / name).mkdir()
    (root / "var" / "run").symlink_to("/run")  # as in Debian: mounts at either path meet
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\nrunner:x:65532:65532::/tmp:\n")
    (root / "etc" / "group").write_text("root:x:0:\nrunner:x:65532:\n")
    debian.unpack(["busybox-static", *packages], root, scratch)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    tool = root / "usr" / "bin" / "busybox"
    listed = subprocess.run([tool, "--list"], capture_output=True, text=True, check=True)
    for applet in listed.stdout.split():
        link = root / "usr" / "bin" / applet
        if not link.exists() and not link.is_symlink():
            link.symlink_to("busybox")
