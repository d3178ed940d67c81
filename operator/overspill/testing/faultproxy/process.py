"""Runs fault proxies beside a test: one thread with an event loop of its own for all of them.

The proxies of one `FaultProxies` share lanes, audit and clock; tests steer them with plain calls.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from overspill.testing.faultproxy.audit import Audit
from overspill.testing.faultproxy.lanes import Lanes
from overspill.testing.faultproxy.past import Snapshot
from overspill.testing.faultproxy.proxy import Proxy
from overspill.testing.faultproxy.upstream import Upstream

T = TypeVar("T")
PATIENCE_S = 60.0
GOODBYE_S = 0.25
"""TLS connections that were cancelled say goodbye after their session has forgotten them."""


class FaultProxies:
    """Started proxies by name; `stop` ends them and their thread."""

    def __init__(self, lanes: Lanes | None = None) -> None:
        self.lanes, self.audit = lanes or Lanes(), Audit()
        self.urls: dict[str, str] = {}
        self._proxies: dict[str, Proxy] = {}
        self._runners: list[web.AppRunner] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faultproxy")
        self._thread.start()

    def add(self, name: str, upstream: Upstream) -> str:
        """Starts a proxy before `upstream`; its URL."""
        return self._run(self._added(name, upstream))

    def use(self, lanes: Mapping[str, Any]) -> None:
        """See `Lanes.use`; here so that it happens between two requests."""
        self._run(_call(lambda: self.lanes.use(lanes)))

    def calm(self) -> None:
        """Ends all faults; returns when every late request has been carried out."""
        self._run(_call(self.lanes.calm))
        for proxy in self._proxies.values():
            self._run(proxy.late.drain())

    async def snapshot_now(self, name: str) -> Snapshot:
        """The same from inside the proxies' own loop (a hook of the audit)."""
        proxy = self._proxies[name]
        return await proxy.past.snapshot(proxy.upstream)

    def snapshot(self, name: str) -> Snapshot:
        """What a client of this proxy would be listed now."""
        return self._run(self.snapshot_now(name))

    def serve_past(self, name: str, snapshot: Snapshot) -> None:
        """From now on the past is listed and watches are silent."""
        self._run(_call(lambda: self._proxies[name].past.serve(snapshot)))

    def catch_up(self, name: str) -> None:
        """The present again."""
        self._run(_call(self._proxies[name].past.catch_up))

    def stop(self) -> None:
        """Ends everything; a second call does nothing."""
        if not self._thread.is_alive():
            return
        self._run(self._closed())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def _added(self, name: str, upstream: Upstream) -> str:
        proxy = self._proxies[name] = Proxy(upstream, self.lanes, self.audit)
        runner = web.AppRunner(proxy.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.urls[name] = "http://{}:{}".format(*runner.addresses[0][:2])
        return self.urls[name]

    async def _closed(self) -> None:
        for proxy in self._proxies.values():
            proxy.past.catch_up()
            await proxy.late.close()
        for runner in self._runners:
            await runner.cleanup()
        for proxy in self._proxies.values():
            await proxy.close()
        if any(proxy.upstream.tls for proxy in self._proxies.values()):
            await asyncio.sleep(GOODBYE_S)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


async def _call(what: Any) -> None:
    what()


def through(kubeconfig: Path, url: str) -> Path:
    """A copy of a bed's kubeconfig that leads through a proxy; the token stays the client's own."""
    content = json.loads(kubeconfig.read_text())
    for entry in content["clusters"]:
        entry["cluster"] = {"server": url}
    copy = kubeconfig.with_name(f"{kubeconfig.name}.proxied")
    copy.write_text(json.dumps(content))
    copy.chmod(0o600)
    return copy
