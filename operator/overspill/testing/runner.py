"""Runs the runner as an image would hold it, against a report endpoint by script.

Each machine has a PATH of its own with one shell and one HTTP client. Used by tests/runner.
"""

import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from overspill.runner.wrap import wrapped

DEADLINE_S = 90.0
TOOLS = (
    "sed",
    "sleep",
    "mkdir",
    "rm",
    "mv",
    "cat",
    "date",
    "tr",
    "grep",
    "timeout",
    "env",
    "touch",
)
CLIENTS = ("curl", "wget", "python3")


class NotInstalled(Exception):  # noqa: N818  (names what the test is to say when it skips)
    """The machine lacks the shell or the client that was asked for."""


def eventually(what: str, is_so: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Waits until it is so; fails with `what` when that does not come."""
    end = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.02)  # polling another process: nothing else tells


@dataclass
class Endpoint:
    """A report endpoint by script: `answer` decides status and text for each report."""

    answer: Callable[[dict[str, str]], tuple[int, str]] = lambda report: (200, "run")
    reports: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def events(self) -> list[str]:
        """The events so far, oldest first."""
        return [report["event"] for report in self.reports]

    def has(self, event: str) -> bool:
        """Whether such an event arrived."""
        return event in self.events()

    def last(self, event: str) -> dict[str, str]:
        """The newest report of that event."""
        return next(r for r in reversed(self.reports) if r["event"] == event)


@contextmanager
def scripted_endpoint() -> Iterator[Endpoint]:
    """The endpoint on a free port of loopback."""
    script = Endpoint()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pairs = parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())
            report = {**dict(pairs), "path": self.path}
            report["gpus"] = "|".join(value for name, value in pairs if name == "gpu")
            script.tokens.add(self.headers["Authorization"])
            script.reports.append(report)
            status, text = script.answer(report)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Machine:
    """Where a runner runs: a shell, a PATH, a drop directory."""

    shell: str
    path: Path
    drop: Path
    url: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, script: str, **env: str) -> subprocess.Popen[bytes]:
        """Runs `sh -c script` under the runner, with a heartbeat every second."""
        return self.start_command((self.shell, "-c", script), env)

    def start_command(
        self, command: tuple[str, ...], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Runs a command under the runner."""
        _, dash_c, text, *rest = wrapped(command)
        full = {
            "PATH": str(self.path),
            "OVERSPILL_LEASE": "gl-0123abcd-1",
            "OVERSPILL_ATTEMPT": "3",
            "OVERSPILL_REPORT_URL": self.url,
            "OVERSPILL_REPORT_TOKEN": "tok+en",
            "OVERSPILL_DROP_DIR": str(self.drop),
            "OVERSPILL_HEARTBEAT_SECONDS": "1",
            **env,
        }
        process = subprocess.Popen(
            [self.shell, dash_c, text, *rest],
            env=full,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def dropped(self, name: str) -> str:
        """What stands in a file of the drop directory, "" without it."""
        found = self.drop / name
        return found.read_text() if found.exists() else ""

    def stop(self) -> None:
        """Ends what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if process.stdout:
                process.stdout.close()


def machine_of(root: Path, shell: str, client: str | None, url: str) -> Machine:
    """A machine of "dash" or "busybox" with that client or none. Raises NotInstalled."""
    path = root / f"{shell}-{client}"
    path.mkdir(parents=True)
    busybox = _found("busybox") if shell == "busybox" else None
    for tool in (*TOOLS, "setsid"):
        (path / tool).symlink_to(busybox or _found(tool))
    (path / "sh").symlink_to(busybox or _found(shell))
    if client is not None:
        (path / client).symlink_to(busybox if busybox and client == "wget" else _found(client))
    return Machine(str(path / "sh"), path, root / f"drop-{shell}-{client}", url)


def _found(tool: str) -> str:
    # Not the launcher of some version manager, which needs tools that no image has.
    found = os.path.realpath(sys.executable) if tool == "python3" else shutil.which(tool)
    if found is None:
        raise NotInstalled(f"{tool} is not installed")
    return found
