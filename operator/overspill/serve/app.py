"""Opens the two listening sockets: reports (public, TLS where certificates are given), and
metrics with probes. Called by `overspill.app` at start, stopped by it at the end.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from overspill.ports import Clock
from overspill.serve.health import Complaints, add_probes
from overspill.serve.reports import Desk, ReportBook, ReportDoor, Throttle


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where to listen ("host:port", port 0: any free one; "": not at all) and with which files."""

    report_listen: str = ""
    metrics_listen: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """The open sockets."""

    report_port: int
    """0 when there is none."""
    metrics_port: int
    runners: Sequence[web.AppRunner]

    async def stop(self) -> None:
        """Closes the sockets and lets running answers end."""
        for runner in self.runners:
            await runner.cleanup()


async def start(
    options: ServeOptions, door: web.Application | None, live: Complaints, ready: Complaints
) -> Serving:
    """Listens. Raises OSError when an address is taken, ValueError when one is not understood."""
    runners: list[web.AppRunner] = []
    report_port = metrics_port = 0
    try:
        if door is not None and options.report_listen:
            runners.append(await _running(door))
            report_port = await listen(runners[-1], options.report_listen, server_tls(options))
        if options.metrics_listen:
            runners.append(await _running(metrics_app(live, ready)))
            metrics_port = await listen(runners[-1], options.metrics_listen, None)
    except BaseException:
        for runner in runners:
            await runner.cleanup()
        raise
    return Serving(report_port, metrics_port, tuple(runners))


def report_app(
    options: ServeOptions, book: ReportBook, desk: Desk, clock: Clock
) -> web.Application:
    """The report endpoint over a book."""
    return ReportDoor(book, desk, Throttle(clock), hop_tls=hop_tls(options)).app()


def metrics_app(live: Complaints, ready: Complaints) -> web.Application:
    """/metrics, /healthz, /readyz."""
    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler())
    add_probes(app, live, ready)
    return app


def server_tls(options: ServeOptions) -> ssl.SSLContext | None:
    """TLS with the given files; None without them."""
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    return context


def hop_tls(options: ServeOptions) -> ssl.SSLContext | None:
    """How one replica trusts another: both hold one certificate, made out to the public name."""
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(cafile=str(options.tls_cert))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def _running(app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    return runner


async def listen(runner: web.AppRunner, address: str, tls: ssl.SSLContext | None) -> int:
    """Opens a socket at host:port and gives its port. Raises OSError, ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{address!r} is not an address to listen on; write host:port")
    site = web.TCPSite(runner, host.strip("[]") or None, int(port), ssl_context=tls)
    await site.start()
    bound: int = runner.addresses[0][1]
    return bound
