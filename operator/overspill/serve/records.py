"""Hands out decision records, on loopback alone: they show all jobs and prices of the cluster.

Who may forward a port to the operator's pod may read them; no right of our own is needed. Called
by `overspill.wiring`; read by `explain --record` and `explain --what-if`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from overspill.serve.app import listen

log = logging.getLogger(__name__)

Find = Callable[[str, str], dict[str, Any] | None]
"""(namespace, name of the GPUJob) → its record."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def records_app(find: Find) -> web.Application:
    """GET /decisions/NAMESPACE/NAME."""

    async def answer(request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        # A record of thousands of jobs takes a while to write out.
        found = await asyncio.to_thread(find, namespace, name)
        if found is None:
            return web.json_response({"error": f"no decision about {namespace}/{name}"}, status=404)
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/decisions/{namespace}/{name}", answer)
    return app


async def serve(address: str, find: Find) -> web.AppRunner | None:
    """Listens; None when told not to, or when the address is taken: records are no necessity.

    Raises ValueError for an address that is not a loopback one.
    """
    if not address:
        return None
    if address.rpartition(":")[0].strip("[]") not in LOOPBACK:
        raise ValueError(f"decision records are for loopback alone, not for {address!r}")
    runner = web.AppRunner(records_app(find), access_log=None)
    await runner.setup()
    try:
        await listen(runner, address, None)
    except OSError as error:
        log.warning("decision records are not served: %s", error)
        await runner.cleanup()
        return None
    return runner
