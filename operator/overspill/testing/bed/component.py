"""One process of the bed that can be started, stopped, killed, paused and restarted.

Everything a bed runs on the host is a `Component`: it dies with the process that started the
bed, logs to one file across restarts, and is ready when its probe says so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from overspill.testing.bed import spawn

Probe = Callable[[], bool]


class ComponentError(RuntimeError):
    """A component did not start, or did not become ready; the message ends with its log."""


class Component:
    """A supervised host process; none of its methods restarts anything by itself."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        ready: Probe,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._ready = ready
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def paused(self) -> bool:
        """Whether the process is frozen by `pause`."""
        return self._paused and self.running

    @property
    def pid(self) -> int:
        """The process id; asking for it while nothing runs is a mistake of the caller."""
        if self._process is None or not self.running:
            raise ComponentError(f"{self.name} is not running")
        return self._process.pid

    def start(self, *, wait: bool = True, timeout: float = 60.0) -> None:
        """Start the process unless it runs, and wait until its probe answers."""
        if not self.running:
            self._paused = False
            self._process = spawn.start(self.command, self.log, self._env)
        if wait:
            self.wait_ready(timeout)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return once the probe answers; raise when the process ends or time is up."""
        deadline = time.monotonic() + timeout
        while not self._ready():
            if not self.running:
                raise ComponentError(f"{self.name} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ComponentError(
                    f"{self.name} was not ready after {timeout:.0f} s:\n{self.log_tail()}"
                )
            time.sleep(0.05)

    def stop(self, timeout: float = 15.0) -> None:
        """Ask the process to end, and kill it when it takes too long."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End the process as a crash would: nothing gets a chance to clean up."""
        self._end(signal.SIGKILL, 10.0)

    def pause(self) -> None:
        """Freeze the process: its connections stay open and nothing answers on them."""
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let a frozen process go on where it was."""
        os.kill(self.pid, signal.SIGCONT)
        self._paused = False

    def restart(self, *, timeout: float = 60.0) -> None:
        """Stop, start, and wait until it is ready again."""
        self.stop()
        self.start(timeout=timeout)

    def log_tail(self, lines: int = 20) -> str:
        """The end of the log, for messages that must explain themselves."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _end(self, number: signal.Signals, timeout: float) -> None:
        process = self._process
        if process is None:
            return
        self._signal(process, number)
        self._signal(process, signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._signal(process, signal.SIGKILL)
            process.wait()
        self._process = None
        self._paused = False

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
