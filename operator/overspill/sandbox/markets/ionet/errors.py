"""The three error bodies of io.net: business, credentials, validation."""

from typing import Any

from aiohttp import web


class ProblemError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body

    def answer(self) -> web.Response:
        """The response."""
        return web.json_response(self.body, status=self.status)


def refused(message: str, status: int = 400) -> ProblemError:
    """A business error."""
    return ProblemError(status, {"status": "failed", "error": message})


def unauthorized() -> ProblemError:
    """No key, or a wrong one."""
    return ProblemError(401, {"detail": "Invalid API key"})


def invalid(faults: list[tuple[str, str]]) -> ProblemError:
    """A body or query that breaks the schema, as FastAPI tells it."""
    detail = [
        {"loc": ["body", *where.split(".")], "msg": message, "type": "value_error"}
        for where, message in faults
    ]
    return ProblemError(422, {"detail": detail})
