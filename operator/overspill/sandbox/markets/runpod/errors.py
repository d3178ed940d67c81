"""Problems as RunPod's v2 answers them: RFC 9457, and no code for an empty shelf, only prose."""

from typing import Any

from aiohttp import web

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}
NO_CAPACITY = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)


class ProblemError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, detail: str, errors: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {
            "title": _TITLES[status],
            "status": status,
            "detail": detail,
            **({"errors": errors} if errors else {}),
        }

    def answer(self) -> web.Response:
        """The response."""
        return web.json_response(
            self.body, status=self.status, content_type="application/problem+json"
        )


def invalid(errors: list[str]) -> ProblemError:
    """The body breaks the contract; each violation is listed."""
    return ProblemError(422, "Request validation failed.", errors)
