"""A lease's log as a gateway gives it: a websocket with one JSON object a line.

The real one sends no end: when the log is over it hangs up. What it cannot show it says in the
code of a close frame. Called by `gateway.py`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from overspill.sandbox.faults import Rule
from overspill.sandbox.markets.akash.state import Deployment, Lease
from overspill.sandbox.world import World

NO_PODS, NOT_FOUND = 4000, 4001
_LOOK_S = 0.2
_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"", "0", "f", "false"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a log: `tail` -1 means all."""

    follow: bool
    tail: int
    services: frozenset[str]


def wanted_of(query: Mapping[str, str]) -> Wanted | str:
    """The query of a request, or what is wrong with it."""
    services, follow = query.get("service", ""), query.get("follow", "").lower()
    if services.endswith(","):
        return 'parameter "service" must not contain trailing comma'
    if follow not in _TRUE | _FALSE:
        return 'parameter "follow" contains invalid value'
    tail = query.get("tail") or "-1"
    if not tail.removeprefix("-").isdecimal() or int(tail) < -1:
        return 'parameter "tail" contains invalid value'
    return Wanted(follow in _TRUE, int(tail), frozenset(filter(None, services.split(","))))


async def streamed(
    world: World, request: web.Request, found: tuple[Deployment, Lease] | None, wanted: Wanted
) -> web.WebSocketResponse:
    """The whole exchange, to its end."""
    stream = web.WebSocketResponse()
    await stream.prepare(request)
    if found is None:
        await stream.close(code=NOT_FOUND)
        return stream
    deployment, lease = found
    if not lease.is_running or not _printed(world, found, wanted):
        await stream.close(code=NO_PODS, message=b"no running pods")
        return stream
    rule = world.faults.take("log_breaks", "log_floods", key=deployment.key)
    await _sent(world, stream, found, wanted, rule)
    if rule is not None and rule.action == "log_breaks":
        await stream.close(code=int(rule.number("code", NO_PODS)))
    elif request.transport is not None:
        request.transport.close()
    return stream


async def _sent(
    world: World,
    stream: web.WebSocketResponse,
    found: tuple[Deployment, Lease],
    wanted: Wanted,
    rule: Rule | None,
) -> None:
    """Sends what there is, and with `follow` what comes, until the client leaves."""
    left = asyncio.create_task(_gone(stream))
    is_flood = rule is not None and rule.action == "log_floods"
    most = int(rule.number("lines", 1)) if rule and not is_flood else None
    told: dict[str, int] = {}
    try:
        while not left.done():
            for line in _new(world, found, wanted, told):
                if most == 0:
                    return
                most = None if most is None else most - 1
                await stream.send_json(line)
            if is_flood:
                told.clear()
            elif not wanted.follow or not found[1].is_running:
                return
            await asyncio.wait({left}, timeout=0 if is_flood else _LOOK_S)
    except ConnectionResetError:
        return
    finally:
        left.cancel()
        await asyncio.wait({left})


async def _gone(stream: web.WebSocketResponse) -> None:
    """Until the client leaves; answers its pings on the way."""
    async for _ in stream:
        pass


def _new(
    world: World, found: tuple[Deployment, Lease], wanted: Wanted, told: dict[str, int]
) -> Iterator[dict[str, str]]:
    for name, text in _printed(world, found, wanted).items():
        end = text.rfind(b"\n") + 1
        lines = text[told.get(name, 0) : end].splitlines()
        if name not in told and wanted.tail >= 0:
            lines = lines[len(lines) - min(wanted.tail, len(lines)) :]
        told[name] = end
        for line in lines:
            yield {"name": name, "message": line.decode(errors="replace")}


def _printed(world: World, found: tuple[Deployment, Lease], wanted: Wanted) -> dict[str, bytes]:
    """What the copies of the services meant have printed, by copy."""
    logs = world.executor.logs(found[0].lease_name(found[1]))
    return {
        name: text
        for name, text in logs.items()
        if not wanted.services or name.rsplit("-", 1)[0] in wanted.services
    }
