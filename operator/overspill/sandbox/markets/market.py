"""What the sandbox asks of every market it serves.

The fault layer, the control surface and the host keeper know markets by this only, so that a
further market is one package beside `akash/`: its `market.py` has `create(world, options)`, and
`FAULTS`, the actions that it alone knows, in words.
"""

from decimal import Decimal
from typing import Protocol

from aiohttp import web

from overspill.sandbox.supply import Host
from overspill.sandbox.world import World


class Market(Protocol):
    """One account on one stand-in market. Leases are named by the market's id or by our key."""

    name: str
    example: str
    """What to try first, for the person who started it; `{url}` and `{key}` are filled in."""
    world: World
    balance_usd: Decimal

    def routes(self) -> list[web.RouteDef]:
        """Its paths, as the real market has them."""

    def key_of(self, path: str, body: bytes) -> str:
        """The key a request is about, for fault rules; empty when it has none."""

    def settle(self) -> None:
        """Brings bills and states up to the present."""

    def accrued(self) -> dict[str, Decimal]:
        """USD of running leases so far, by key."""

    def leases(self, wanted: str, *, only_running: bool = True) -> list[str]:
        """The executor's names of the leases meant; empty when there are none."""

    def leases_on(self, host: Host) -> list[str]:
        """The market's ids of the leases on a host."""

    def end(self, wanted: str, reason: str) -> None:
        """The host ends the running leases meant."""

    def reclaim(self, wanted: str, window_s: float) -> None:
        """The host takes them back, after the window."""

    def address_of(self, host: Host) -> str:
        """How the market names a host."""

    def host_down(self, host: Host) -> None:
        """The host vanished with everything on it."""

    def host_up(self, host: Host) -> None:
        """The host is back with empty disks."""
