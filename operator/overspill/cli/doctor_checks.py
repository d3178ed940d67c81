"""What `doctor` asks of one account, and what it makes of the answers.

Only reads: the catalogue, what is held, the balance. Every finding is a sentence; a failed one says
what to do. Called by `doctor`, and by its live run before anything is spent.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from overspill.core.errors import AuthRejected, InsufficientFunds, ProviderError, RateLimited
from overspill.core.lease import is_ours
from overspill.core.observation import HeldLease
from overspill.core.offer import Offer
from overspill.core.vocabulary import BillEnd
from overspill.ports import Clock, Provider, Treasury
from overspill.providers._heard import Exchange, listening

SKEW_WARNED = timedelta(seconds=5)
SKEW_WRONG = timedelta(seconds=60)
"""Signatures are refused at some markets from five minutes on; deadlines suffer long before."""
LOW_RUNWAY = timedelta(days=1)
SLOW_S = 5.0


class Verdict(StrEnum):
    """How bad a finding is; only FAIL makes the exit code 1."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor."""

    check: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Records:
    """What the cluster knows of the account's leases: open ones, and whose they are."""

    cluster_id: str = ""
    """"" when no lease was ever recorded."""
    keys: frozenset[str] = frozenset()
    hourly_usd: Decimal = Decimal(0)


@dataclass(slots=True)
class Examined:
    """Everything found about one account; what a question did not answer stays None."""

    findings: list[Finding] = field(default_factory=list)
    exchanges: Sequence[Exchange] = ()
    held: Sequence[HeldLease] | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing failed."""
        return all(f.verdict is not Verdict.FAIL for f in self.findings)

    def say(self, check: str, verdict: Verdict, sentence: str) -> None:
        """One more finding."""
        self.findings.append(Finding(check, verdict, sentence))


async def examine(provider: Provider, records: Records | None, clock: Clock) -> Examined:
    """Asks the account everything that costs nothing. Without records nothing is called a stray."""
    found = Examined()
    with listening() as exchanges:
        offers = await _asked(found, "offers", lambda: provider.offers(None))
        found.held = await _asked(found, "leases", provider.leases)
        balance = None
        if isinstance(provider, Treasury):
            balance = await _asked(found, "balance", provider.balance_usd)
    found.exchanges = tuple(exchanges)
    _reach(found)
    _clock(found, clock.now())
    if offers is not None:
        _offers(found, offers)
    if found.held is not None:
        found.say("credentials", Verdict.OK, "the market accepts them")
        _holdings(found, found.held, records)
    if balance is not None:
        _balance(found, balance, records.hourly_usd if records else Decimal(0))
    elif not isinstance(provider, Treasury):
        found.say("balance", Verdict.NOTE, "this market's API does not tell it: look there")
    _bill_end(found, provider)
    return found


def operator_view(provider: Mapping[str, Any]) -> Iterable[Finding]:
    """What the operator itself says of a GPUProvider, from its status."""
    meta, status = provider["metadata"], provider.get("status") or {}
    seen, current = status.get("observedGeneration"), meta.get("generation", 1)
    if seen is None:
        told = "the operator has never looked at this account: does it run, and lead?"
        yield Finding("operator", Verdict.FAIL, told)
        return
    if seen < current:
        told = "the operator has not seen the last change yet: look again in a minute"
        yield Finding("operator", Verdict.WARN, told)
    for condition in status.get("conditions") or []:
        yield from _condition(condition)
    if (provider.get("spec") or {}).get("suspended"):
        yield Finding("operator", Verdict.NOTE, "spec.suspended is true: nothing new is placed")


def _condition(condition: Mapping[str, Any]) -> Iterable[Finding]:
    is_true, reason = condition["status"] == "True", condition["reason"]
    words = f"{reason}: {condition.get('message') or 'no more is told'}"
    if condition["type"] == "Ready":
        verdict, told = (Verdict.OK, "it uses this account") if is_true else (Verdict.FAIL, words)
        yield Finding("operator", verdict, told)
    elif is_true:
        yield Finding("operator", Verdict.WARN, words)


async def _asked(found: Examined, check: str, ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await ask()
    except AuthRejected as error:
        told = f"{error}: put credentials that work into its Secret"
        found.say("credentials", Verdict.FAIL, told)
    except RateLimited as error:
        wait = error.retry_after.total_seconds()
        found.say(check, Verdict.WARN, f"{error}: it asks to wait {wait:.0f} s")
    except InsufficientFunds as error:
        found.say(check, Verdict.FAIL, f"{error}: top the account up")
    except ProviderError as error:
        found.say(check, Verdict.FAIL, str(error))
    return None


def _reach(found: Examined) -> None:
    answered = [e for e in found.exchanges if e.status]
    if not answered:
        told = "the endpoint does not answer: look at spec.endpoint, DNS, proxy and firewall"
        found.say("reach", Verdict.FAIL, told)
        return
    slowest = max(e.took_s for e in answered)
    verdict = Verdict.WARN if slowest > SLOW_S else Verdict.OK
    told = f"{len(answered)} of {len(found.exchanges)} requests answered, the slowest in "
    found.say("reach", verdict, f"{told}{slowest:.2f} s")


def _clock(found: Examined, now: datetime) -> None:
    """This machine's clock against the market's; the operator's own may differ from both."""
    times = [e.server_time for e in found.exchanges if e.server_time is not None]
    if not times:
        if any(e.status for e in found.exchanges):
            found.say("clock", Verdict.NOTE, "the market does not tell its time")
        return
    skew = abs(now - times[-1])
    told = f"this machine's clock and the market's are {skew.total_seconds():.0f} s apart"
    verdict = Verdict.OK
    if skew > SKEW_WRONG:
        verdict, told = Verdict.FAIL, f"{told}: set the clock (NTP) here and on the nodes"
    elif skew > SKEW_WARNED:
        verdict = Verdict.WARN
    found.say("clock", verdict, told)


