"""Keeps one bed up behind a shell: starting it detached, finding it again, ending it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from overspill.testing.bed.bed import Bed
from overspill.testing.bed.paths import registry_root
from overspill.testing.bed.progress import Progress


class UpError(RuntimeError):
    """The bed in the background did not come up; the message ends with its log."""


@dataclass(frozen=True)
class State:
    """What a shell needs to know about the bed that is up."""

    pid: int
    server: str
    kubeconfig: str
    tools: str
    real_node: bool
    skipped: str

    @classmethod
    def of(cls, bed: Bed) -> State:
        """The state of a bed that this process owns."""
        return cls(
            pid=os.getpid(),
            server=bed.server,
            kubeconfig=str(bed.kubeconfig),
            tools=str(bed.clients.kubectl_path.parent),
            real_node=bed.real_node is not None,
            skipped=bed.real_node_skipped,
        )


@contextmanager
def announced() -> Iterator[Callable[[State], None]]:
    """Hold the lock that says a bed is up; what is announced is what `state` finds."""
    with _file().open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpError("a bed is up already; see `status`") from None
        handle.truncate(0)

        def announce(state: State) -> None:
            json.dump(asdict(state), handle)
            handle.flush()

        yield announce
        handle.truncate(0)


def state() -> State | None:
    """The bed that is up; None also while one is still starting."""
    if not _file().exists():
        return None
    with _file().open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = handle.read()
            return State(**json.loads(text)) if text else None
    return None


def up(arguments: list[str], progress: Progress) -> State:
    """Start a detached process that serves a bed, pass its progress on, and wait for it."""
    running = state()
    if running is not None:
        return running
    log = registry_root() / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "overspill.testing.bed", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with log.open() as lines:
        while process.poll() is None:
            for line in lines:
                progress(line.rstrip())
            found = state()
            if found is not None:
                return found
            time.sleep(0.2)
    raise UpError(f"the bed did not come up:\n{log.read_text()[-2000:]}")


def down(timeout: float = 60.0) -> bool:
    """End the bed that is up and wait until it has cleaned up; False when none was up."""
    running = state()
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while state() is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    return True


def _file() -> Path:
    return registry_root() / "up.state"
