"""What every market of one sandbox shares: time, hosts, ledger, faults, executor.

Built once by `app.py` and handed to each market.
"""

from dataclasses import dataclass, replace

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.faults import Faults
from overspill.sandbox.ledger import Ledger
from overspill.sandbox.supply import Supply
from overspill.sandbox.timeline import Timeline
from overspill.sandbox.workload import Executor


@dataclass(slots=True)
class World:
    """The shared parts, as one market sees them. `base_url` is where that market listens, once."""

    clock: SandboxClock
    timeline: Timeline
    supply: Supply
    ledger: Ledger
    faults: Faults
    executor: Executor
    seed: int = 0
    base_url: str = ""
    market: str = ""

    def now(self) -> float:
        """The time that counts: of the planned action that runs, else the clock's."""
        present = self.timeline.present
        return self.clock.now() if present is None else present

    def of(self, market: str) -> "World":
        """The same world in one market's eyes: its own hosts, faults and address."""
        supply, faults = self.supply.of(market), self.faults.of(market)
        return replace(self, supply=supply, faults=faults, market=market)
