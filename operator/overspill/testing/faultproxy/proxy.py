"""The handler of one proxy: names a request, asks its lane what happens, and lets it happen."""

from aiohttp import web

from overspill.testing.faultproxy.answers import refused, reset, told
from overspill.testing.faultproxy.audit import Audit
from overspill.testing.faultproxy.exchange import BROKEN, Answers, Exchange, Late
from overspill.testing.faultproxy.lanes import Lanes
from overspill.testing.faultproxy.naming import Asked
from overspill.testing.faultproxy.past import Past
from overspill.testing.faultproxy.rules import STREAM, Rule
from overspill.testing.faultproxy.upstream import Upstream
from overspill.testing.faultproxy.watch import Watch

MAX_BODY = 64 * 1024 * 1024


class Proxy:
    """Before one other side. Made and used inside one event loop."""

    def __init__(self, upstream: Upstream, lanes: Lanes, audit: Audit) -> None:
        self.upstream, self.lanes, self.audit = upstream, lanes, audit
        self.late, self.past = Late(), Past()
        self._answers = Answers()

    def app(self) -> web.Application:
        """Takes every path."""
        made = web.Application(client_max_size=MAX_BODY)
        made.router.add_route("*", "/{path:.*}", self.handle)
        return made

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of a client."""
        try:
            asked = await self.upstream.asked(request)
        except OSError:
            return reset(request)  # the client died in the middle of its request
        namespace = asked.namespace or self.audit.namespace_of(asked.key)
        rule = self.lanes.strike(asked.name, namespace)
        if asked.is_watch and (rule is None or rule.action in STREAM):
            return await self._watch(asked, rule, request)
        self.past.learn(asked)
        if (old := self.past.answer(asked)) is not None:
            return told(old)
        exchange = Exchange(self.upstream, self.audit, self.late, self._answers, asked)
        return await exchange.play(rule, request)

    async def close(self) -> None:
        """Drops what was to happen later, ends the connections."""
        await self.late.close()
        await self.upstream.close()

    async def _watch(
        self, asked: Asked, rule: Rule | None, request: web.Request
    ) -> web.StreamResponse:
        watch = Watch(asked, self.lanes, rule, request)
        if self.past.is_served:
            await watch.begin()
            await self.past.current()
        try:
            async with self.upstream.stream(asked) as got:
                if got.status != 200:
                    return refused(got.status, is_kube=True)
                if not watch.response.prepared:
                    await watch.begin()
                await watch.copy(got)
        except BROKEN:
            return refused(503, is_kube=True)
        return watch.response
