"""Errors as the Console API answers them: `{error, message, code, type, data?}`.

Raised by the SDL reader and the chain, turned into answers by the routes.
"""

from typing import Any

_NAMES = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    402: "PaymentRequiredError",
    403: "ForbiddenError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "unprocessable_entity",
    429: "rate_limited",
    502: "service_unavailable",
    503: "service_unavailable",
}

BID_NOT_OPEN = (
    "Failed to create lease: Cannot create lease: The selected bid is no longer open. "
    "Please refresh and select an available bid."
)
ORDER_NOT_OPEN = (
    "Failed to create lease: Cannot create lease: The associated order has already been matched "
    "or closed. Re-create the deployment to generate a new order and try again."
)
NO_BALANCE = (
    "Failed to create deployment: Not enough balance to cover the deployment deposit. "
    "Add credits or turn on auto recharge to continue."
)


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The JSON body; `code`, `type` and `data` may be given, else they follow the status."""
        kind = "server_error" if self.status >= 500 else "client_error"
        return {
            "error": _NAMES.get(self.status, "HTTPException"),
            "message": self.message,
            "code": _CODES.get(self.status, "unknown_error"),
            "type": kind,
            **self.extra,
        }


def validation_error(path: list[str | int], message: str) -> ApiError:
    """A body or query that does not fit the schema."""
    issue = {"code": "invalid_type", "path": path, "message": message}
    return ApiError(
        400, "Validation error", code="validation_error", type="validation_error", data=[issue]
    )


def not_delivered(dseq: str, provider: str, status: int, why: str) -> ApiError:
    """The lease exists and bills, but its host has no manifest."""
    return ApiError(
        status,
        f"The lease for deployment {dseq} exists, but provider {provider} did not receive its "
        "manifest. Send this request again to retry, or close the deployment to stop paying for "
        "it.",
        code="manifest_not_delivered",
        data={"dseq": dseq, "provider": provider, "reason": why},
    )
