"""Refusals as SaladCloud answers them: problems in the form of RFC 9457."""

from typing import Any

from aiohttp import web

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
}


class ProblemError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES[status],
            "status": status,
            "detail": detail[:2000],
        }

    def answer(self) -> web.Response:
        """The response."""
        kind = "application/problem+json"
        return web.json_response(self.body, status=self.status, content_type=kind)


def missing() -> ProblemError:
    """Nothing of that name."""
    return ProblemError(404, "The requested resource was not found.")
