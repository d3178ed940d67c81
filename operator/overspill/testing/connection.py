"""Verbs on a bed that end with their connections: for tests whose event loop ends right after."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from overspill.kube.verbs import DEADLINE_S, Verbs, connect

GOODBYE_S = 0.25


@asynccontextmanager
async def connected(kubeconfig: Path, *, deadline_s: float = DEADLINE_S) -> AsyncIterator[Verbs]:
    """Verbs on this cluster, closed at the end together with their TLS connections.

    TLS connections of cancelled calls say goodbye after the pool has forgotten them; a loop that
    ends at once would leave them open (aiohttp's own advice on shutting down).
    """
    verbs = await connect(kubeconfig, deadline_s=deadline_s)
    try:
        yield verbs
    finally:
        await verbs.close()
        await asyncio.sleep(GOODBYE_S)
