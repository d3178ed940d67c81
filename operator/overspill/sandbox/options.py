"""What can be set when a sandbox is started; filled by the command line and by tests."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Defaults suit a first try: loopback, any port, the built-in hosts, nothing executed."""

    host: str = "127.0.0.1"
    port: int = 0
    api_key: str = "sandbox-key"
    ledger: Path | None = None
    supply: Path | None = None
    supply_traces: tuple[Path, ...] = ()
    seed: int = 0
    time_scale: float = 1.0
    allow_exec: bool = False
    isolate: bool = True
    bridge_cidr: str = ""
    share: tuple[Path, ...] = field(default=())
    restart_backoff_s: float = 10.0
    wallet_usd: Decimal = Decimal(10_000)
    deposit_usd: Decimal = Decimal(5)
    managed_deposits: bool = True
    trial: bool = False
    until_stdin_closes: bool = False
    markets: tuple[str, ...] = ("akash",)
    """Which markets it serves, each on a port of its own, the first on `port`."""
