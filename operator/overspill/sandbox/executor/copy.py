"""One copy of a service: a real process on an empty disk, started again whenever it exits.

That is what most container markets do with every program, whatever its exit code; where one does
not, the copy ends with its code. The lease that owns
the copy starts it, loses it with its host, and stops it.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.executor.isolation import bare, isolated
from overspill.sandbox.executor.network import Cell
from overspill.sandbox.executor.rundir import RUN_VARIABLE, end_processes_of

_HEALTHY_S = 600.0
_LONGEST_PAUSE_S = 300.0
_NO_COMMAND = b"The service has no command, and the sandbox pulls no images, so nothing can run.\n"

Record = Callable[[str, int | None], None]
"""Told of each start (exit code None) and each exit, with the copy's name."""


@dataclass(frozen=True, slots=True)
class CopySpec:
    """What a copy runs and where it may put things."""

    name: str
    command: Sequence[str]
    env: dict[str, str]
    root: Path
    log: Path
    share: Sequence[Path] = ()
    ready_at: float = 0.0
    backoff_s: float = 10.0
    grace_s: float = 2.0
    restarts: bool = True


class Copy:
    """The running copy; `cell` is its network, None where the machine cannot make one."""

    def __init__(
        self, spec: CopySpec, cell: Cell | None, clock: SandboxClock, record: Record
    ) -> None:
        self.spec = spec
        self.cell = cell
        self.restarts = 0
        self.exit_code: int | None = None
        self._clock = clock
        self._record = record
        self._process: asyncio.subprocess.Process | None = None
        self._is_ending = False

    @property
    def is_running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def address(self) -> str:
        """Where its ports are."""
        return self.cell.address if self.cell else "127.0.0.1"

    async def run(self) -> None:
        """Boots, then runs, for ever where exits are restarted; cancelling it kills the process."""
        await self._clock.sleep_until(self.spec.ready_at)
        quick = 0
        while True:
            began = self._clock.now()
            code = await self._once()
            if self._is_ending:
                return
            told = code if code >= 0 else 128 - code
            self._record(self.spec.name, told)
            if not self.spec.restarts:
                self.exit_code = told
                return
            self.restarts += 1
            quick = 1 if self._clock.now() - began >= _HEALTHY_S else quick + 1
            await self._clock.sleep(pause(quick, self.spec.backoff_s))

    async def terminate(self) -> None:
        """Asks the process to end, waits the grace, and leaves the rest to cancelling `run`."""
        self._is_ending = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        for pid in self._inner(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self.spec.grace_s)

    def kill(self) -> None:
        """Ends the process at once, and with it all it started."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.kill()

    async def _once(self) -> int:
        if not self.spec.command:
            _append(self.spec.log, _NO_COMMAND)
            return 127
        disk = _empty_disk(self.spec.root)
        try:
            self._process = await self._spawn(disk)
            self._record(self.spec.name, None)
            return await self._process.wait()
        except OSError as error:
            _append(self.spec.log, f"{self.spec.command[0]}: {error.strerror}\n".encode())
            return 127
        finally:
            self.kill()
            if self.cell is None:
                end_processes_of(disk)  # with a cell, its process namespace ends them
            if self._process is not None:
                await self._process.wait()
            shutil.rmtree(disk, ignore_errors=True)

    async def _spawn(self, disk: Path) -> asyncio.subprocess.Process:
        spec = self.spec
        env = {**spec.env, "HOME": str(disk / "work"), "TMPDIR": self._tmp(disk)}
        if self.cell is None:
            command, env[RUN_VARIABLE] = bare(spec.command), str(disk)
        else:
            command = isolated(self.cell, disk, spec.share, spec.command)
        with spec.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=disk / "work",
                env=env,
                start_new_session=True,
            )

    def _tmp(self, disk: Path) -> str:
        return str(disk / "tmp") if self.cell is None else "/tmp"  # noqa: S108 -- the lease's own

    def _inner(self, outer: int) -> list[int]:
        """The process the tenant sees as its first: below `unshare`, or the outer one itself."""
        if self.cell is None:
            return [outer]
        children = Path(f"/proc/{outer}/task/{outer}/children")
        with suppress(OSError):
            return [int(pid) for pid in children.read_text().split()]
        return []


def pause(quick_exits: int, backoff_s: float) -> float:
    """Before the next start: none after the first exit, then doubled from the base, capped."""
    if quick_exits <= 1:
        return 0.0
    return min(backoff_s * 2.0 ** min(quick_exits - 2, 10), _LONGEST_PAUSE_S)


def _empty_disk(root: Path) -> Path:
    disk = Path(tempfile.mkdtemp(prefix="disk-", dir=root))
    (disk / "work").mkdir()
    (disk / "tmp").mkdir(mode=0o1777)
    return disk


def _append(log: Path, text: bytes) -> None:
    with log.open("ab") as file:
        file.write(text)
