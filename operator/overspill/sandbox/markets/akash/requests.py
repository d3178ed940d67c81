"""Reads requests to the Console API and writes its errors; shared by its route tables."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from overspill.sandbox.faults import Faults
from overspill.sandbox.markets.akash.chain import key_of
from overspill.sandbox.markets.akash.errors import ApiError, validation_error


def error_answer(error: ApiError) -> web.Response:
    """The API's answer of an error."""
    return web.json_response(error.body(), status=error.status)


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object, or 400."""
    try:
        body = await request.json()
    except ValueError as error:
        raise ApiError(400, "Malformed JSON in request body") from error
    if not isinstance(body, dict):
        raise validation_error([], "Expected object")
    return body


def data_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The `data` object most bodies wrap theirs in, or 400."""
    data = body.get("data")
    if not isinstance(data, dict):
        raise validation_error(["data"], "Required")
    return data


def dseq_of(request: web.Request) -> str:
    """The dseq of path or query, or 400."""
    dseq = request.match_info.get("dseq") or request.query.get("dseq", "")
    if not dseq.isdigit():
        raise validation_error(["dseq"], "Invalid dseq format")
    return dseq


def number_of(request: web.Request, name: str, default: int) -> int:
    """A whole number of the query, or 400."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise validation_error([name], "Expected number")
    return int(text)


def most_of(faults: Faults, asked: int) -> int:
    """How many entries a page may have: no market promises to give all that were asked for."""
    rule = faults.take("short_pages")
    return min(asked, int(rule.number("most", 2))) if rule else asked


def page_of(
    items: list[Any], query: Mapping[str, str], faults: Faults
) -> tuple[list[Any], str | None]:
    """One page as the chain gives it, and the key of the next."""
    offset = int(query.get("pagination.key") or query.get("pagination.offset") or 0)
    limit = most_of(faults, int(query.get("pagination.limit") or 100))
    end = offset + limit
    return items[offset:end], str(end) if end < len(items) else None


def transaction_of(dseq: str) -> str:
    """A transaction hash for what a dseq did."""
    return uuid.uuid5(uuid.NAMESPACE_URL, dseq).hex.upper() * 2


def loads(body: bytes) -> dict[str, Any]:
    """A JSON object, empty when it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def create_key(body: bytes) -> str:
    """The key of a create request, as far as it can be read."""
    data = loads(body).get("data")
    sdl = data.get("sdl") if isinstance(data, dict) else None
    return key_of(sdl) if isinstance(sdl, str) else ""
