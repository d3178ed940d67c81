"""Kills, revives and reprices hosts, by script and by hand, and tells every market.

Driven by the timeline and the control surface.
"""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from overspill.sandbox.ledger import Event
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.supply import Host, HostEvent
from overspill.sandbox.world import World


class HostWatcher(Protocol):
    """What a market does when a host goes or comes."""

    def host_down(self, host: Host) -> None:
        """The host vanished with everything on it."""

    def host_up(self, host: Host) -> None:
        """The host is back with empty disks."""


class HostKeeper:
    """The hosts' fate."""

    def __init__(self, world: World, watchers: Sequence[HostWatcher]) -> None:
        self._world = world
        self._watchers = watchers
        started = world.clock.now()
        for event in world.supply.events:
            world.timeline.at(started + event.at_s, partial(self._happen, event))

    def find(self, name: str) -> Host | None:
        """By name or by address."""
        hosts = self._world.supply.hosts.values()
        return next((h for h in hosts if name in {h.name, address(h.name)}), None)

    def kill(self, host: Host) -> None:
        """The host is gone without a word."""
        if host.online:
            host.online = False
            self._world.ledger.write(Event.HOST_DOWN, market="sandbox", key="", provider=host.name)
            for watcher in self._watchers:
                watcher.host_down(host)

    def revive(self, host: Host) -> None:
        """The host is back."""
        if not host.online:
            host.online = True
            self._world.ledger.write(Event.HOST_UP, market="sandbox", key="", provider=host.name)
            for watcher in self._watchers:
                watcher.host_up(host)

    def _happen(self, event: HostEvent, _at: float) -> None:
        host = self._world.supply.hosts[event.host]
        if event.do == "kill":
            self.kill(host)
        elif event.do == "revive":
            self.revive(host)
        elif event.usd_per_gpu_hour is not None:
            host.usd_per_gpu_hour = event.usd_per_gpu_hour
