"""The one way to a market: paced, bounded, deadlined HTTP, and the one place that names its errors.

Every adapter talks through `MarketHttp`; nothing else here opens a socket (but `akash_gateway`,
whose websocket is no market's but a provider's). It follows no redirect, repeats nothing that
costs, reads no more than it must, and raises only errors of `core/errors.py`. Messages say what we
were doing; bodies, headers and keys never enter them.
"""

import asyncio
import contextlib
import gc
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from aiolimiter import AsyncLimiter
from pydantic import BaseModel, SecretStr, ValidationError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
)

from overspill.core.errors import (
    AuthRejected,
    InsufficientFunds,
    LeaseNotFound,
    OfferRejected,
    OpenUncertain,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.ports import Clock
from overspill.providers._heard import hear

Answer = TypeVar("Answer", bound=BaseModel)
Result = TypeVar("Result")
Refusals = Callable[[int, str], ProviderError | None]
"""What an adapter makes of a refusal (status, text of the body); None leaves it to the rules."""
Judge = Callable[[int, bytes], ProviderError | None]
"""The same for one call, from the raw body; its words go out as they are."""

_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
_MAYBE_EXECUTED = frozenset({408, 409, 425})


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `doing` completes the sentence "could not …"; `costs` forbids any repeat."""

    method: str
    path: str
    doing: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    costs: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the target."""
    refused: "Judge | None" = None
    """Asked first of a refusal of this call, with its status and whole body."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient, how fast and how much."""

    request_timeout_s: float = 10.0
    requests_per_second: float = 5.0
    answer_bytes: int = 8 * 1024 * 1024
    error_bytes: int = 64 * 1024
    retry_pause_s: float = 0.5
    default_retry_after: timedelta = timedelta(seconds=10)
    longest_retry_after: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Target:
    """Which market, where, and with which secret headers."""

    provider: str
    endpoint: str
    headers: Mapping[str, SecretStr] = field(default_factory=dict)
    refusals: Refusals | None = None


class MarketHttp:
    """A market's API as JSON answers or classified errors. Belongs to one event loop."""

    def __init__(
        self,
        target: Target,
        clock: Clock,
        *,
        limits: Limits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._target, self._clock = target, clock
        self._limits = limits or Limits()
        pace = self._limits.requests_per_second
        self._limiter = AsyncLimiter(max_rate=max(1.0, pace), time_period=max(1.0, 1.0 / pace))
        self._client = httpx.AsyncClient(
            base_url=target.endpoint,
            transport=transport,
            timeout=self._limits.request_timeout_s,
            follow_redirects=False,
            # a proxy of the environment is right for the world and wrong for this machine
            trust_env=not is_local(target.endpoint),
            headers={
                # an encoded body could unfold to any size
                "accept-encoding": "identity",
                "accept": "application/json",
                "user-agent": "overspill",
                **{name: value.get_secret_value() for name, value in target.headers.items()},
            },
        )

    async def read(self, call: Call, answer: type[Answer]) -> Answer:
        """A call that may be repeated: at most two tries, within twice the request timeout."""
        return await self._repeated(lambda: self.send(call, answer))

    async def no_content(self, call: Call) -> None:
        """The same for a call whose success has no body worth reading, like most DELETEs."""
        await self._repeated(lambda: self._accepted(call))

    async def _repeated(self, attempt_once: Callable[[], Awaitable[Result]]) -> Result:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_attempt(2) | stop_after_delay(2 * self._limits.request_timeout_s),
            wait=wait_fixed(self._limits.retry_pause_s),
            sleep=self._clock.sleep,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await attempt_once()
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def send(self, call: Call, answer: type[Answer]) -> Answer:
        """One attempt, no repeat of any kind."""
        return self._parse(call, answer, await self._accepted(call))

    async def _accepted(self, call: Call) -> bytes:
        """The body of one attempt that the market did not refuse."""
        if not call.costs:  # what costs is rare, and its permit runs out while it waits
            await self._wait_for_pace(call)
        status, headers, body = await self._exchange(call)
        if not 200 <= status < 300:
            raise self._refusal(call, status, headers, body)
        return body

    async def lines(self, call: Call, idle_s: float) -> AsyncIterator[bytes]:
        """The lines of an answer that goes on; ends with it, or after a silence of `idle_s`."""
        await self._wait_for_pace(call)
        patience = httpx.Timeout(self._limits.request_timeout_s, read=idle_s)
        try:
            async with self._client.stream(
                call.method, call.path, params=dict(call.params), timeout=patience
            ) as got:
                if not got.is_success:
                    raise self._refusal(call, got.status_code, got.headers, b"")
                async for line in _split(got.aiter_bytes(), self._limits.error_bytes):
                    yield line
        except httpx.ReadTimeout:
            return
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise self.failure(call, f"the exchange broke ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Ends the connections."""
        await self._client.aclose()

    def failure(self, call: Call, why: str) -> ProviderError:
        """The error for an outcome we cannot know: uncertain when it costs, else unavailable."""
        kind = OpenUncertain if call.costs else Unavailable
        return kind(self._words(call, why), provider=self._target.provider)

    async def _wait_for_pace(self, call: Call) -> None:
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                await self._limiter.acquire()
        except TimeoutError:
            why = "too many of our own requests are waiting, nothing was sent"
            raise Unavailable(self._words(call, why), provider=self._target.provider) from None

    async def _exchange(self, call: Call) -> tuple[int, httpx.Headers, bytes]:
        # httpx's errors hold the request with its headers: none of them is chained
        began, status, date = self._clock.monotonic(), 0, ""
        try:
            async with asyncio.timeout(self._limits.request_timeout_s), self._stream(call) as got:
                status, date = got.status_code, got.headers.get("date", "")
                return status, got.headers, await self._body(call, got)
        except TimeoutError:
            raise self.failure(call, "no whole answer in time") from None
        except _NEVER_LEFT as error:
            why = f"no connection ({type(error).__name__}), nothing was sent"
            raise Unavailable(self._words(call, why), provider=self._target.provider) from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise self.failure(call, f"the exchange broke ({type(error).__name__})") from None
        finally:
            hear(call.method, call.path, status, self._clock.monotonic() - began, date)

    def _stream(self, call: Call) -> Any:
        return self._client.stream(
            call.method,
            call.path,
            params=dict(call.params),
            headers=dict(call.headers),
            json=call.body,
        )

    async def _body(self, call: Call, got: httpx.Response) -> bytes:
        is_good = got.is_success
        limit = self._limits.answer_bytes if is_good else self._limits.error_bytes
        if got.headers.get("content-encoding", "identity") != "identity":
            if is_good:
                raise self.failure(call, "the answer is encoded though we asked for plain")
            return b""
        read = bytearray()
        async for chunk in got.aiter_bytes():
            read += chunk
            if len(read) > limit:
                if is_good:
                    raise self.failure(call, f"the answer is longer than {limit} bytes")
                return bytes(read[:limit])
        return bytes(read)

    def _parse(self, call: Call, answer: type[Answer], body: bytes) -> Answer:
        try:
            with _uncollected():
                return answer.model_validate(
                    json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
                )
        except (ValidationError, ValueError, RecursionError):
            # the cause would carry pieces of the body
            raise self.failure(call, "the answer is not what the API promises") from None

    def _refusal(
        self, call: Call, status: int, headers: httpx.Headers, body: bytes
    ) -> ProviderError:
        provider = self._target.provider
        words = self._words(call, f"the market answered {status}")
        judged = call.refused(status, body) if call.refused else None
        if judged is not None:
            return judged
        if status == 429:
            wait = self._retry_after(headers.get("retry-after", ""))
            return RateLimited(words, provider=provider, retry_after=wait)
        if 400 <= status < 500 and self._target.refusals is not None:
            known = self._target.refusals(status, error_text(body))
            if known is not None:
                return type(known)(self._words(call, str(known)), provider=provider)
        return self._by_status(call, status)(words, provider=provider)

    def _by_status(self, call: Call, status: int) -> type[ProviderError]:
        if status in {401, 403}:
            return AuthRejected
        if status == 402:
            return InsufficientFunds
        if call.costs:
            is_definitive = 400 <= status < 500 and status not in _MAYBE_EXECUTED
            return OfferRejected if is_definitive else OpenUncertain
        return LeaseNotFound if status in {404, 410} else Unavailable

    def _retry_after(self, raw: str) -> timedelta:
        return min(
            _parse_retry_after(raw, self._clock.now()) or self._limits.default_retry_after,
            self._limits.longest_retry_after,
        )

    def _words(self, call: Call, why: str) -> str:
        return f"{self._target.provider}: could not {call.doing}: {why}"


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: a list of thousands makes no garbage while it is read, and
    looking for some again and again would take longer than the reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def _split(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """Whole lines without their ends; one that is too long is cut."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line[:longest].rstrip(b"\r")
        rest = rest[:longest]
    if rest:
        yield rest


def error_text(body: bytes) -> str:
    """The message of an error body in lower case, or the plain text itself; for matching only."""
    text = body.decode("utf-8", errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text.lower()
    if not isinstance(document, dict):
        return ""
    found = [document.get(name) for name in ("message", "error", "detail", "msg")]
    return " ".join(words for words in found if isinstance(words, str)).lower()


def is_local(endpoint: str) -> bool:
    """Whether an endpoint is on this machine or a private network."""
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private


def _parse_retry_after(raw: str, now: datetime) -> timedelta | None:
    if raw.strip().isdecimal():
        return timedelta(seconds=min(int(raw[:9]), 10**6))
    try:
        at = parsedate_to_datetime(raw)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(at - now, timedelta(0))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
