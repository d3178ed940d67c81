"""Removes everything a real node leaves on the machine: containers, mounts, bridge, rules.

The same steps end a healthy bed and clean up after a crashed one, so the second case is tested
by the first. Every step is silent about what is already gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from overspill.testing.bed import bridge

_CONTAINER_LINKS = Path("/var/log/containers")


def remove_node(state: str) -> None:
    """Undo a real node whose state lies in `state`; its processes may still run."""
    folder = Path(state)
    _end_processes(state)
    _end_containers(folder / "runc" / "k8s.io")
    _unmount(state)
    bridge.remove(folder.name.removesuffix("-node"))
    _remove_links(state)
    shutil.rmtree(folder, ignore_errors=True)


def remove_tables() -> None:
    """Take away kube-proxy's rules. They are one set per machine: only for who has the node."""
    for family in ("ip", "ip6"):
        _quiet("nft", "delete", "table", family, "kube-proxy")


def _end_containers(root: Path) -> None:
    """Containers outlive their supervisors; the runtime's own records name them."""
    if root.is_dir():
        for container in root.iterdir():
            _quiet("runc", "--root", str(root), "delete", "--force", container.name)


def _end_processes(state: str) -> None:
    """Kill what carries the state directory in its command line: the daemons and the shims."""
    found = _processes(state)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for _ in range(50):
        if not any(Path(f"/proc/{pid}/exe").exists() for pid in found):
            return
        time.sleep(0.05)


def _processes(state: str) -> list[int]:
    wanted = f"{state}/".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                program, _, rest = (folder / "cmdline").read_bytes().partition(b"\0")
                if wanted in rest and Path(os.fsdecode(program)).name in _OURS:
                    found.append(int(folder.name))
    return found


_OURS = {"kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2"}


def _unmount(state: str) -> None:
    """Deepest first, lazily: a dying container may still hold its root."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{state}/")), reverse=True):
        _quiet("umount", "--lazy", point)


def _remove_links(state: str) -> None:
    """The kubelet links every log into one fixed directory of the machine."""
    if _CONTAINER_LINKS.is_dir():
        for link in _CONTAINER_LINKS.iterdir():
            if link.is_symlink() and str(link.readlink()).startswith(f"{state}/"):
                link.unlink(missing_ok=True)


def _quiet(*command: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(command, capture_output=True, check=False)
