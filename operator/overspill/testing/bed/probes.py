"""Answers "is it ready?" for each kind of component, without a Kubernetes client."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_TIMEOUT_SECONDS = 2.0


def https(url: str, ca: Path | None = None) -> Callable[[], bool]:
    """Ready when `url` answers 200; without `ca` the component signs its certificate itself."""

    def probe() -> bool:
        return _answers(url, _context(ca))

    return probe


def http(url: str) -> Callable[[], bool]:
    """Ready when `url` answers 200."""
    return lambda: _answers(url, None)


def _context(ca: Path | None) -> ssl.SSLContext:
    if ca is not None:
        return ssl.create_default_context(cafile=str(ca))
    # The controller manager and the scheduler make a certificate of their own at start; the
    # probe reads one public word from a port that this bed chose on the loopback interface.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _answers(url: str, context: ssl.SSLContext | None) -> bool:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        *([urllib.request.HTTPSHandler(context=context)] if context else []),
    )
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
