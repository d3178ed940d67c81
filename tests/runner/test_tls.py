"""TLS at the report endpoint, and how one replica trusts another."""

import datetime
import ssl
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overspill.clock import SystemClock
from overspill.serve.app import ServeOptions, report_app, server_tls, start
from overspill.serve.reports import ReportBook

FORM = {"lease": "gl-1", "attempt": "1", "event": "heartbeat"}


class Desk:
    """Leads, or knows who does."""

    def __init__(self, leader: str = "") -> None:
        self._leader = leader

    def is_leader(self) -> bool:
        return not self._leader

    def leader_url(self) -> str:
        return self._leader


def certificate(folder: Path, name: str) -> ServeOptions:
    """A certificate made out to `name`, signed by a CA that nobody here knows."""
    folder.mkdir()
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    now = datetime.datetime.now(datetime.UTC)
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "some public CA")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return ServeOptions("127.0.0.1:0", "", folder / "tls.crt", folder / "tls.key")


async def forwarded_status(leader: ServeOptions, follower: ServeOptions) -> int:
    """The status a follower gives when it has to hand a report on to the leader."""
    book = ReportBook(b"secret", SystemClock())
    clock = SystemClock()
    first = await start(leader, report_app(leader, book, Desk(), clock), tuple, tuple)
    desk = Desk(f"https://127.0.0.1:{first.report_port}")
    second = await start(follower, report_app(follower, book, desk, clock), tuple, tuple)
    url = f"https://127.0.0.1:{second.report_port}/v1/report"
    headers = {"Authorization": f"Bearer {book.token('gl-1')}"}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=FORM, headers=headers, ssl=False) as answer,
        ):
            return answer.status
    finally:
        await second.stop()
        await first.stop()


async def test_replicas_with_one_certificate_trust_each_other(tmp_path: Path) -> None:
    shared = certificate(tmp_path / "shared", "reports.example")

    assert await forwarded_status(shared, shared) == 200


async def test_a_stranger_with_another_certificate_gets_no_token(tmp_path: Path) -> None:
    ours = certificate(tmp_path / "ours", "reports.example")
    strangers = certificate(tmp_path / "strangers", "reports.example")

    assert await forwarded_status(strangers, ours) == 503


async def test_plain_http_is_not_answered_where_there_is_a_certificate(tmp_path: Path) -> None:
    options = certificate(tmp_path / "c", "reports.example")
    book = ReportBook(b"secret", SystemClock())
    serving = await start(options, report_app(options, book, Desk(), SystemClock()), tuple, tuple)
    url = f"http://127.0.0.1:{serving.report_port}/v1/report"
    try:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(url, data=FORM)
    finally:
        await serving.stop()


def test_a_key_without_its_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    one = certificate(tmp_path / "one", "a.example")
    two = certificate(tmp_path / "two", "a.example")
    mixed = ServeOptions("127.0.0.1:0", "", one.tls_cert, two.tls_key)

    with pytest.raises(ssl.SSLError):
        server_tls(mixed)
