"""Applies the HTTP faults around every request that is not the sandbox's own control.

An aiohttp middleware built by `app.py`. A reset is an aborted connection: the client sees what it
would see of a network that died, before or after the market had done its work.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from overspill.sandbox.faults import HTTP_ACTIONS, Rule
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SO_LINGER_RESET = struct.pack("ii", 1, 0)


class FaultLayer:
    """Asks the rules once per request and does what the one that strikes says."""

    def __init__(self, world: World, key_of: Callable[[str, bytes], str]) -> None:
        self._world = world
        self._key_of = key_of
        self._late: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware's body."""
        if request.path.startswith("/_sandbox"):
            return await handler(request)
        body = await request.read()
        key = self._key_of(request.path, body) if self._world.faults.needs_key() else ""
        rule = self._world.faults.take(
            *HTTP_ACTIONS, method=request.method, path=request.path, key=key
        )
        if rule is None:
            return await handler(request)
        if rule.action in _BEFORE:
            return await self._instead(rule, request, handler)
        answer = await handler(request)
        if rule.action in _REWRITES and answer.prepared:
            return answer  # a stream: all of it was sent already
        return await self._after(rule, request, answer)

    async def _instead(
        self, rule: Rule, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        match rule.action:
            case "delay":
                await self._world.clock.sleep(rule.number("seconds", 5))
                return await handler(request)
            case "execute_late":
                self._execute_late(rule, request, handler)
                return _reset(request)
            case "status":
                return _answer(rule)
            case "html":
                return _html(int(rule.number("status", 502)))
        return _reset(request)

    async def _after(
        self, rule: Rule, request: web.Request, answer: web.StreamResponse
    ) -> web.StreamResponse:
        body = answer.body if isinstance(answer, web.Response) else None
        content = body if isinstance(body, bytes) else b""
        match rule.action:
            case "delay_response":
                await self._world.clock.sleep(rule.number("seconds", 5))
                return answer
            case "status_after_commit":
                return _answer(rule)
            case "empty_list":
                return web.json_response(_emptied(json.loads(content)))
            case "truncate":
                return await _truncated(rule, request, content)
            case "oversize":
                padding = b" " * int(rule.number("mib", 64) * 2**20)
                return web.Response(body=content + padding, content_type="application/json")
        return _reset(request)

    def _execute_late(self, rule: Rule, request: web.Request, handler: Handler) -> None:
        async def later() -> None:
            await self._world.clock.sleep(rule.number("seconds", 5))
            await handler(request)

        task = asyncio.create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Drops what was to be executed late."""
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


_REWRITES = {"status_after_commit", "empty_list", "truncate", "oversize"}
_BEFORE = {"delay", "reset_before", "execute_late", "status", "html"}


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _SO_LINGER_RESET)
        transport.abort()
    return web.Response(status=500)  # never sent: the connection is gone


def _answer(rule: Rule) -> web.Response:
    body = rule.params.get("body", "")
    is_json = isinstance(body, (dict, list))
    default = "application/json" if is_json else "text/plain"
    return web.Response(
        status=int(rule.number("status", 500)),
        text=json.dumps(body) if is_json else str(body),
        content_type=rule.text("content_type", default),
        headers={str(k): str(v) for k, v in dict(rule.params.get("headers", {})).items()},
    )


def _html(status: int) -> web.Response:
    page = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>502</body></html>"
    return web.Response(status=status, text=page, content_type="text/html")


def _emptied(value: Any) -> Any:
    if isinstance(value, list):
        return []
    if isinstance(value, dict):
        return {name: _emptied(inner) for name, inner in value.items()}
    return value


async def _truncated(rule: Rule, request: web.Request, content: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    answer.content_length = len(content)
    await answer.prepare(request)
    await answer.write(content[: int(rule.number("bytes", len(content) // 2))])
    if request.transport is not None:
        request.transport.close()
    return answer