def _offers(found: Examined, offers: Sequence[Offer]) -> None:
    free = [o for o in offers if not o.unavailable_reason and o.gpu_count > 0]
    if not free:
        told = f"none of {len(offers)} offers can be had now: look at regions and spec.config"
        found.say("offers", Verdict.WARN, told)
        return
    cheapest = min(free, key=lambda o: (o.price_per_gpu_hour, o.offer_id))
    told = (
        f"{len(free)} of {len(offers)} can be had now; the cheapest GPU is a "
        f"{cheapest.gpu_model} for {cheapest.price_per_gpu_hour:.3f} USD per hour"
    )
    found.say("offers", Verdict.OK, told)


def _holdings(found: Examined, held: Sequence[HeldLease], records: Records | None) -> None:
    live = [h for h in held if h.is_live]
    if records is None or not records.cluster_id:
        why = "you may not read all GPULeases" if records is None else "no lease was recorded yet"
        told = f"{len(live)} are held; {why}, so whose they are is not known"
        found.say("leases", Verdict.NOTE, told)
        return
    ours = [h for h in live if is_ours(h.handle.key, records.cluster_id)]
    strays = sorted({h.handle.key for h in ours} - records.keys)
    others = len(live) - len(ours)
    foreign = f"; {others} more are not this cluster's" if others else ""
    if strays:
        told = (
            f"{', '.join(strays[:5])} are held without a record: the sweep ends them within two "
            "periods; if they stay, end them in the market's console"
        )
        found.say("leases", Verdict.FAIL, told + foreign)
        return
    told = f"{len(ours)} of this cluster's are held, all of them recorded{foreign}"
    found.say("leases", Verdict.OK, told)


def _balance(found: Examined, balance: Decimal, hourly: Decimal) -> None:
    if balance <= 0:
        found.say("balance", Verdict.FAIL, f"{balance:.2f} USD are left: top the account up")
        return
    if hourly <= 0:
        found.say("balance", Verdict.OK, f"{balance:.2f} USD are left; nothing is burning them")
        return
    runway = timedelta(hours=float(balance / hourly))
    verdict = Verdict.OK if runway >= LOW_RUNWAY else Verdict.WARN
    told = (
        f"{balance:.2f} USD are left, {runway.total_seconds() / 3600:.1f} h at {hourly:.2f} USD/h"
    )
    found.say("balance", verdict, told)


_BILL_ENDS: Mapping[BillEnd, tuple[Verdict, str]] = {
    BillEnd.HOME: (Verdict.OK, "nothing is billed"),
    BillEnd.PREPAID: (Verdict.OK, "without us a bill is what was paid at the opening, no more"),
    BillEnd.DEADLINE: (Verdict.OK, "without us the market ends each lease at its hard deadline"),
    BillEnd.BALANCE: (
        Verdict.NOTE,
        "without us only an empty account ends a bill: keep no more in it than you would lose",
    ),
    BillEnd.NOTHING: (Verdict.WARN, "without us nothing is known to end a bill"),
}


def _bill_end(found: Examined, provider: Provider) -> None:
    verdict, told = _BILL_ENDS[provider.capabilities.ending.by]
    found.say("worst case", verdict, told)
