"""The markets of one sandbox as one: what the control surface and the clock ask of all of them.

A lease's id or key is looked for in every market, so callers need not say which.
"""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from overspill.sandbox.markets.market import Market
from overspill.sandbox.supply import Host


class Fleet:
    """The markets by name."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self.markets = markets

    def settle(self) -> None:
        """Brings bills and states up to the present."""
        for market in self.markets.values():
            market.settle()

    def accrued(self) -> dict[str, Decimal]:
        """USD of running leases so far, by key."""
        total: dict[str, Decimal] = defaultdict(Decimal)
        for market in self.markets.values():
            for key, usd in market.accrued().items():
                total[key] += usd
        return dict(total)

    def leases(self, wanted: str, *, only_running: bool = True) -> list[str]:
        """The executor's names of the leases meant."""
        return [
            name
            for market in self.markets.values()
            for name in market.leases(wanted, only_running=only_running)
        ]

    def leases_on(self, host: Host) -> list[str]:
        """The markets' ids of the leases on a host."""
        return [id_ for market in self.markets.values() for id_ in market.leases_on(host)]

    def end(self, wanted: str, reason: str) -> None:
        """The host ends the running leases meant."""
        for market in self.markets.values():
            market.end(wanted, reason)

    def reclaim(self, wanted: str, window_s: float) -> None:
        """The host takes them back, after the window."""
        for market in self.markets.values():
            market.reclaim(wanted, window_s)

    def balances(self) -> dict[str, Decimal]:
        """The money in each account."""
        return {name: market.balance_usd for name, market in self.markets.items()}

    def set_balance(self, usd: Decimal, market: str = "") -> None:
        """The money in one account, or in each."""
        if market and market not in self.markets:
            raise LookupError(f"This sandbox has no market {market!r}.")
        for name in [market] if market else self.markets:
            self.markets[name].balance_usd = usd
