"""An HTTP transport that breaks on purpose, in front of any market: a double or the sandbox.

It fails on the client's side of the wire, so that the same faults run against every market.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import httpx

ELSEWHERE = "https://elsewhere.invalid/steal"


class Fault(Enum):
    """What goes wrong with one exchange."""

    NO_CONNECTION = "no connection"
    LOST_ANSWER = "executed, then the connection breaks"
    TIMEOUT = "executed, then silence"
    SERVER_ERROR = "executed, then 502"
    HTML = "executed, then an HTML page with 200"
    TRUNCATED = "executed, then half a JSON document"
    OVERSIZED = "executed, then an endless answer"
    ENCODED = "executed, then an answer in an encoding nobody asked for"
    REDIRECT = "not executed, 307 to another host"
    RATE_LIMITED = "not executed, plain 429"
    RATE_LIMITED_FOR_17_S = "not executed, 429 with Retry-After"
    UNAUTHORIZED = "not executed, 401"


EXECUTED = (
    Fault.LOST_ANSWER,
    Fault.TIMEOUT,
    Fault.SERVER_ERROR,
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.OVERSIZED,
    Fault.ENCODED,
)
"""Faults after which the market has done what was asked, and we cannot know it."""


@dataclass
class FaultyTransport(httpx.AsyncBaseTransport):
    """Passes requests on, unless a fault was set. `seen` are all that the adapter sent."""

    inner: httpx.AsyncBaseTransport
    seen: list[httpx.Request] = field(default_factory=list)
    _fault: Fault | None = None
    _matches: Callable[[httpx.Request], bool] = lambda request: True
    _left: int = 0

    def set(
        self,
        fault: Fault,
        *,
        times: int = 10**9,
        matches: Callable[[httpx.Request], bool] = lambda request: True,
    ) -> None:
        """Breaks the next `times` requests that match."""
        self._fault, self._left, self._matches = fault, times, matches

    def heal(self) -> None:
        """No more faults."""
        self._left = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The exchange, or its ruin."""
        self.seen.append(request)
        if self._fault is None or self._left <= 0 or not self._matches(request):
            return await self.inner.handle_async_request(request)
        self._left -= 1
        if self._fault in EXECUTED:
            answer = await self.inner.handle_async_request(request)
            await answer.aread()
            await answer.aclose()
        return _ruin(self._fault, request)

    async def aclose(self) -> None:
        """Ends the inner transport."""
        await self.inner.aclose()


def _ruin(fault: Fault, request: httpx.Request) -> httpx.Response:
    if fault is Fault.NO_CONNECTION:
        raise httpx.ConnectError("refused", request=request)
    if fault is Fault.LOST_ANSWER:
        raise httpx.ReadError("reset by peer", request=request)
    if fault is Fault.TIMEOUT:
        raise httpx.ReadTimeout("silence", request=request)
    return _ANSWERS[fault]()


def _encoded() -> httpx.Response:
    # built without decoding: the adapter must not unfold it either
    body = httpx.ByteStream(b"\x1f\x8b\x08\x00")
    return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=body)


_ANSWERS: dict[Fault, Callable[[], httpx.Response]] = {
    Fault.SERVER_ERROR: lambda: httpx.Response(502, text="<html>bad gateway</html>"),
    Fault.HTML: lambda: httpx.Response(200, text="<html>please wait</html>"),
    Fault.TRUNCATED: lambda: httpx.Response(200, text='{"data": {"dseq": "17'),
    Fault.OVERSIZED: lambda: httpx.Response(200, content=b'"' + b"x" * (9 * 1024 * 1024)),
    Fault.ENCODED: _encoded,
    Fault.REDIRECT: lambda: httpx.Response(307, headers={"location": ELSEWHERE}),
    Fault.RATE_LIMITED: lambda: httpx.Response(429, text="slow down"),
    Fault.RATE_LIMITED_FOR_17_S: lambda: httpx.Response(429, headers={"retry-after": "17"}),
    Fault.UNAUTHORIZED: lambda: httpx.Response(401, json={"message": "bad key"}),
}
