"""Checks Dispersed's four headers: key, time, nonce that was never seen, and signature."""

import hashlib
import hmac
import json
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

SKEW_MS = 5 * 60 * 1000


class Gate:
    """One account's key pair, and the nonces it has used."""

    def __init__(self, public: str, secret: str) -> None:
        self._public, self._secret = public, secret
        self._nonces: set[str] = set()

    async def refusal(self, request: web.Request, now: float) -> str:
        """Why a request is not let in; "" when it is."""
        headers = request.headers
        if not hmac.compare_digest(headers.get("X-API-Key", "").encode(), self._public.encode()):
            return "Unknown API key"
        sent, nonce = headers.get("X-Time", ""), headers.get("X-Nonce", "")
        if not sent.isdecimal() or abs(int(sent) - now * 1000) > SKEW_MS:
            return "X-Time is outside the allowed window"
        if len(nonce) != 32 or nonce in self._nonces:
            return "X-Nonce was used already"
        told = headers.get("X-Signature", "")
        wanted = self._signature(request, await request.read(), sent, nonce)
        if not hmac.compare_digest(told.encode(), wanted.encode()):
            return "Signature mismatch"
        self._nonces.add(nonce)
        return ""

    def _signature(self, request: web.Request, body: bytes, sent: str, nonce: str) -> str:
        query = urlencode(sorted(parse_qsl(request.query_string, keep_blank_values=True)))
        digest = hashlib.sha256(_canonical(body)).hexdigest()
        parts = (self._public, sent, nonce, request.method, request.path, query, digest)
        return hmac.new(self._secret.encode(), "|".join(parts).encode(), "sha256").hexdigest()


def _canonical(body: bytes) -> bytes:
    try:
        told = json.loads(body) if body else None
    except ValueError:
        return body
    if not body:
        return b""
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
