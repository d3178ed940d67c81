"""Dispersed's signature: HMAC over key, time, nonce, method, path, query and canonical body.

`Signer` is given to httpx, so that every single send has a time and a nonce of its own, and the
body goes out in exactly the bytes that were signed. It remembers how far the market's clock is
from ours: a wrong clock is refused like a wrong key, and only that tells them apart.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlencode

import httpx
from pydantic import SecretStr

from overspill.ports import Clock

MOST_SKEW = timedelta(minutes=5)


class Signer(httpx.Auth):
    """Signs the requests of one account."""

    requires_request_body = True

    def __init__(self, public: SecretStr, secret: SecretStr, clock: Clock) -> None:
        self._public, self._secret, self._clock = public, secret, clock
        self.skew = timedelta(0)
        """Ours minus the market's, as its last answer told."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One signed request."""
        body = canonical(request.content)
        now = self._clock.now()
        headers = {name: value for name, value in request.headers.items() if name not in _REMADE}
        headers |= self._signature(request, body, now)
        if body:
            headers["content-type"] = "application/json"
        response = yield httpx.Request(
            request.method,
            request.url,
            headers=headers,
            content=body or None,
            extensions=request.extensions,
        )
        self._note(response.headers.get("date", ""), now)

    def _signature(self, request: httpx.Request, body: bytes, now: datetime) -> dict[str, str]:
        time_ms, nonce = str(int(now.timestamp() * 1000)), secrets.token_hex(16)
        public = self._public.get_secret_value()
        query = sorted_query(request.url.query.decode())
        told = [public, time_ms, nonce, request.method, request.url.path, query, _sha256(body)]
        signature = signed(self._secret.get_secret_value(), told)
        return {
            "x-api-key": public,
            "x-time": time_ms,
            "x-nonce": nonce,
            "x-signature": signature,
        }

    def _note(self, date: str, now: datetime) -> None:
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        self.skew = now - (told if told.tzinfo else told.replace(tzinfo=UTC))


def canonical(content: bytes) -> bytes:
    """A JSON body with sorted keys, compact, ASCII only."""
    if not content:
        return b""
    return json.dumps(
        json.loads(content), sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def sorted_query(query: str) -> str:
    """The query by name and value, encoded once more in one way."""
    return urlencode(sorted(parse_qsl(query, keep_blank_values=True)))


def signed(secret: str, parts: list[str]) -> str:
    """The signature of the joined parts, in hex."""
    return hmac.new(secret.encode(), "|".join(parts).encode(), hashlib.sha256).hexdigest()


_REMADE = frozenset({"content-length", "content-type", "transfer-encoding"})


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
