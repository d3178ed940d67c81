"""Refusals as Lium answers them: an envelope with a code for programs and words for people."""

import itertools
from typing import Any

from aiohttp import web

_NUMBERS = itertools.count(1)


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {
            "error": {
                "code": code,
                "message": message,
                "hint": hint,
                "request_id": f"req-{next(_NUMBERS)}",
            }
        }

    def answer(self) -> web.Response:
        """The response."""
        return web.json_response(self.body, status=self.status)


def missing(what: str) -> ApiError:
    """Nothing of that id."""
    return ApiError(404, "not_found", f"{what} not found")


def invalid(message: str) -> ApiError:
    """A body that the API cannot take."""
    return ApiError(422, "validation_error", message)
