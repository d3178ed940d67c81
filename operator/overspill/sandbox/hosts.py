"""Kills, revives and reprices hosts, by script and by hand, and tells every market.

Driven by the timeline and the control surface.
"""

from collections.abc import Sequence
from functools import partial

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.market import Market
from overspill.sandbox.supply import Host, HostEvent
from overspill.sandbox.world import World


class HostKeeper:
    """The hosts' fate."""

    def __init__(self, world: World, markets: Sequence[Market]) -> None:
        self._world = world
        self._markets = markets
        started = world.clock.now()
        for event in world.supply.events:
            world.timeline.at(started + event.at_s, partial(self._happen, event))

    def find(self, name: str) -> Host | None:
        """By its name, or by a market's name for it."""
        for host in self._world.supply.hosts.values():
            if name in {host.name, *(market.address_of(host) for market in self._markets)}:
                return host
        return None

    def kill(self, host: Host) -> None:
        """The host is gone without a word."""
        if host.online:
            host.online = False
            self._world.ledger.write(Event.HOST_DOWN, market="sandbox", key="", provider=host.name)
            for market in self._markets:
                market.host_down(host)

    def revive(self, host: Host) -> None:
        """The host is back."""
        if not host.online:
            host.online = True
            self._world.ledger.write(Event.HOST_UP, market="sandbox", key="", provider=host.name)
            for market in self._markets:
                market.host_up(host)

    def _happen(self, event: HostEvent, _at: float) -> None:
        host = self._world.supply.hosts[event.host]
        if event.do == "kill":
            self.kill(host)
        elif event.do == "revive":
            self.revive(host)
        elif event.usd_per_gpu_hour is not None:
            host.usd_per_gpu_hour = event.usd_per_gpu_hour
