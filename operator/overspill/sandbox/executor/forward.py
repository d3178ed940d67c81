"""Carries connections from a port of this machine to a port inside a lease, as a host's proxy does.

One per exposed port of a service; it connects to the first copy that answers.
"""

import asyncio
from collections.abc import Callable, Sequence

from overspill.sandbox.workload import Forward, Port

_CONNECT_TIMEOUT_S = 5.0


class Forwarder:
    """A listening port and the copies behind it."""

    def __init__(self, port: Port, host: str, targets: Callable[[], Sequence[str]]) -> None:
        self._port = port
        self._host = host
        self._targets = targets
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._accept, self._host, 0)

    def describe(self) -> Forward | None:
        """Where it listens; None before `open`."""
        if self._server is None or not self._server.sockets:
            return None
        external = self._server.sockets[0].getsockname()[1]
        return Forward(
            self._port.port, external, self._host, self._port.protocol, self._port.is_http
        )

    async def close(self) -> None:
        """Stops listening and drops what is open."""
        if self._server is not None:
            self._server.close()
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- the server runs this as a task
        self._pipes.add(task)
        try:
            await self._carry(reader, writer)
        finally:
            writer.close()
            self._pipes.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for target in self._targets():
            try:
                inner = await asyncio.wait_for(
                    asyncio.open_connection(target, self._port.port), _CONNECT_TIMEOUT_S
                )
            except (OSError, TimeoutError):
                continue
            try:
                await asyncio.gather(_pump(reader, inner[1]), _pump(inner[0], writer))
            finally:
                inner[1].close()
            return


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except ConnectionError:
        writer.close()
