"""The Akash market as the sandbox holds it: its paths with their key check, its leases by name.

Built by `app.py`; the fault layer, the control surface and the host keeper speak to this.
"""

import hmac
from collections.abc import Awaitable, Callable
from decimal import Decimal

from aiohttp import web

from overspill.sandbox.markets.akash.account import AccountApi
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.chain import MARKET, AkashOptions, Chain, closed_reason
from overspill.sandbox.markets.akash.errors import ApiError
from overspill.sandbox.markets.akash.gateway import Gateway
from overspill.sandbox.markets.akash.public import PublicApi
from overspill.sandbox.markets.akash.requests import create_key, error_answer, loads
from overspill.sandbox.markets.akash.state import UACT_PER_USD, Deployment, Lease, usd
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FAULTS = {
    "gateway_elsewhere": "akash: a host tells `uri` as the address of its gateway",
    "log_breaks": "akash: a gateway ends a log after `lines` (1) with the close code `code` (4000)",
    "log_floods": "akash: a gateway sends a log's lines over and over",
}


def create(world: World, options: SandboxOptions) -> "AkashMarket":
    """The market over a world."""
    return AkashMarket(Chain(world, _options(options)), options.api_key)


class AkashMarket:
    """One managed wallet on the simulated chain."""

    name = MARKET
    example = "curl -s {url}/v1/gpu-prices"

    def __init__(self, chain: Chain, api_key: str) -> None:
        self.chain = self._chain = chain
        self.world = self._world = chain.world
        self._api_key = api_key
        self.gateway = Gateway(chain)
        self._public = PublicApi(chain, self.gateway)
        self._account = AccountApi(chain, self.gateway)

    def routes(self) -> list[web.RouteDef]:
        """Every path, each bringing the chain up to date first."""
        private = [self._wrapped(route, self._guarded) for route in self._account.routes()]
        public = [self._wrapped(route, self._answered) for route in self._public.routes()]
        return [*public, *private, *self.gateway.routes()]

    def key_of(self, path: str, body: bytes) -> str:
        """The key a request is about; empty when it has none."""
        if path == "/v1/deployments":
            return create_key(body)
        dseq = path.rsplit("/", 1)[-1]
        if path == "/v1/leases":
            leases = loads(body).get("leases") or [{}]
            dseq = str(leases[0].get("dseq", ""))
        found = self._chain.deployments.get(dseq)
        return found.key if found else ""

    def settle(self) -> None:
        """Brings the chain up to the present."""
        self._chain.settle_all()

    def accrued(self) -> dict[str, Decimal]:
        """USD of running leases so far, by key."""
        found: dict[str, Decimal] = {}
        for deployment in self._chain.deployments.values():
            running = sum((usd(lease.charged) for lease in deployment.running), Decimal(0))
            if running:
                found[deployment.key] = found.get(deployment.key, Decimal(0)) + running
        return found

    @property
    def balance_usd(self) -> Decimal:
        """The money in the account."""
        return usd(self._chain.wallet)

    @balance_usd.setter
    def balance_usd(self, amount: Decimal) -> None:
        self._chain.wallet = amount * UACT_PER_USD

    def leases(self, wanted: str, *, only_running: bool = True) -> list[str]:
        """The executor's names of the leases of a dseq or key."""
        found = self._find(wanted, only_running=only_running)
        return [deployment.lease_name(lease) for deployment, lease in found]

    def leases_on(self, host: Host) -> list[str]:
        """The dseqs of the leases that run on a host."""
        return [deployment.dseq for deployment, _ in self._chain.leases_of(host)]

    def end(self, wanted: str, reason: str) -> None:
        """The host ends the running leases of a dseq or key."""
        for deployment, lease in self._find(wanted, only_running=True):
            self._chain.end_lease(deployment, lease, closed_reason(reason))

    def reclaim(self, wanted: str, window_s: float) -> None:
        """The host takes them back, after the window."""
        for deployment, lease in self._find(wanted, only_running=True):
            self._chain.reclaim(deployment, lease, window_s)

    def address_of(self, host: Host) -> str:
        """The host's name on the chain."""
        return address(host.name)

    def host_down(self, host: Host) -> None:
        """Its leases lose their programs; the chain does not notice."""
        for deployment, lease in self._chain.leases_of(host):
            self._world.executor.lose(deployment.lease_name(lease))

    def host_up(self, host: Host) -> None:
        """Its leases' programs start again, on empty disks."""
        for deployment, lease in self._chain.leases_of(host):
            self._world.executor.recover(deployment.lease_name(lease))

    def _find(self, wanted: str, *, only_running: bool) -> list[tuple[Deployment, Lease]]:
        return [
            (deployment, lease)
            for deployment in self._chain.deployments.values()
            if wanted in {deployment.dseq, deployment.key}
            for lease in (deployment.running if only_running else deployment.leases)
        ]

    def _wrapped(self, route: web.RouteDef, wrapper: Callable[[Handler], Handler]) -> web.RouteDef:
        handler: Handler = route.handler
        return web.route(route.method, route.path, wrapper(handler))

    def _guarded(self, handler: Handler) -> Handler:
        inner = self._answered(handler)

        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("x-api-key", "")
            if not hmac.compare_digest(given.encode(), self._api_key.encode()):
                return error_answer(ApiError(401, "Unauthorized"))
            return await inner(request)

        return guarded

    def _answered(self, handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            self._world.timeline.run(self._world.clock.now())
            self.settle()
            try:
                return await handler(request)
            except ApiError as error:
                return error_answer(error)

        return answered


def _options(options: SandboxOptions) -> AkashOptions:
    return AkashOptions(
        wallet_usd=options.wallet_usd,
        deposit_usd=options.deposit_usd,
        managed_deposits=options.managed_deposits,
        trial=options.trial,
        restart_backoff_s=options.restart_backoff_s,
    )
