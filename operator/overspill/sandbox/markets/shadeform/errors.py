"""Refusals as Shadeform answers them: a code and a sentence, a 409 for what cannot be done now.

The file describes no refusal. INSUFFICIENT_FUNDS and its shape were seen by others; the other
codes are made up in its likeness.
"""

from aiohttp import web


class RefusedError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def answer(self) -> web.Response:
        """The response."""
        body = {"error_code": self.code, "error": str(self)}
        return web.json_response(body, status=self.status)


def invalid(message: str) -> RefusedError:
    """A body that the API does not take."""
    return RefusedError(400, "INVALID_REQUEST", message)


def unknown() -> RefusedError:
    """No such instance, or one that is deleted."""
    return RefusedError(404, "INSTANCE_NOT_FOUND", "Instance not found")


def sold_out() -> RefusedError:
    """Nothing of the kind is left."""
    return RefusedError(409, "OUT_OF_STOCK", "The instance type is out of stock in this region")


def broke(usd: object) -> RefusedError:
    """Too little money for a start."""
    text = f"Balance must be a minimum of $5 to launch an instance. Current balance [${usd}]."
    return RefusedError(409, "INSUFFICIENT_FUNDS", text)
