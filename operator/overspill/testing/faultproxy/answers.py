"""How a proxy answers: truly, falsely, in part, or by a connection that dies."""

import json
import socket
import struct
from typing import Any

from aiohttp import web

from overspill.testing.faultproxy.upstream import Answer

_LINGER_RESET = struct.pack("ii", 1, 0)
REASONS = {410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


def told(answer: Answer) -> web.Response:
    """The answer as it came."""
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def reset(request: web.Request) -> web.Response:
    """Aborts the connection: the client sees a network that died."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        transport.abort()
    return web.Response(status=500)  # never sent: the connection is gone


def refused(status: int, *, is_kube: bool) -> web.Response:
    """An error of the server itself, in the form that each side uses."""
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    if not is_kube:
        text = "<html><body>the gateway is unhappy</body></html>"
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)
    return web.json_response(status_object(status), status=status, headers=headers)


def status_object(code: int) -> dict[str, Any]:
    """A Status as the API server writes it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the fault proxy says so",
        "reason": REASONS.get(code, "InternalError"),
        "code": code,
    }


async def truncated(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Half of the body under the length of the whole."""
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(answer.body)
    await half.prepare(request)
    await half.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def shortened(answer: Answer) -> Answer:
    """Every list of a JSON answer without its last element."""
    try:
        value = json.loads(answer.body)
    except ValueError:
        return answer
    return Answer(answer.status, answer.headers, json.dumps(_without_last(value)).encode())


def _without_last(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_last(one) for one in value[:-1]]
    if isinstance(value, dict):
        return {name: _without_last(inner) for name, inner in value.items()}
    return value
