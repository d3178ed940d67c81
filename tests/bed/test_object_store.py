"""The object store takes signed requests, refuses unsigned ones, and keeps plain files."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from overspill.testing.bed import Bed, ObjectStore

pytestmark = pytest.mark.cluster


@pytest.fixture
def store(bed: Bed) -> Iterator[ObjectStore]:
    store = bed.object_store()
    yield store
    store.stop()


def test_object_written_is_read_back_and_lies_in_a_file(store: ObjectStore) -> None:
    _request(store, "PUT", "job/attempt-1/step-10", b"weights")
    assert _request(store, "GET", "job/attempt-1/step-10") == b"weights"
    assert store.objects()["job/attempt-1/step-10"].read_bytes() == b"weights"


def test_listing_names_the_objects(store: ObjectStore) -> None:
    _request(store, "PUT", "a/1", b"1")
    assert b"<Key>a/1</Key>" in _request(store, "GET", "", query="list-type=2")


def test_unsigned_request_is_refused(store: ObjectStore) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{store.url}/{store.bucket}/secret", timeout=5)  # noqa: S310 - ours
    refused.value.close()
    assert refused.value.code == 403


def test_objects_survive_a_crash_of_the_gateway(store: ObjectStore) -> None:
    _request(store, "PUT", "kept", b"x")
    store.component.kill()
    store.component.start()
    assert _request(store, "GET", "kept") == b"x"


def _request(
    store: ObjectStore, method: str, key: str, body: bytes = b"", query: str = ""
) -> bytes:
    """One request with an AWS signature, version 4, as the runner in a job makes it."""
    host = urlsplit(store.url).netloc
    path = f"/{store.bucket}/{key}"
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body).hexdigest()
    signed = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = "\n".join([method, path, query, lines, names, payload])
    scope = f"{stamp[:8]}/{store.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key_bytes = f"AWS4{store.secret_key}".encode()
    for part in scope.split("/"):
        key_bytes = hmac.digest(key_bytes, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(key_bytes, text.encode(), "sha256").hex()
    credential = f"Credential={store.access_key}/{scope}"
    signed["Authorization"] = (
        f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    )
    url = f"{store.url}{path}" + (f"?{query}" if query else "")
    request = urllib.request.Request(url, data=body or None, method=method, headers=signed)  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
        return bytes(answer.read())
