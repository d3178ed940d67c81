"""A sandbox process that really executes, and the helpers to watch what it runs."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

from .market import KEY, sdl

T = TypeVar("T")


@dataclass
class Running:
    """A sandbox with a client of its API."""

    sandbox: Sandbox
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"x-api-key": self.sandbox.api_key}
        self.http = httpx.Client(base_url=self.sandbox.url, headers=headers, trust_env=False)

    def lease(self, script: str, *, key: str = KEY, **changes: Any) -> str:
        """Leases a shell script and waits out its boot; the dseq."""
        service = {"command": ["/bin/sh", "-c"], "args": [script], **changes.pop("service", {})}
        text = yaml.safe_dump(sdl(key, service=service, **changes))
        made = self.http.post("/v1/deployments", json={"data": {"sdl": text}}).json()["data"]
        self.sandbox.advance(10)
        bids = self.http.get("/v1/bids", params={"dseq": made["dseq"]}).json()["data"]
        chosen = {name: bids[0]["bid"]["id"][name] for name in ("dseq", "gseq", "oseq", "provider")}
        body = {"manifest": made["manifest"], "leases": [chosen]}
        self.http.post("/v1/leases", json=body).raise_for_status()
        self.sandbox.advance(5)
        return str(made["dseq"])

    def status(self, dseq: str) -> dict[str, Any]:
        body = self.http.get(f"/v1/deployments/{dseq}").json()["data"]["leases"][0]
        found: dict[str, Any] = body["status"]
        return found

    def output(self, key: str = KEY) -> str:
        return self.sandbox.logs(key).get("job-0", "")

    def exits(self, key: str = KEY) -> list[int]:
        entries = [e for e in self.sandbox.ledger() if e.event == "exited" and e.key == key]
        return [int(entry.detail["exit_code"]) for entry in entries]

    def close(self, dseq: str) -> None:
        self.http.delete(f"/v1/deployments/{dseq}").raise_for_status()


@contextmanager
def executing(**options: Any) -> Iterator[Running]:
    defaults: dict[str, Any] = {"allow_exec": True, "restart_backoff_s": 0.2}
    with Sandbox.start(SandboxOptions(**{**defaults, **options})) as sandbox:
        running = Running(sandbox)
        try:
            yield running
        finally:
            running.http.close()


@contextmanager
def isolated(**options: Any) -> Iterator[Running]:
    with executing(**options) as running:
        if not running.sandbox.is_isolated:
            pytest.skip("this machine cannot make network namespaces")
        yield running


def eventually(what: Callable[[], T], timeout_s: float = 60.0) -> T:
    """The first true answer; fails when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"it did not come true in {timeout_s} s"
        time.sleep(0.05)
    return found


@contextmanager
def listening(address: str) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server on this machine; its URL and the paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"run\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its base says so
            """Silence."""

    with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{address}:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
