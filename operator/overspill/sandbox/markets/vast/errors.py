"""Errors as Vast.ai answers them: `{success, error, msg}`; `ask_id` or `new_contract` beside."""

from typing import Any


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, error: str, msg: str, **extra: Any) -> None:
        super().__init__(msg)
        self.status = status
        self.body: dict[str, Any] = {"success": False, "error": error, "msg": msg, **extra}


def gone(ask: int, *, cancel_unavail: bool) -> ApiError:
    """The ask is not to be had any more."""
    if cancel_unavail:
        text = f"error 410/3907: no_such_ask Instance type {ask} is no longer available."
        return ApiError(410, "no_such_ask", text, ask_id=ask)
    text = f"error 404/3603: no_such_ask Instance type by id {ask} is not available."
    return ApiError(404, "invalid_args", text, ask_id=ask)


def invalid(msg: str) -> ApiError:
    """The body is not what the API takes."""
    return ApiError(400, "invalid_args", f"error 400/3467: Invalid args: {msg}")
