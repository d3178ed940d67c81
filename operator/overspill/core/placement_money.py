"""Dollars while a plan is made: caps of jobs, budgets of namespaces, limits of accounts.

Everything here is refused before it is spent. A rented lease reserves the most it may cost, so
what one job takes of a namespace's budget the next cannot have. A lease ends (`Ceiling.lasts`)
before its money does, even at the highest rate it may be charged. Called by `placement`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from math import inf
from typing import NamedTuple, Protocol

from overspill.core.cost import committed_usd
from overspill.core.filters import Market, Refusal
from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.pricing import MICRO, Quote, Terms, hours, span
from overspill.core.reasons import Reason
from overspill.core.sla import Budget
from overspill.core.statusparts import usd
from overspill.core.vocabulary import LeaseState

FIRM_HEADROOM = Decimal("1.02")
AUCTION_HEADROOM = Decimal("1.10")
"""How far above the quoted rate a lease may open: rounding of units; bids of an auction."""

RATE_TOLERANCE = Decimal("1.01")
"""`core/recovery` bears this much above the hourly ceiling before it closes a lease."""

SAFETY_SHARE = Decimal("0.98")
CLOSING_TIME = timedelta(minutes=3)
"""Money kept back so that a lease is closed before its ceiling, not after."""

USEFUL_RUN = timedelta(hours=1)
"""Where the work is unknown, a lease must be able to pay for its start and this much."""

LONGEST = timedelta(days=366)
"""No lease is opened for longer, however much money there is."""


class Allowance(NamedTuple):
    """What one job may spend now. None: no such limit."""

    max_hourly: Decimal | None
    left: Decimal | None
    """Under `budget.maxTotalUSD`, everything spent so far taken off."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The limits written into a lease."""

    max_usd_per_hour: Decimal
    max_total: Decimal | None = None
    lasts: timedelta | None = None
    """How long the money lasts at the highest rate, less the time to close; None: for ever."""


@dataclass(slots=True)
class Account:
    """What an account has in use."""

    leases: int = 0
    hourly: Decimal = Decimal(0)
    exposed: Decimal = Decimal(0)
    """What its open leases may still cost."""


class Money:
    """Budgets and account limits of one plan."""

    def __init__(self, budgets: Iterable[Budget], leases: Iterable[Lease], now: datetime) -> None:
        """Open leases that a budget's status does not show yet are counted here."""
        self._budgets: dict[str, list[Decimal]] = defaultdict(list)
        self._accounts: dict[str, Account] = defaultdict(Account)
        reserved: dict[str, Decimal] = defaultdict(Decimal)
        for lease in leases:
            if lease.state is LeaseState.CLOSED:
                continue
            committed = committed_usd(lease, now)
            reserved[lease.namespace] += committed
            self._use(lease.provider, _rate(lease), committed)
        for budget in budgets:
            unseen = max(Decimal(0), reserved[budget.namespace] - budget.committed_usd)
            self._budgets[budget.namespace].append(budget.free_usd - unseen)

    def free(self, namespace: str) -> Decimal | None:
        """Dollars the namespace may still commit; None without a GPUBudget."""
        return min(self._budgets[namespace], default=None) if namespace in self._budgets else None

    def within_limits(self, market: Market, price: Decimal) -> Refusal | None:
        """Whether the account's own limits leave room for one more lease at this price."""
        account = market.account
        if account is None:
            return None
        used = self._accounts[account.name]
        if account.max_leases is not None and used.leases >= account.max_leases:
            told = f"{used.leases} leases are open, limits.maxLeases is {account.max_leases}"
            return Refusal(Reason.PROVIDER_LIMIT, told, clears=True)
        if account.max_hourly_usd is not None and used.hourly + price > account.max_hourly_usd:
            told = f"{usd(used.hourly)} USD/h are in use, limits.maxHourlyUSD is "
            return Refusal(Reason.PROVIDER_LIMIT, told + usd(account.max_hourly_usd), clears=True)
        return None

    def within_exposure(
        self, market: Market, bill: "Bill", total: Decimal | None
    ) -> Refusal | Decimal | None:
        """The money that the account's exposure leaves of `total`, or why it is too little."""
        account = market.account
        if account is None or account.max_exposure_usd is None or market.is_home:
            return total
        left = account.max_exposure_usd - self._accounts[account.name].exposed
        if bill.exceeds(left):
            told = f"open leases may still cost {usd(account.max_exposure_usd - left)} USD, "
            told += f"limits.maxExposureUSD is {usd(account.max_exposure_usd)}"
            return Refusal(Reason.PROVIDER_LIMIT, told, clears=True)
        return left if total is None else min(total, left)

    def spend(self, namespace: str, offer: Offer, ceiling: Ceiling, *, is_own: bool) -> None:
        """Reserves what the new lease may cost. Our own nodes are charged, but no money leaves."""
        committed = Decimal(0) if is_own else ceiling.max_total or Decimal(0)
        self._use(offer.provider, offer.price_usd_per_hour, committed)
        if namespace in self._budgets and not is_own:
            self._budgets[namespace] = [free - committed for free in self._budgets[namespace]]

    def _use(self, account: str, price: Decimal, committed: Decimal) -> None:
        used = self._accounts[account]
        used.leases, used.hourly = used.leases + 1, used.hourly + price
        used.exposed += committed


