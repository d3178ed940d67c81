"""The executor that really runs leases: their commands as processes of this machine.

Only with `--allow-exec`. Each copy gets a cell of its own where the machine can make one, a
minimal environment, an `nvidia-smi` that tells of the leased GPU, and forwarded ports.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.executor.copy import Copy, CopySpec
from overspill.sandbox.executor.expansion import expand
from overspill.sandbox.executor.forward import Forwarder
from overspill.sandbox.executor.network import Cell, Network
from overspill.sandbox.executor.rundir import RunDir
from overspill.sandbox.executor.shell import ToolError
from overspill.sandbox.executor.shim import write_shim
from overspill.sandbox.workload import NotPossibleError, Service, ServiceState, Workload

_log = logging.getLogger(__name__)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOG_TAIL = 4 * 2**20
_KILLED = 137

Witness = Callable[[Workload, str, int | None], None]
"""Told of every start (None) and exit (its code) of a copy, by name."""


@dataclass(slots=True)
class _Running:
    workload: Workload
    folder: Path
    copies: dict[str, list[Copy]] = field(default_factory=dict)
    forwards: dict[str, list[Forwarder]] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    is_cut: bool = False
    ready_at: float = 0.0

    def all_copies(self) -> list[Copy]:
        return [copy for copies in self.copies.values() for copy in copies]


class ProcessExecutor:
    """Leases as processes; `network` is None where no cells can be made."""

    def __init__(
        self,
        clock: SandboxClock,
        run: RunDir,
        network: Network | None,
        *,
        share: Sequence[Path] = (),
        witness: Witness,
    ) -> None:
        self._clock = clock
        self._run = run
        self._network = network
        self._share = share
        self._witness = witness
        self._leases: dict[str, _Running] = {}
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where leases reach this machine, and this machine forwards their ports."""
        return self._network.address if self._network else "127.0.0.1"

    def start(self, workload: Workload) -> None:
        """Begins to boot every copy."""
        if workload.lease in self._leases:
            return
        folder = self._run.path / workload.lease
        folder.mkdir(parents=True, exist_ok=True)
        write_shim(folder / "bin", workload.lease, workload.gpu, workload.gpus)
        lease = _Running(workload, folder)
        self._leases[workload.lease] = lease
        self._begin(lease)

    def stop(self, lease: str) -> None:
        """Ends the copies with a grace and takes their network down."""
        found = self._leases.pop(lease, None)
        if found is not None:
            self._later(self._end(found, gently=True))

    def lose(self, lease: str) -> None:
        """Kills every copy at once."""
        found = self._leases.get(lease)
        if found is not None:
            for copy in found.all_copies():
                copy.kill()
            gone = _Running(found.workload, found.folder, found.copies, found.forwards, found.tasks)
            found.copies, found.forwards, found.tasks = {}, {}, []
            self._later(self._end(gone, gently=False))

    def recover(self, lease: str) -> None:
        """Boots the copies again on empty disks."""
        found = self._leases.get(lease)
        if found is not None and not found.tasks:
            self._begin(found)

    def services(self, lease: str) -> Sequence[ServiceState]:
        """What runs now."""
        found = self._leases.get(lease)
        if found is None:
            return []
        return [_state(found, service) for service in found.workload.services]

    def cut(self, lease: str) -> None:
        """Takes the link of every copy down."""
        self._switch(lease, on=False)

    def heal(self, lease: str) -> None:
        """Takes it up again."""
        self._switch(lease, on=True)

    def finish(self, lease: str, exit_code: int) -> None:
        """Kills the programs; the market starts them again."""
        if exit_code != _KILLED:
            raise NotPossibleError("Real programs choose their exit code; only 137 can be forced.")
        found = self._leases.get(lease)
        for copy in found.all_copies() if found else []:
            copy.kill()

    def logs(self, lease: str) -> dict[str, bytes]:
        """What every copy printed, all its starts together; also after the lease ended."""
        folder = self._run.path / lease
        return {path.stem: path.read_bytes()[-_LOG_TAIL:] for path in sorted(folder.glob("*.log"))}

    async def close(self) -> None:
        """Kills everything, takes the networks down, removes the disks."""
        leases, self._leases = list(self._leases.values()), {}
        await asyncio.gather(*(self._end(lease, gently=False) for lease in leases))
        for task in list(self._endings):
            await asyncio.wait([task])
        if self._network is not None:
            self._network.close()
        self._run.close()

    def _begin(self, lease: _Running) -> None:
        lease.ready_at = self._clock.now() + lease.workload.boot_s
        lease.tasks.append(_watched(self._boot(lease)))

    async def _boot(self, lease: _Running) -> None:
        try:
            await self._place(lease)
        except (OSError, ToolError) as error:
            text = f"The host could not place the lease: {error}.\n"
            (lease.folder / "host.log").write_text(text)

    async def _place(self, lease: _Running) -> None:
        for service in lease.workload.services:
            copies = lease.copies.setdefault(service.name, [])
            for number in range(service.replicas):
                cell = await self._attach(lease)
                copy = Copy(
                    self._spec(lease, service, number), cell, self._clock, self._tell(lease)
                )
                copies.append(copy)
                lease.tasks.append(_watched(copy.run()))
            for port in service.ports:
                if port.protocol == "TCP":
                    forward = Forwarder(port, self.address, partial(_addresses, copies))
                    lease.forwards.setdefault(service.name, []).append(forward)
                    await forward.open()

    async def _attach(self, lease: _Running) -> Cell | None:
        if self._network is None:
            return None
        cell = await asyncio.to_thread(self._network.attach)
        if lease.is_cut:
            self._network.switch(cell, on=False)
        return cell

    def _spec(self, lease: _Running, service: Service, number: int) -> CopySpec:
        workload = lease.workload
        env = {
            "PATH": f"{lease.folder / 'bin'}:{_PATH}",
            "HOSTNAME": f"{service.name}-{number}",
        }
        given = dict(service.env)
        if workload.gpus:
            env["NVIDIA_VISIBLE_DEVICES"] = ",".join(str(n) for n in range(workload.gpus))
        return CopySpec(
            name=f"{service.name}-{number}",
            command=[expand(text, given) for text in [*service.command, *service.args]]
            if service.command
            else [],
            env={**env, **given},
            root=lease.folder,
            log=lease.folder / f"{service.name}-{number}.log",
            share=self._share,
            ready_at=lease.ready_at,
            backoff_s=workload.restart_backoff_s,
            restarts=workload.restarts,
        )

    def _tell(self, lease: _Running) -> Callable[[str, int | None], None]:
        return lambda name, code: self._witness(lease.workload, name, code)

    async def _end(self, lease: _Running, *, gently: bool) -> None:
        for forwards in lease.forwards.values():
            for forward in forwards:
                await forward.close()
        copies = lease.all_copies()
        if gently:
            await asyncio.gather(*(copy.terminate() for copy in copies))
        for task in lease.tasks:
            task.cancel()
        await asyncio.gather(*lease.tasks, return_exceptions=True)
        for copy in copies:
            if copy.cell is not None and self._network is not None:
                await asyncio.to_thread(self._network.detach, copy.cell)

    def _later(self, ending: Coroutine[None, None, None]) -> None:
        task = _watched(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _switch(self, name: str, *, on: bool) -> None:
        lease = self._leases.get(name)
        if self._network is None:
            raise NotPossibleError("Leases share this machine's network here; it cannot be cut.")
        if lease is None:
            raise NotPossibleError("The lease runs nothing.")
        lease.is_cut = not on
        for copy in lease.all_copies():
            if copy.cell is not None:
                self._network.switch(copy.cell, on=on)


def _watched(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """A task whose failure is said at once, not when somebody waits for it."""
    task = asyncio.create_task(work)
    task.add_done_callback(_say_failure)
    return task


def _say_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("A lease's task failed.", exc_info=error)


def _addresses(copies: Sequence[Copy]) -> list[str]:
    return [copy.address for copy in copies if copy.is_running]


def _state(lease: _Running, service: Service) -> ServiceState:
    copies = lease.copies.get(service.name, [])
    described = [forward.describe() for forward in lease.forwards.get(service.name, [])]
    return ServiceState(
        name=service.name,
        total=service.replicas,
        available=sum(copy.is_running for copy in copies),
        restarts=sum(copy.restarts for copy in copies),
        forwards=[forward for forward in described if forward is not None],
        exit_code=next((c.exit_code for c in reversed(copies) if c.exit_code is not None), None),
    )
