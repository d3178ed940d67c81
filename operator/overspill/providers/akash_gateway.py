"""Reads a log from the gateway of an Akash provider: a websocket on a machine of a stranger.

Where it listens is what its owner told the chain, so nothing there is believed: the address must
be a public one (`akash_address.py`), no redirect is followed, what comes is bounded in size and
time, and the token goes over no connection that was not verified. Verified is what the public
authorities vouch for or, as many providers have it, a certificate that the chain records under
the provider's name. Called by `akash_logs.py`; the one place of the adapters that speaks through
another client than `MarketHttp`, which knows no websockets.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import httpx
from pydantic import SecretStr, ValidationError

from overspill.core.errors import AuthRejected, LeaseNotFound, ProviderError, Unavailable
from overspill.providers.akash_address import PublicNames, why_not
from overspill.providers.akash_wire_logs import LogLine

LONGEST_LINE = 64 * 1024
MOST_BYTES = 1024 * 1024
"""Of one message; a line of the greatest length, all of it escaped, has less than half of that."""
PING_S = 25.0
"""Who answers no ping of ours is gone; the gateway's own come every 10 s."""
GOODBYE_S = 2.0
"""For the answer to our leaving."""
_SWITCHED = 101
_LEASE_NOT_FOUND = 4001
_CODES = {
    4000: "no pod runs there, or it failed itself",
    _LEASE_NOT_FOUND: "it knows no such lease",
    4002: "its cluster cannot be asked",
}
_OVER = frozenset({1000, 1001, 1005})
"""Close codes of a log that is over. Mostly the gateway just hangs up."""

Pins = Callable[[], Awaitable[Sequence[str]]]
"""Reads the certificates (PEM) that the chain records for a provider."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where one provider listens, and how we may go there."""

    account: str
    base: str
    token: SecretStr
    pins: Pins
    timeout_s: float
    is_local: bool = False
    """The market itself is on this machine (a sandbox): its hosts may be, and without TLS."""

    async def lines(
        self, path: str, query: Mapping[str, str], idle_s: float
    ) -> AsyncGenerator[bytes, None]:
        """A log, line by line; ends with it, or after a silence of `idle_s`.

        Raises Unavailable, AuthRejected, LeaseNotFound. Nothing that the gateway said is in them.
        """
        refused = why_not(self.base, allows_local=self.is_local)
        if refused:
            raise self._failed(refused)
        async with self._session() as session:
            stream = await self._opened(session, self.base.rstrip("/") + path, query)
            try:
                while (line := await self._next(stream, idle_s)) is not None:
                    yield line
            finally:
                await stream.close()

    async def _next(self, stream: aiohttp.ClientWebSocketResponse, idle_s: float) -> bytes | None:
        try:
            got = await stream.receive(timeout=idle_s)
        except TimeoutError:
            return None
        if got.type is aiohttp.WSMsgType.TEXT:
            return self._line(got.data)
        if got.type is aiohttp.WSMsgType.CLOSE and got.data not in _OVER:
            raise self._broken(got.data)
        if got.type in {aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.ERROR}:
            raise self._failed("what it sends is not what its API promises")
        return None

    def _line(self, text: str) -> bytes:
        try:
            message = LogLine.model_validate_json(text).message
        except ValidationError:
            raise self._failed("a line is not what its API promises") from None
        return message.encode("utf-8", errors="replace")[:LONGEST_LINE].rstrip(b"\r\n")

    async def _opened(
        self, session: aiohttp.ClientSession, url: str, query: Mapping[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._connected(session, url, query, httpx.create_ssl_context())
        except aiohttp.ClientConnectorCertificateError:
            recorded = _trusting(await self.pins())
        try:
            return await self._connected(session, url, query, recorded)
        except aiohttp.ClientConnectorCertificateError:
            why = "neither a public authority nor the chain vouches for its certificate"
            raise self._failed(why) from None

    async def _connected(
        self,
        session: aiohttp.ClientSession,
        url: str,
        query: Mapping[str, str],
        trust: ssl.SSLContext,
    ) -> aiohttp.ClientWebSocketResponse:
        # aiohttp's errors hold the request with its headers: none of them is chained
        try:
            async with asyncio.timeout(self.timeout_s):
                return await session.ws_connect(
                    url,
                    params=query,
                    ssl=trust,
                    heartbeat=PING_S,
                    max_msg_size=MOST_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE_S),
                )
        except aiohttp.ClientConnectorCertificateError:
            raise
        except TimeoutError:
            raise self._failed("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failed(f"no connection ({type(error).__name__})") from None

    def _session(self) -> aiohttp.ClientSession:
        token = self.token.get_secret_value()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=PublicNames(allows_local=self.is_local)),
            middlewares=(self._switched,),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"authorization": f"Bearer {token}", "user-agent": "overspill"},
        )

    async def _switched(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Any answer but the one that opens the websocket is the last, a redirect too."""
        answer = await handler(request)
        if answer.status == _SWITCHED:
            return answer
        answer.close()
        kind = _KINDS.get(answer.status, Unavailable)
        raise kind(self._words(f"it answered {answer.status}"), provider=self.account)

    def _broken(self, code: int) -> ProviderError:
        kind = LeaseNotFound if code == _LEASE_NOT_FOUND else Unavailable
        why = _CODES.get(code, "it ended the log")
        return kind(self._words(f"{why} (code {code})"), provider=self.account)

    def _failed(self, why: str) -> Unavailable:
        return Unavailable(self._words(why), provider=self.account)

    def _words(self, why: str) -> str:
        return f"{self.account}: could not read the log at the provider's gateway: {why}"


_KINDS: Mapping[int, type[ProviderError]] = {
    401: AuthRejected,
    403: AuthRejected,
    404: LeaseNotFound,
}


def _trusting(pems: Sequence[str]) -> ssl.SSLContext:
    """Trust in these certificates and no others.

    Such a certificate names the provider's account, not its host. It was asked for by that
    account, so the name of the host would prove nothing more.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    for pem in pems:
        context.load_verify_locations(cadata=pem)
    return context
