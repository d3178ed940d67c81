"""What every market of one sandbox shares: time, hosts, ledger, faults, executor.

Built once by `app.py` and handed to each market.
"""

from dataclasses import dataclass

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.faults import Faults
from overspill.sandbox.ledger import Ledger
from overspill.sandbox.supply import Supply
from overspill.sandbox.timeline import Timeline
from overspill.sandbox.workload import Executor


@dataclass(slots=True)
class World:
    """The shared parts. `base_url` is where the server listens, known once it does."""

    clock: SandboxClock
    timeline: Timeline
    supply: Supply
    ledger: Ledger
    faults: Faults
    executor: Executor
    seed: int = 0
    base_url: str = ""

    def now(self) -> float:
        """The time that counts: of the planned action that runs, else the clock's."""
        present = self.timeline.present
        return self.clock.now() if present is None else present
