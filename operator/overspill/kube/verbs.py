"""Raw JSON verbs on the API server over the official asynchronous client.

One call is one request with one deadline: no retry of ours, of the client or of the connection
pool hides behind it. `connect` is called by `app.py`, the CLI and the test bed.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client

from overspill.core.errors import ClusterUnavailable, Gone
from overspill.kube import credentials
from overspill.kube.answers import Refused, error_of, error_of_status
from overspill.kube.wire import DEFAULT_LIMITS, Listing, WatchLimits

__all__ = ["Refused", "Verbs", "connect"]

T = TypeVar("T")

PAGE = 200
"""Objects at a time: a page of GPUJobs is a megabyte of text and ten as objects, and reading it
holds everything else up."""
DEADLINE_S = 10.0
MAX_BODY = 128 * 1024 * 1024
MAX_EVENT = 16 * 1024 * 1024
MERGE_PATCH = "application/merge-patch+json"


async def connect(kubeconfig: Path | None = None, *, deadline_s: float = DEADLINE_S) -> "Verbs":
    """Verbs on the given kubeconfig's cluster, KUBECONFIG's, or the pod's own; never another."""
    return Verbs(client.ApiClient(await credentials.load(kubeconfig)), deadline_s)


class Verbs:
    """`ports.KubeVerbs` and `wire.Wire` over one connection pool; belongs to one event loop."""

    def __init__(self, api: Any, deadline_s: float = DEADLINE_S) -> None:
        self._api = api
        self._deadline_s = deadline_s
        # The pool would silently repeat a DELETE whose kept-alive connection broke.
        api.rest_client.pool_manager = api.rest_client._create_pool_manager()
        api.rest_client.pool_manager._retry_connection = False

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET of an object, or one LIST page."""
        return await self._call("GET", path, params=params)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST."""
        return await self._call("POST", path, body=body)

    async def patch(
        self, path: str, body: Mapping[str, Any], *, content_type: str = MERGE_PATCH
    ) -> dict[str, Any]:
        """PATCH; a merge-patch unless said otherwise."""
        return await self._call("PATCH", path, body=body, content_type=content_type)

    async def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT of a whole object, locked by the resourceVersion inside it."""
        return await self._call("PUT", path, body=body)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """DELETE with preconditions and propagation in `body`."""
        return await self._call("DELETE", path, body=body)

    async def list_all(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """A complete quorum LIST, all pages, or an error."""
        return (await self.list_consistent(path, params)).items

    async def list_kept(
        self,
        path: str,
        keep: Callable[[dict[str, Any]], T],
        params: Mapping[str, str] | None = None,
    ) -> list[T]:
        """The same, of which only what `keep` makes of each object stays, page by page."""
        kept: list[T] = []
        async with aclosing(self.list_pages(path, params)) as pages:
            async for page in pages:
                kept.extend(map(keep, page.items))
        return kept

    async def list_consistent(self, path: str, params: Mapping[str, str] | None = None) -> Listing:
        """Every page of a quorum LIST at one resourceVersion, or an error."""
        items: list[dict[str, Any]] = []
        version = ""
        async with aclosing(self.list_pages(path, params)) as pages:
            async for page in pages:
                items.extend(page.items)
                version = page.resource_version
        return Listing(items, version)

    async def list_pages(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Listing, None]:
        """The same page by page, so that a large collection need not be in memory at once."""
        asked = {**(params or {}), "limit": str(PAGE)}
        page = await self.get(path, asked)
        version = str(page["metadata"]["resourceVersion"])
        yield Listing(page.get("items") or [], version)
        while following := page["metadata"].get("continue"):
            page = await self._next_page(path, {**asked, "continue": following})
            yield Listing(page.get("items") or [], version)

    async def watch(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        limits: WatchLimits = DEFAULT_LIMITS,
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Events as (type, object) until the server ends the watch; see `wire.Wire`."""
        doing = f"watching {path}"
        asked = {
            **(params or {}),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(limits.timeout_s)),
        }
        async with self._answer("GET", path, params=asked, total_s=None) as response:
            async for line in _lines(response, doing, limits.inactivity_s):
                event = _parsed(line, doing)
                if event["type"] == "ERROR":
                    raise error_of_status(doing, event["object"])
                yield event["type"], event["object"]

    async def _next_page(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """A continue token that expired means the list is incomplete, not that it is gone."""
        try:
            return await self.get(path, params)
        except Gone as error:
            raise ClusterUnavailable(f"listing {path}: it expired between two pages") from error

    async def _call(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        doing = f"{method} {path}"
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                self._answer(method, path, total_s=self._deadline_s, **rest) as response,
            ):
                return _parsed(await _body(response, doing), doing)
        except TimeoutError as error:
            raise self._late(doing) from error

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        *,
        total_s: float | None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Sends one request; gives its 2xx answer, or raises what any other one means."""
        doing = f"{method} {path}"
        timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=self._deadline_s)
        try:
            async with asyncio.timeout(self._deadline_s):
                wrapped = await self._api.rest_client.request(
                    method,
                    self._api.configuration.host + path + _query(params),
                    headers=await self._headers(content_type),
                    body=body,
                    _request_timeout=timeout,
                )
            response: aiohttp.ClientResponse = wrapped.response
            async with response:
                if not 200 <= response.status < 300:
                    raise error_of(doing, response.status, await _body(response, doing))
                yield response
        except TimeoutError as error:
            raise self._late(doing) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterUnavailable(f"{doing}: {type(error).__name__}") from error

    def _late(self, doing: str) -> ClusterUnavailable:
        return ClusterUnavailable(f"{doing}: no answer within {self._deadline_s:g} s")

    async def _headers(self, content_type: str) -> dict[str, str]:
        """Fresh credentials for this one call."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        headers.update(self._api.default_headers)
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers


def _query(params: Mapping[str, str] | None) -> str:
    return f"?{urlencode(params)}" if params else ""


async def _body(response: aiohttp.ClientResponse, doing: str) -> bytes:
    """The whole answer, as long as it is of a sane size."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY:
            raise ClusterUnavailable(f"{doing}: the answer is larger than {MAX_BODY} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def _lines(
    response: aiohttp.ClientResponse, doing: str, inactivity_s: float
) -> AsyncIterator[bytes]:
    """Lines of a stream; silence longer than `inactivity_s` counts as a dead connection."""
    rest = b""
    while True:
        try:
            async with asyncio.timeout(inactivity_s):
                chunk = await response.content.readany()
        except TimeoutError as error:
            raise ClusterUnavailable(f"{doing}: silent for {inactivity_s:g} s") from error
        if not chunk:
            return  # what is left in `rest` is a torn event: the next watch brings it again
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT:
            raise ClusterUnavailable(f"{doing}: one event is larger than {MAX_EVENT} bytes")
        for line in lines:
            yield line


def _parsed(content: bytes, doing: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ClusterUnavailable(f"{doing}: the answer is not JSON") from error
    if not isinstance(found, dict):
        raise ClusterUnavailable(f"{doing}: the answer is not an object")
    return found
