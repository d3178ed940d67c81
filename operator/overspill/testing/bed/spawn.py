"""Starts processes that cannot outlive the process that owns the bed.

Linux ties "die with the parent" to the parent's *thread*, so a process started from a worker
thread would die with that worker. One thread that lives as long as the interpreter starts them
all. Elsewhere than on Linux the bed's own `stop` at exit has to be enough.
"""

from __future__ import annotations

import ctypes
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` with its output appended to `log`, in a session of its own."""
    return _spawner().run(lambda: _start(command, log, env))


class _Spawner:
    def __init__(self) -> None:
        self._work: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="bed-spawner", daemon=True).start()

    def run(self, make: _Make) -> subprocess.Popen[bytes]:
        result: Future[subprocess.Popen[bytes]] = Future()
        self._work.put((make, result))
        return result.result()

    def _serve(self) -> None:
        while True:
            make, result = self._work.get()
            try:
                result.set_result(make())
            except Exception as error:  # noqa: BLE001 - handed to the caller's thread
                result.set_exception(error)


_Make = Callable[[], "subprocess.Popen[bytes]"]
_Task = tuple[_Make, "Future[subprocess.Popen[bytes]]"]

_lock = threading.Lock()
_instance: list[_Spawner] = []


def _spawner() -> _Spawner:
    with _lock:
        if not _instance:
            _instance.append(_Spawner())
        return _instance[0]


def _start(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, nothing that can lock
        )


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
