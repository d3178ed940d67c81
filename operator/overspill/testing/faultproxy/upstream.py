"""The real other side: where a proxy passes requests on to, with the client's own headers."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from overspill.testing.faultproxy.naming import Asked, KubePath, kube_name, market_name

HOP_BY_HOP = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive"}
)
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the other side."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300


@dataclass
class Upstream:
    """One other side, and how requests to it are called."""

    url: str
    describe: Callable[[Asked], Asked]
    tls: ssl.SSLContext | None = None
    is_kube: bool = False
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made at first use, inside the proxy's loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self.tls or True, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False
            )
        return self._session

    async def asked(self, request: web.Request) -> Asked:
        """A client's request, read to its end and named."""
        kept = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        plain = Asked(
            request.method,
            request.rel_url.raw_path,
            dict(request.query),
            {**kept, "accept-encoding": "identity"},
            await request.read(),
        )
        return self.describe(plain)

    async def send(self, asked: Asked) -> Answer:
        """One exchange. Raises aiohttp.ClientError, OSError or TimeoutError when it broke."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with self._request(asked, timeout) as got:
            return Answer(got.status, _told(got.headers), await got.read())

    @asynccontextmanager
    async def stream(self, asked: Asked) -> AsyncIterator[aiohttp.ClientResponse]:
        """A watch."""
        async with self._request(asked, aiohttp.ClientTimeout(total=None)) as got:
            yield got

    def _request(
        self, asked: Asked, timeout: aiohttp.ClientTimeout
    ) -> "aiohttp.client._RequestContextManager":
        return self.session.request(
            asked.method,
            self.url + asked.path,
            params=asked.query,
            headers=asked.headers,
            data=asked.body or None,
            timeout=timeout,
            allow_redirects=False,
        )

    async def close(self) -> None:
        """Ends the connections."""
        if self._session is not None:
            await self._session.close()


def kube_upstream(server: str, ca_file: Path) -> Upstream:
    """The API server, which proves itself by its authority; clients pass their tokens through."""
    tls = ssl.create_default_context(cafile=str(ca_file))
    return Upstream(server, kube_described, tls, is_kube=True)


def market_upstream(market: str, url: str) -> Upstream:
    """A market, e.g. one of the sandbox's."""

    def named(asked: Asked) -> Asked:
        return _with(asked, market_name(market, asked.method, asked.path), "", market)

    return Upstream(url, named)


def kube_described(asked: Asked) -> Asked:
    """A request to an API server with its name, its namespace and its resource."""
    path = KubePath.of(asked.path)
    return _with(asked, kube_name(asked.method, path, asked.query), path.namespace, path.resource)


def _with(asked: Asked, name: str, namespace: str, resource: str) -> Asked:
    return Asked(
        asked.method, asked.path, asked.query, asked.headers, asked.body, name, namespace, resource
    )


def _told(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
