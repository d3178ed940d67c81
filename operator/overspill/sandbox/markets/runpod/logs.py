"""A pod's log as RunPod streams it: Server-Sent Events that never end by themselves."""

import asyncio
import json

from aiohttp import web

from overspill.sandbox.clock import iso
from overspill.sandbox.rentals import Rental
from overspill.sandbox.world import World

_LOOK_S = 0.2


async def stream_log(world: World, rental: Rental, stream: web.StreamResponse, tail: int) -> None:
    """Sends the last lines, then each new one, until the client leaves or the pod is gone."""
    sent = 0
    lines = _lines(world, rental)
    sent = max(0, len(lines) - tail)
    while rental.state != "ended":
        lines = _lines(world, rental)
        for number, line in enumerate(lines[sent:], start=sent + 1):
            at = iso(world.now())
            event = {"ts": at, "source": "container", "line": line}
            text = f"id: {at}/{number:012}\ndata: {json.dumps(event)}\n\n"
            await stream.write(text.encode())
        sent = len(lines)
        await asyncio.sleep(_LOOK_S)


def _lines(world: World, rental: Rental) -> list[str]:
    logs = world.executor.logs(rental.lease_name)
    return b"".join(logs.values()).decode(errors="replace").splitlines()
