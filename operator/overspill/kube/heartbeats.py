"""Times how long each node's heartbeat has stood still, as seen on our monotonic clock.

Polls the Leases that kubelets renew; clocks of nodes are never compared. Time in which we could
not see counts for no node: after a gap in the polls every heartbeat starts afresh, or the first
look after an outage of the API server would find every node long dead. Run by `home`.
"""

import logging
from dataclasses import dataclass
from typing import Any

from overspill.core.errors import OverspillError
from overspill.kube.resources import NODE_LEASES
from overspill.ports import Clock, KubeVerbs

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Beat:
    renewed: str
    moved_at: float


class Heartbeats:
    """One LIST every `period_s`; `blind_after_s` without one makes a gap."""

    def __init__(
        self, verbs: KubeVerbs, clock: Clock, period_s: float = 5.0, blind_after_s: float = 15.0
    ) -> None:
        self._verbs = verbs
        self._clock = clock
        self._period_s = period_s
        self._blind_after_s = max(blind_after_s, 3 * period_s)
        self._beats: dict[str, _Beat] = {}
        self._polled_at: float | None = None

    def age_s(self, node: str) -> float | None:
        """Seconds since the node's Lease last moved; None when it was never seen."""
        beat = self._beats.get(node)
        return None if beat is None else self._clock.monotonic() - beat.moved_at

    def is_blind(self) -> bool:
        """Whether the last successful poll is too long ago to judge anything."""
        if self._polled_at is None:
            return True
        return self._clock.monotonic() - self._polled_at > self._blind_after_s

    async def run(self) -> None:
        """Polls until cancelled."""
        while True:
            try:
                await self.poll()
            except OverspillError as error:
                log.warning("reading node heartbeats: %s", error)
            await self._clock.sleep(self._period_s)

    async def poll(self) -> None:
        """One look at every node's Lease."""
        seen = dict(await self._verbs.list_kept(NODE_LEASES, _renewed))
        now = self._clock.monotonic()
        if self.is_blind():
            self._beats.clear()
        self._beats = {name: self._beat(name, renewed, now) for name, renewed in seen.items()}
        self._polled_at = now

    def _beat(self, name: str, renewed: str, now: float) -> _Beat:
        known = self._beats.get(name)
        return known if known and known.renewed == renewed else _Beat(renewed, now)


def _renewed(obj: dict[str, Any]) -> tuple[str, str]:
    spec = obj.get("spec")
    renewed = str(spec.get("renewTime")) if isinstance(spec, dict) else ""
    return str(obj["metadata"]["name"]), renewed
