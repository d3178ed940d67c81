"""One exchange that is no watch: what a rule makes of it."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp
from aiohttp import web

from overspill.testing.faultproxy.answers import refused, reset, shortened, told, truncated
from overspill.testing.faultproxy.audit import Audit
from overspill.testing.faultproxy.naming import Asked
from overspill.testing.faultproxy.rules import REPEATING, Action, Rule
from overspill.testing.faultproxy.upstream import Answer, Upstream

BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
"""Failures of the other side itself, which no rule ordered."""
KEPT = 40
PAGE = "2"


class Late:
    """Requests that are carried out after their sender has gone. `drain` waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, seconds: float, send: Callable[[], Awaitable[Answer]]) -> None:
        """Sends after so many seconds; nobody hears the answer."""

        async def run() -> None:
            await asyncio.sleep(seconds)
            try:
                await send()
            except web.HTTPBadGateway:
                return  # the other side has gone meanwhile

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Returns when all have been carried out."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Drops what has not been sent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Answers:
    """The last answers to each question, so that an old one can be given again."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[tuple[float, Answer]]] = {}

    def keep(self, asked: Asked, answer: Answer) -> None:
        """Remembers the answer to a list, or to any read of a market."""
        is_list = " list " in asked.name or not asked.name.startswith("api ")
        if asked.reads and answer.is_good and is_list:
            kept = self._kept.setdefault(_question(asked), deque(maxlen=KEPT))
            kept.append((time.monotonic(), answer))

    def old(self, asked: Asked, seconds: float) -> Answer | None:
        """The oldest answer that is not older than that."""
        since = time.monotonic() - seconds
        return next((a for at, a in self._kept.get(_question(asked), ()) if at >= since), None)


def _question(asked: Asked) -> str:
    return f"{asked.path}?{sorted(asked.query.items())}"


class Exchange:
    """One request with the rule that struck it."""

    def __init__(
        self, upstream: Upstream, audit: Audit, late: Late, answers: Answers, asked: Asked
    ) -> None:
        self._upstream, self._audit, self._late = upstream, audit, late
        self._answers, self._asked = answers, asked

    async def play(self, rule: Rule | None, request: web.Request) -> web.StreamResponse:
        """The whole exchange, as the client is to see it."""
        if not self._upstream.is_kube:
            self._audit.sends(self._asked)
        if rule is None:
            return told(await self._sent())
        if rule.action in _BEFORE:
            return await _BEFORE[rule.action](self, rule, request)
        if rule.action is Action.SHORT_PAGES:
            self._asked = replace(self._asked, query={**self._asked.query, "limit": PAGE})
        answer = await self._sent()
        if rule.action in REPEATING:
            return told(await self._again(rule, answer))
        return await self._after(rule, request, answer)

    async def _sent(self) -> Answer:
        """Carried out at the other side, noted by the audit whatever the client will hear."""
        try:
            answer = await self._upstream.send(self._asked)
        except BROKEN as error:
            raise web.HTTPBadGateway(text=type(error).__name__) from error
        if self._upstream.is_kube:
            await self._audit.confirmed(self._asked, answer)
        self._answers.keep(self._asked, answer)
        return answer

    async def _delay(self, rule: Rule, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(rule.seconds)
        return told(await self._sent())

    async def _hang(self, rule: Rule, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(rule.seconds)
        return reset(request)

    async def _reset(self, rule: Rule, request: web.Request) -> web.StreamResponse:
        return reset(request)

    async def _refuse(self, rule: Rule, request: web.Request) -> web.StreamResponse:
        return refused(rule.status, is_kube=self._upstream.is_kube)

    async def _carried_out_late(self, rule: Rule, request: web.Request) -> web.StreamResponse:
        self._late.later(rule.seconds, self._sent)
        return reset(request)

    async def _again(self, rule: Rule, answer: Answer) -> Answer:
        self._audit.repeats(self._asked)
        if rule.action is Action.TWICE:
            return await self._sent()
        self._late.later(rule.seconds, self._sent)
        return answer

    async def _after(self, rule: Rule, request: web.Request, answer: Answer) -> web.StreamResponse:
        match rule.action:
            case Action.SLOW_ANSWER:
                await asyncio.sleep(rule.seconds)
            case Action.LOSE_ANSWER:
                return reset(request)
            case Action.ERROR_AFTER:
                return refused(rule.status, is_kube=self._upstream.is_kube)
            case Action.TRUNCATE:
                return await truncated(request, answer)
            case Action.OLD_LIST:
                return told(self._answers.old(self._asked, rule.seconds) or answer)
            case Action.SHORT_LIST:
                return told(shortened(answer) if answer.is_good else answer)
        return told(answer)


_BEFORE = {
    Action.DELAY: Exchange._delay,
    Action.HANG: Exchange._hang,
    Action.RESET: Exchange._reset,
    Action.REFUSE: Exchange._refuse,
    Action.LATE: Exchange._carried_out_late,
}
