"""A gateway with TLS before the sandbox's Akash, and a node of the chain that knows certificates.

As the real ones have it: a certificate of the provider's own making bears its account's name, is
vouched for by nobody, and stands on the chain.
"""

import base64
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from overspill.sandbox.app import SandboxApp

_USES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass
class Chain:
    """What a node of the chain tells of certificates: PEM by owner and state."""

    url: str = ""
    recorded: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        owner, state = request.query["filter.owner"], request.query["filter.state"]
        self.asked.append(owner)
        found = self.recorded.get((owner, state))
        entries = [] if found is None else [_entry(found, state)]
        page = {"next_key": None, "total": str(len(entries))}
        return web.json_response({"certificates": entries, "pagination": page})


def _entry(pem: str, state: str) -> dict[str, object]:
    cert = {"state": state, "cert": base64.b64encode(pem.encode()).decode(), "pubkey": ""}
    return {"certificate": cert, "serial": "1"}


def own_certificate(folder: Path, account: str, days: int = 30) -> tuple[str, ssl.SSLContext]:
    """A certificate with all that those of `provider-services tx cert generate server` have.

    As PEM, and the server's side of it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, account),
            x509.NameAttribute(x509.ObjectIdentifier("2.23.133.2.6"), "v0.0.1"),
        ]
    )
    host = x509.DNSName("provider.example")
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
        .add_extension(x509.NameConstraints([host], None), critical=True)
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "cert.pem").write_text(pem)
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return pem, context


@asynccontextmanager
async def listening(app: web.Application, trust: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server on a port of its own."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chain_node() -> AsyncIterator[Chain]:
    """A node of the chain."""
    chain, app = Chain(), web.Application()
    app.add_routes([web.get("/akash/cert/v1/certificates/list", chain.answer)])
    async with listening(app, None) as port:
        chain.url = f"http://127.0.0.1:{port}"
        yield chain


@asynccontextmanager
async def tls_gateway(app: SandboxApp, trust: ssl.SSLContext) -> AsyncIterator[str]:
    """The sandbox's paths once more, with TLS: the base of their URLs."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(listening(app.web(app.akash), trust))
        yield f"https://127.0.0.1:{port}"
