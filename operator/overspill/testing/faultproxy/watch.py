"""One watch through the proxy, line by line: whole-stream faults and faults of single events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web

from overspill.testing.faultproxy.answers import reset, status_object
from overspill.testing.faultproxy.lanes import Lanes
from overspill.testing.faultproxy.naming import Asked
from overspill.testing.faultproxy.rules import Action, Rule

LOOK_S = 1.0
"""How soon a watch is ended whose client has gone."""

Event = dict[str, Any]


class Ended(Exception):  # noqa: N818  (no error: the stream is over)
    """The watch is to end here."""


class Watch:
    """Copies events to one client. `rule` is what struck the watch as a whole."""

    def __init__(self, asked: Asked, lanes: Lanes, rule: Rule | None, request: web.Request) -> None:
        self._asked, self._lanes, self._rule, self._request = asked, lanes, rule, request
        self._first_version = asked.query.get("resourceVersion", "")
        self._passed = 0
        self._generation = lanes.generation
        self.response = web.StreamResponse(headers={"Content-Type": "application/json"})

    async def begin(self) -> None:
        """Sends the headers: the client believes that it watches."""
        await self.response.prepare(self._request)

    async def copy(self, upstream: aiohttp.ClientResponse) -> None:
        """Until either side ends it, or a fault does."""
        try:
            async for line in self._lines(upstream):
                await self._strike_stream(line)
                await self._pass(json.loads(line))
                self._passed += 1
        except Ended:
            return
        except (aiohttp.ClientError, OSError):
            reset(self._request)

    async def silence(self) -> None:
        """Nothing more, until the client gives up."""
        while not self.is_over:  # noqa: ASYNC110  (aiohttp has no event for it)
            await asyncio.sleep(LOOK_S)

    @property
    def is_over(self) -> bool:
        """Whether the client has closed the connection, or other cases have begun."""
        transport = self._request.transport
        is_left = transport is None or transport.is_closing()
        return is_left or self._lanes.generation != self._generation

    async def _lines(self, upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        rest = b""
        reading = asyncio.ensure_future(upstream.content.readany())
        try:
            while True:
                done, _ = await asyncio.wait({reading}, timeout=LOOK_S)
                if self.is_over:
                    raise Ended
                if not done:
                    continue
                chunk = reading.result()
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
                reading = asyncio.ensure_future(upstream.content.readany())
        finally:
            reading.cancel()

    async def _strike_stream(self, line: bytes) -> None:
        rule = self._rule
        if rule is None or self._passed < rule.events:
            return
        match rule.action:
            case Action.HALF_OPEN:
                await self.silence()
                raise Ended
            case Action.CUT:
                await self.response.write(line[: len(line) // 2])
                reset(self._request)
                raise Ended
            case Action.GONE_IN_STREAM:
                await self._send({"type": "ERROR", "object": status_object(410)})
                raise Ended

    async def _pass(self, event: Event) -> None:
        rule = self._struck(event)
        if rule is None:
            await self._send(event)
            return
        match rule.action:
            case Action.DROP_EVENT:
                return
            case Action.DOUBLE_EVENT:
                await self._send(event)
            case Action.LATE_EVENT:
                await asyncio.sleep(rule.seconds)
            case Action.LYING_BOOKMARK:
                await self._bookmark(event["object"]["metadata"]["resourceVersion"], event)
                return
            case Action.OLD_BOOKMARK if self._first_version:
                await self._send(event)
                await self._bookmark(self._first_version, event)
                raise Ended
        await self._send(event)

    def _struck(self, event: Event) -> Rule | None:
        meta = event["object"].get("metadata", {})
        kind = "bookmark" if event["type"] == "BOOKMARK" else "event"
        name = f"api {kind} {self._asked.resource}"
        return self._lanes.strike(name, str(meta.get("namespace") or ""))

    async def _bookmark(self, version: str, event: Event) -> None:
        told = {key: event["object"].get(key) for key in ("kind", "apiVersion")}
        mark = {**told, "metadata": {"resourceVersion": version}}
        await self._send({"type": "BOOKMARK", "object": mark})

    async def _send(self, event: Event) -> None:
        await self.response.write(json.dumps(event).encode() + b"\n")
