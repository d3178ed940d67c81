"""The Effect gate: the only door through which the engine's calls leave the process.

Every call has a site name, a deadline, and a failpoint before and after it; the fault campaign
kills or stops the process there. `GatedProvider` and `GatedCluster` put a port behind the gate.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from overspill.core.errors import OpenUncertain, ProviderError, Unavailable
from overspill.core.job import Job
from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.engine.listing import SharedListing
from overspill.ports import (
    Change,
    Clock,
    Cluster,
    Keepsake,
    OpenRequest,
    OpenStep,
    Provider,
    View,
)
from overspill.telemetry import PROVIDER_CALLS

T = TypeVar("T")
Hook = Callable[[str, str], None]
"""Called with (site, "before" | "after")."""

READ_DEADLINE_S = 30.0


class EffectGate:
    """Runs one outbound call between two failpoints."""

    def __init__(self, clock: Clock, hook: Hook | None = None) -> None:
        self.clock = clock
        self._hook = hook or (lambda _site, _moment: None)

    async def __call__(self, site: str, call: Callable[[], Awaitable[T]]) -> T:
        """Performs `call`; adds no retry and hides no error."""
        self._hook(site, "before")
        result = await call()
        self._hook(site, "after")
        return result


def killing_hook(spec: str) -> Hook | None:
    """A hook that ends the process by SIGKILL: `SITE:before|after:N` or `*:before|after:N`.

    N counts matching passages from 1; "" gives no hook. With `:stop` behind it the process is
    paused by SIGSTOP instead: a leader that others take for dead, and that comes back.
    """
    if not spec:
        return None
    site, moment, count, *rest = spec.split(":")
    left = [int(count)]
    number = signal.SIGSTOP if rest == ["stop"] else signal.SIGKILL

    def hook(at: str, when: str) -> None:
        if when == moment and site in ("*", at):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), number)

    return hook


class GatedProvider:
    """A Provider behind the gate; deadlines make a silent market an error of the right kind."""

    def __init__(self, inner: Provider, gate: EffectGate) -> None:
        self.inner = inner
        self.name = inner.name
        self.capabilities = inner.capabilities
        self._gate = gate
        self._listing = SharedListing(lambda: self._read("leases", self.inner.leases))

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """See ports.Provider."""
        return await self._read("offers", lambda: self.inner.offers(requirements))

    async def observe(self, handle: Handle) -> Observation:
        """See ports.Provider."""
        return await self._read("observe", lambda: self.inner.observe(handle))

    async def close(self, handle: Handle) -> None:
        """See ports.Provider."""
        return await self._read("close", lambda: self.inner.close(handle))

    async def leases(self) -> Sequence[HeldLease]:
        """See ports.Provider. One listing answers all who asked before it began."""
        return await self._listing()

    async def open(self, request: OpenRequest, deadline: timedelta | None = None) -> OpenStep:
        """See ports.Provider; past the deadline the outcome is unknown (R4)."""
        limit = (deadline or self.capabilities.request_timeout).total_seconds()
        try:
            return await self._timed("open", lambda: self.inner.open(request), limit)
        except TimeoutError:
            message = f"opening {request.key} took longer than {limit:.0f} s"
            raise OpenUncertain(message, provider=self.name) from None

    async def _read(self, call: str, make: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._timed(call, make, READ_DEADLINE_S)
        except TimeoutError:
            message = f"{call} took longer than {READ_DEADLINE_S:.0f} s"
            raise Unavailable(message, provider=self.name) from None

    async def _timed(self, call: str, make: Callable[[], Awaitable[T]], limit_s: float) -> T:
        started = self._gate.clock.monotonic()

        async def bounded() -> T:
            # A process that was paused before this line must not send what it meant to send then.
            left_s = limit_s - (self._gate.clock.monotonic() - started)
            if left_s <= 0:
                raise TimeoutError
            async with asyncio.timeout(left_s):
                return await make()

        outcome = "error"
        try:
            result = await self._gate(f"{self.name}.{call}", bounded)
        except ProviderError as error:
            outcome = type(error).__name__
            raise
        else:
            outcome = "ok"
            return result
        finally:
            took = self._gate.clock.monotonic() - started
            PROVIDER_CALLS.labels(self.name, call, outcome).observe(took)


class GatedCluster:
    """The Cluster port behind the gate; reading the cached view is no effect."""

    def __init__(self, inner: Cluster, gate: EffectGate) -> None:
        self._inner = inner
        self._gate = gate
        self.cluster_id = inner.cluster_id
        self._records = SharedListing(lambda: gate("cluster.all_leases", inner.all_leases))

    def view(self) -> View:
        """See ports.Cluster."""
        return self._inner.view()

    async def job(self, namespace: str, name: str) -> Job | None:
        """See ports.Cluster."""
        return await self._gate("cluster.job", lambda: self._inner.job(namespace, name))

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """See ports.Cluster."""
        return await self._gate("cluster.lease", lambda: self._inner.lease(namespace, name))

    async def all_leases(self) -> Sequence[Lease]:
        """See ports.Cluster. One LIST answers all who asked before it began."""
        return await self._records()

    async def record(self, change: Change) -> Lease | None:
        """See ports.Cluster."""
        return await self._gate(
            f"cluster.{type(change).__name__}", lambda: self._inner.record(change)
        )


class GatedKeepsake:
    """The Keepsake port behind the gate."""

    def __init__(self, inner: Keepsake, gate: EffectGate) -> None:
        self._inner = inner
        self._gate = gate

    async def read(self) -> bytes | None:
        """See ports.Keepsake."""
        return await self._gate("keepsake.read", self._inner.read)

    async def write(self, content: bytes) -> None:
        """See ports.Keepsake."""
        await self._gate("keepsake.write", lambda: self._inner.write(content))
