"""Probes: /healthz says whether the process still works, /readyz whether it knows the cluster.

`Pulse` measures from a thread how long the event loop has not come round. While it is blocked no
probe is answered at all and the kubelet restarts us; the thread writes where it hangs.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import Gauge

log = logging.getLogger(__name__)

Complaints = Callable[[], Sequence[str]]
"""What is wrong now, one sentence each; nothing when all is well."""

WATCH_LIMIT_S = 150.0
LOOP_LAG = Gauge("overspill_loop_lag_seconds", "How long the event loop has not come round.")


def add_probes(app: web.Application, live: Complaints, ready: Complaints) -> None:
    """Adds /healthz and /readyz."""
    app.router.add_get("/healthz", _probe(live))
    app.router.add_get("/readyz", _probe(ready))


def old_watches(ages_s: Mapping[str, float], limit_s: float = WATCH_LIMIT_S) -> list[str]:
    """Complaints about watches that have been silent for too long."""
    return [
        f"the watch of {name} has been silent for {int(age)} s"
        for name, age in ages_s.items()
        if age > limit_s
    ]


class Pulse:
    """Measures the event loop's lag from outside of it."""

    def __init__(self, every_s: float = 1.0, stalled_s: float = 10.0) -> None:
        self._every_s = every_s
        self._stalled_s = stalled_s
        self._beat = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_told = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to measure `loop`, which runs in the calling thread."""
        self._beat = time.monotonic()
        owner = threading.get_ident()
        self._thread = threading.Thread(
            target=self._run, args=(loop, owner), name="pulse", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends the measuring."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def age_s(self) -> float:
        """Seconds since the loop last came round."""
        return time.monotonic() - self._beat

    def complaints(self) -> list[str]:
        """A sentence when the loop lags badly."""
        age = self.age_s()
        return [f"the event loop was blocked for {age:.0f} s"] if age > self._stalled_s else []

    def _run(self, loop: asyncio.AbstractEventLoop, owner: int) -> None:
        while not self._stop.wait(self._every_s):
            try:
                loop.call_soon_threadsafe(self._mark)
            except RuntimeError:  # the loop is closed: the process is ending
                return
            LOOP_LAG.set(max(0.0, self.age_s() - self._every_s))
            if self.age_s() > self._stalled_s and not self._has_told:
                self._has_told = True
                self._tell_where(owner)

    def _mark(self) -> None:
        self._beat = time.monotonic()
        self._has_told = False

    def _tell_where(self, owner: int) -> None:
        frame = sys._current_frames().get(owner)
        where = "".join(traceback.format_stack(frame)) if frame else "unknown\n"
        log.error("the event loop is blocked for %.0f s here:\n%s", self.age_s(), where)


def _probe(complaints: Complaints) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        found = complaints()
        return web.Response(status=503 if found else 200, text="\n".join(found or ["ok"]) + "\n")

    return answer
