"""The money part of a GPUProvider's status: what is left, how long it lasts, what it may cost.

Called by `show`. Nothing is decided here; the condition `BalanceLow` stands only while it is true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from overspill.core.lease import Lease
from overspill.core.statusparts import stamp
from overspill.core.worst_case import (
    NO_END,
    WorstCase,
    account_worst_case,
    lease_worst_case,
    rounded_up,
)
from overspill.engine.accounts import Account
from overspill.engine.context import Engine
from overspill.telemetry import BALANCE_USD, RUNWAY_SECONDS, WORST_CASE_USD

MAX_LEASES = 20
LONGEST_S = 315_360_000
"""Ten years: for so long a runway is told."""

LOW = "BalanceLow"
SHORT, EMPTY = "RunwayShort", "BalanceEmpty"


@dataclass(frozen=True, slots=True)
class Purse:
    """What an account has and burns. None: the market does not tell its balance."""

    balance_usd: Decimal | None
    hourly_usd: Decimal

    @property
    def runway_s(self) -> int | None:
        """How long the balance lasts at the present rate; None: unknown, or nothing burns."""
        if self.balance_usd is None or self.hourly_usd <= 0:
            return None
        hours = max(Decimal(0), self.balance_usd) / self.hourly_usd
        return int(min(hours * 3600, Decimal(LONGEST_S)))

    def complaint(self, least_s: float) -> tuple[str, str] | None:
        """(reason, sentence) when the balance is low."""
        if self.balance_usd is None:
            return None
        if self.balance_usd <= 0:
            return EMPTY, f"the balance is {self.balance_usd:.2f} USD; top the account up"
        runway = self.runway_s
        if runway is None or runway >= least_s:
            return None
        told = (
            f"{self.balance_usd:.2f} USD last for {runway / 3600:.1f} h at {self.hourly_usd:.2f} "
            f"USD per hour, less than the {least_s / 3600:.1f} h of OVERSPILL_LOW_RUNWAY_S; top "
            "the account up, or its jobs are stopped by the market"
        )
        return SHORT, told


def purse_of(account: Account, leases: Sequence[Lease]) -> Purse:
    """What the account has and what its open leases burn."""
    burning = [x.price_usd_per_hour or Decimal(0) for x in leases if x.closed_at is None]
    return Purse(account.balance_usd, sum(burning, Decimal(0)))


def money_document(engine: Engine, account: Account, leases: Sequence[Lease]) -> dict[str, Any]:
    """`hourlyUSD`, `balanceUSD`, `runwaySeconds` and `worstCase` as the status spells them."""
    purse = purse_of(account, leases)
    found: dict[str, Any] = {"hourlyUSD": f"{purse.hourly_usd:f}"}
    if purse.balance_usd is not None:
        found["balanceUSD"] = f"{purse.balance_usd:f}"
        BALANCE_USD.labels(account.spec.name).set(float(purse.balance_usd))
    if purse.runway_s is not None:
        found["runwaySeconds"] = purse.runway_s
    RUNWAY_SECONDS.labels(account.spec.name).set(
        float("inf") if purse.runway_s is None else purse.runway_s
    )
    return found | {"worstCase": _worst_case(engine, account, leases)}


def gist(money: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth a write: a balance by its first two digits, for it moves all the time."""
    balance = money.get("balanceUSD")
    coarse = {"balanceUSD": _two_digits(Decimal(balance))} if balance is not None else {}
    return {k: v for k, v in money.items() if k != "runwaySeconds"} | coarse


def _two_digits(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal(1).scaleb(usd.adjusted() - 1), ROUND_FLOOR) if usd else usd


def _worst_case(engine: Engine, account: Account, leases: Sequence[Lease]) -> dict[str, Any]:
    now, stake = engine.clock.now(), account.at_stake_usd
    ending = account.provider.capabilities.ending if account.provider else NO_END
    total = account_worst_case(leases, ending, stake, now)
    WORST_CASE_USD.labels(account.spec.name).set(float(total.within_usd))
    each = [(lease, lease_worst_case(lease, ending, stake, now)) for lease in leases]
    costly = [(lease, case) for lease, case in each if case.within_usd]
    costly.sort(key=lambda pair: (-pair[1].within_usd, pair[0].name))
    listed = [
        {"namespace": lease.namespace, "leaseName": lease.name, **_case(case)}
        for lease, case in costly[:MAX_LEASES]
    ]
    return {"billEnd": ending.by.value, **_case(total), "leases": listed}


def _case(case: WorstCase) -> dict[str, Any]:
    found: dict[str, Any] = {"within30DaysUSD": f"{rounded_up(case.within_usd):f}"}
    if case.usd is not None:
        found["usd"] = f"{rounded_up(case.usd):f}"
    if case.ends_at is not None:
        found["endsTime"] = stamp(case.ends_at)
    return found
