"""The report endpoint: `POST /v1/report`, reached by runners from home and from rented hosts.

It is public, so it trusts nothing: a bounded body, a token per lease compared in constant time,
a rate per lease, and no word in an answer but those of docs/designs/0001. A replica that is not
the leader hands the report on to the leader, one hop at most.
"""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from aiohttp import web
from cachetools import TTLCache

from overspill.ports import Clock
from overspill.serve.book import AttemptOver, NotToldYet, ReportBook, Told
from overspill.serve.forms import BadForm, read_form

__all__ = ["Desk", "ReportBook", "ReportDoor", "Throttle"]

log = logging.getLogger(__name__)

PATH = "/v1/report"
MAX_BODY = 16 * 1024
HOP = "X-Overspill-Hop"
FORWARD_TIMEOUT_S = 5.0
RETRY_LATER = {"Retry-After": "2"}


class Desk(Protocol):
    """Who decides here: asked for every report."""

    def is_leader(self) -> bool:
        """Whether this replica's book is the one the engine reads."""

    def leader_url(self) -> str:
        """Base URL of the leader's report endpoint, "" when it is not known."""


class Throttle:
    """At most `burst` reports of a lease at once and `per_s` lasting."""

    def __init__(self, clock: Clock, burst: float = 20.0, per_s: float = 2.0) -> None:
        self._clock = clock
        self._burst = burst
        self._per_s = per_s
        self._left: TTLCache[str, tuple[float, float]] = TTLCache(
            20_000, ttl=2 * burst / per_s, timer=clock.monotonic
        )

    def admits(self, lease: str) -> bool:
        """Counts one report; False when it is one too many."""
        now = self._clock.monotonic()
        left, at = self._left.get(lease, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        self._left[lease] = (max(0.0, left - 1.0), now)
        return left >= 1.0


@dataclass(slots=True)
class ReportDoor:
    """The HTTP side of a `ReportBook`."""

    book: ReportBook
    desk: Desk
    throttle: Throttle
    hop_tls: ssl.SSLContext | None = None
    """How the leader's certificate is checked, where the endpoint speaks TLS."""
    sessions: Callable[[], aiohttp.ClientSession] = aiohttp.ClientSession

    def app(self) -> web.Application:
        """The application to serve."""
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_post(PATH, self.receive)
        return application

    async def receive(self, request: web.Request) -> web.Response:
        """One report."""
        body = await request.read()  # 413 beyond MAX_BODY
        try:
            told = read_form(body)
        except BadForm as error:
            return web.Response(status=400, text=f"{error}\n")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.book.is_token(told.lease, token):
            return web.Response(status=401, text="this is not the token of the lease\n")
        if not self.throttle.admits(told.lease):
            return web.Response(status=429, text="too many reports\n", headers=RETRY_LATER)
        if self.desk.is_leader():
            return self._answer(told)
        if HOP in request.headers:
            return _later("this replica does not lead any more")
        return await self._forward(body, token)

    def _answer(self, told: Told) -> web.Response:
        try:
            return web.Response(text=self.book.receive(told) + "\n")
        except AttemptOver:
            return web.Response(status=409, text="this attempt is over\n")
        except NotToldYet:
            return _later("it is not yet known whether this attempt may start")

    async def _forward(self, body: bytes, token: str) -> web.Response:
        """The leader's own answer, whatever it is; 503 when it cannot be had."""
        url = self.desk.leader_url()
        if not url:
            return _later("there is no leader now")
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-www-form-urlencoded",
            HOP: "1",
        }
        try:
            async with (
                self.sessions() as session,
                session.post(
                    url.rstrip("/") + PATH,
                    data=body,
                    headers=headers,
                    ssl=self.hop_tls or True,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=FORWARD_TIMEOUT_S),
                ) as answer,
            ):
                text = (await answer.content.read(4096)).decode(errors="replace")
                return web.Response(status=answer.status, text=text)
        except (aiohttp.ClientError, OSError) as error:
            log.warning("the leader did not take a report: %s", type(error).__name__)
            return _later("the leader cannot be reached")


def _later(why: str) -> web.Response:
    return web.Response(status=503, text=f"{why}\n", headers=RETRY_LATER)