class Bill(Protocol):
    """What an offer asks for a job's lease."""

    @property
    def price(self) -> Decimal:
        """USD per hour."""

    @property
    def bought(self) -> tuple[Decimal, str]:
        """`least_money`."""

    def exceeds(self, limit: Decimal | None) -> bool:
        """Whether the least money is more than that; exact, but cheaper than to ask for it."""

    def is_surely_below(self, limit: float) -> bool:
        """Whether the least money is less than that by far; False: perhaps."""


def afford(allowance: Allowance, free: Decimal | None, bill: Bill) -> Refusal | Decimal | None:
    """The money a lease may use in all (None: unlimited), or why it is too little.

    `free` is what the namespace's budget leaves for what is paid, None on our own nodes. A lease
    without a cap of its job's own could take all of it: it is not opened on a budget.
    """
    if free is not None and allowance.left is None:
        told = "the namespace has a GPUBudget, and the job no spec.budget.maxTotalUSD to take of it"
        return Refusal(Reason.BUDGET_MISSING, told)
    if allowance.max_hourly is not None and bill.price > allowance.max_hourly:
        told = f"{usd(bill.price)} USD/h is above spec.budget.maxHourlyUSD "
        return Refusal(Reason.PRICE_ABOVE_CAP, told + usd(allowance.max_hourly))
    if bill.exceeds(allowance.left):
        needed, purpose = bill.bought
        told = f"{purpose} costs {usd(needed)} USD with its reserve, "
        left = f"{_left(allowance.left)} USD are left of spec.budget.maxTotalUSD"
        return Refusal(Reason.BUDGET_TOO_SMALL, told + left)
    if bill.exceeds(free):
        needed, purpose = bill.bought
        told = f"{purpose} costs {usd(needed)} USD with its reserve, "
        left = f"the namespace's GPUBudget leaves {_left(free)} USD"
        return Refusal(Reason.NAMESPACE_BUDGET_EXHAUSTED, told + left, clears=True)
    limits = [limit for limit in (allowance.left, free) if limit is not None]
    return min(limits, default=None)


class Purse(NamedTuple):
    """What `afford` gives for every place whose bill is surely below the limit."""

    allowance: Allowance
    free: Decimal | None
    total: Decimal | None
    limit: float
    """USD; infinite where nothing limits, below all bills where `afford` has more to say."""

    def surely_pays(self, bill: Bill) -> bool:
        """False: perhaps, `afford` says."""
        hourly = self.allowance.max_hourly
        return (hourly is None or bill.price <= hourly) and bill.is_surely_below(self.limit)


def purse_of(allowance: Allowance, free: Decimal | None) -> Purse:
    """Worked out once for all places that one job looks at."""
    limits = [limit for limit in (allowance.left, free) if limit is not None]
    total = min(limits, default=None)
    is_open = free is not None and allowance.left is None
    limit = -inf if is_open else inf if total is None else float(total)
    return Purse(allowance, free, total, limit)


def _left(limit: Decimal | None) -> str:
    return usd(max(Decimal(0), limit or Decimal(0)))


def ceiling_of(
    total: Decimal | None, allowance: Allowance, offer: Offer, quote: Quote, terms: Terms
) -> Ceiling:
    """The limits of a lease that may use `total` dollars.

    The hourly ceiling leaves head-room above the quoted rate, but never so much that the money
    would end before the expected run does.
    """
    highest = quote.price * (FIRM_HEADROOM if offer.is_firm else AUCTION_HEADROOM)
    if allowance.max_hourly is not None:
        highest = min(highest, allowance.max_hourly)
    if total is None or quote.price <= 0:
        lasts = None if total is None else LONGEST
        return Ceiling(max(quote.price, highest), total, lasts)
    usable = total * SAFETY_SHARE - quote.line("egress")
    run_h = _run_h(quote, terms) + hours(CLOSING_TIME)
    highest = max(quote.price, min(highest, usable / (run_h * RATE_TOLERANCE)))
    highest = max(quote.price, highest.quantize(MICRO, ROUND_DOWN))
    lasts_h = usable / (highest * RATE_TOLERANCE) - hours(CLOSING_TIME)
    return Ceiling(highest, total, span(max(Decimal(0), min(lasts_h, hours(LONGEST)))))


def least_money(offer: Offer, quote: Quote, terms: Terms) -> tuple[Decimal, str]:
    """The least money a lease makes sense with, its reserve included, and what it would buy."""
    run_h = max(_run_h(quote, terms), hours(offer.min_billable)) + hours(CLOSING_TIME)
    needed = (quote.price * RATE_TOLERANCE * run_h + quote.line("egress")) / SAFETY_SHARE
    return needed, "the remaining work" if terms.is_known else "one useful hour"


def allowance_of(caps: tuple[Decimal | None, Decimal | None], spent: Decimal) -> Allowance:
    """`caps` are the job's maxHourlyUSD and maxTotalUSD."""
    hourly, total = caps
    return Allowance(hourly, None if total is None else total - spent)


def _run_h(quote: Quote, terms: Terms) -> Decimal:
    """Expected hours of the lease; where the work is unknown, the least that is useful."""
    if not terms.is_known:
        return quote.start_h + hours(USEFUL_RUN)
    return quote.start_h + terms.work_h + quote.rework_h


def _rate(lease: Lease) -> Decimal:
    price = lease.price_usd_per_hour
    return lease.offer.price_usd_per_hour if price is None else price
