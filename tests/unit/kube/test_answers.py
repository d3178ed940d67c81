"""What the API server's answers mean."""

import json

import pytest

from overspill.core.errors import ClusterUnavailable, Conflict, Gone
from overspill.kube.answers import MAX_MESSAGE, Refused, error_of, error_of_status


def status(code: int, message: str = "because", reason: str = "") -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "message": message, "reason": reason}
    ).encode()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (404, Gone),
        (410, Gone),
        (409, Conflict),
        (401, ClusterUnavailable),
        (408, ClusterUnavailable),
        (429, ClusterUnavailable),
        (500, ClusterUnavailable),
        (503, ClusterUnavailable),
        (504, ClusterUnavailable),
        (302, ClusterUnavailable),
        (400, Refused),
        (403, Refused),
        (405, Refused),
        (413, Refused),
        (415, Refused),
        (422, Refused),
    ],
)
def test_every_code_has_one_meaning(code: int, kind: type[Exception]):
    assert type(error_of("GET /x", code, status(code))) is kind


def test_a_refusal_carries_the_servers_sentence():
    error = error_of("POST /x", 422, status(422, "spec.gpu: Required value", "Invalid"))
    assert isinstance(error, Refused)
    assert (error.status, error.reason) == (422, "Invalid")
    assert "spec.gpu: Required value" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>secret</html>", b"[1]", b'{"kind":"Secret"}'])
def test_no_foreign_body_gets_into_a_message(body: bytes):
    assert str(error_of("GET /x", 502, body)) == "GET /x: 502"


def test_a_long_sentence_is_cut():
    assert len(str(error_of("GET /x", 403, status(403, "y" * 9000)))) <= MAX_MESSAGE + 20


def test_an_error_event_of_a_watch_means_the_same():
    assert isinstance(error_of_status("watching /x", {"code": 410}), Gone)
    assert isinstance(error_of_status("watching /x", {}), ClusterUnavailable)
