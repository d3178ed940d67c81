"""Tells what an answer of the API server means: the one place that maps its errors.

Called by `verbs`. Messages carry the server's own sentence, cut short, and never a body.
"""

import json
from collections.abc import Mapping
from typing import Any

from overspill.core.errors import ClusterUnavailable, Conflict, Gone, OverspillError

MAX_MESSAGE = 1000


class Refused(OverspillError):  # noqa: N818  (named by what to do next, like its siblings)
    """The API server understood and said no: invalid, forbidden, too large. Not executed."""

    def __init__(
        self, message: str, *, status: int, reason: str = "", fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.fields = fields
        """What was wrong, as paths into the object; empty where the server does not say."""


def error_of(doing: str, status: int, body: bytes) -> OverspillError:
    """The error for a non-2xx answer with that body."""
    return error_of_status(doing, {**_status_object(body), "code": status})


def error_of_status(doing: str, status: Mapping[str, Any]) -> OverspillError:
    """The error for a Status object, as found in an answer or in a watch's ERROR event."""
    code = int(status.get("code") or 500)
    said = f"{doing}: {str(status.get('message') or code)[:MAX_MESSAGE]}"
    if code in (404, 410) or _is_other_uid(status):
        return Gone(said)
    if code == 409:
        return Conflict(said)
    # 401 says nothing about the object, only about us: the outcome of asking again may differ.
    if code in (401, 408, 429) or code >= 500 or code < 400:
        return ClusterUnavailable(said)
    reason = str(status.get("reason") or "")
    return Refused(said, status=code, reason=reason, fields=_fields(status))


def _is_other_uid(status: Mapping[str, Any]) -> bool:
    """A patch with the uid of an object that was replaced by another of its name: 422, not 409."""
    return status.get("code") == 422 and "metadata.uid" in _fields(status)


def _fields(status: Mapping[str, Any]) -> tuple[str, ...]:
    causes = (status.get("details") or {}).get("causes") or []
    return tuple(str(cause.get("field") or "") for cause in causes)


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}
