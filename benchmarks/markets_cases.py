"""Every failure that a market can be made to show, and what must come of it. For `markets_faults`.

A rule without a key is meant for the case's own leases; the runner adds their keys. Failures that
every market shares are written once; a market's own ones are found in its `FAULTS`, so that a
market that joins brings its failures along.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from overspill.sandbox import markets

Json = dict[str, Any]
OTHER_GPU = {"model": "k80", "ram": "12Gi", "interface": "pcie"}
HTML = "<html><body>502 Bad Gateway</body></html>"


class Outcome(StrEnum):
    """What must be seen of the job's leases; the job is Complete in every case."""

    SAME = "one lease runs"
    MOVES = "lost, another runs"
    REPLACED = "given up, another runs"
    EITHER = "completes"


@dataclass(frozen=True)
class Case:
    """One failure on one market."""

    market: str
    failure: str
    outcome: Outcome
    rules: tuple[Json, ...] = ()
    seconds: int = 3
    """How long the job's command takes."""
    market_wide: bool = False
    """The fault strikes where no lease is named: its rules bear no key."""
    without_money: bool = False

    @property
    def spare_usd(self) -> Decimal:
        """How much more than the ledger the books may say."""
        return UNTOLD.get((self.market, self.failure), NEAR)


NEAR = Decimal("0.02")
"""USD between books and ledger of a whole case: a market may bill from when its container runs."""
UNTOLD = {("dispersed", "nobody takes the job"): Decimal("0.40")}
"""Where a market is said to bill from the creation on, and tells nothing of it: what the sandbox
gives for nothing, our books count by the hour that has begun."""

NOT_SPOKEN = (
    ("an error inside an HTTP 200 (GraphQL)", "runpod", "the adapter speaks REST v2 only"),
    ("no money on a create", "dispersed", "the sandbox knows no refusal for it: undocumented"),
    ("a clock that is wrong", "others than dispersed", "no other market signs with a time"),
    ("delete refused while not active", "all here", "no market of ours is known to (Fluence is)"),
    ("a gateway that lies, breaks off", "akash", "met by readers of logs (tests/providers)"),
)
"""Failures that are left out, and why."""


def cases_of(market: str) -> list[Case]:
    """All cases of a market."""
    return [*_shared(market), *_own(market)]


def _on_create(action: str, **values: Any) -> tuple[Json, ...]:
    """The first request that names the lease and may cost; markets differ in its verb."""
    return tuple(
        {"action": action, "method": method, "count": 1, **values} for method in ("POST", "PUT")
    )


def _shared(market: str) -> Iterator[Case]:
    same, moves, replaced = Outcome.SAME, Outcome.MOVES, Outcome.REPLACED
    lost = _on_create("drop_response_after_commit")
    yield Case(market, "the answer of a create is lost", same, lost)
    broken = _on_create("status_after_commit", status=502, body=HTML)
    yield Case(market, "a create is carried out, 502 is answered", same, broken)
    late = _on_create("execute_late", seconds=1.5)
    yield Case(market, "a create is carried out after we gave it up", same, late)
    slow = _on_create("status", status=429, headers={"Retry-After": "1"})
    yield Case(market, "429 with Retry-After on a create", same, slow)
    plain = _on_create("status", status=429, body="API requests too frequent")
    yield Case(market, "429 in plain text, no Retry-After", same, plain)
    page = ({"action": "html", "method": "GET", "count": 2},)
    yield Case(market, "an HTML page instead of JSON", same, page, seconds=6)
    half = ({"action": "truncate", "method": "GET", "bytes": 9, "count": 2},)
    yield Case(market, "half an answer", same, half, seconds=6)
    lag = ({"action": "list_lag", "seconds": 1, "count": 1}, *lost)
    yield Case(market, "lost answer, and missing from the list", same, lag)
    sticks = ({"action": "close_sticks", "count": 1},)
    yield Case(market, "close says 200, nothing is closed", same, sticks)
    ends = ({"action": "lease_closes", "seconds": 6, "count": 1},)
    yield Case(market, "the host ends the lease", moves, ends, seconds=12)
    other = ({"action": "wrong_gpu", "gpu": OTHER_GPU, "count": 1},)
    yield Case(market, "another GPU than offered", replaced, other, seconds=12)
    hidden = ({"action": "empty_endpoints", "count": 1},)
    yield Case(market, "running, endpoints never told", same, hidden)
    if market != "dispersed":
        yield Case(market, "no money on a create", Outcome.EITHER, without_money=True)
    if market in {"akash", "vast", "runpod"}:
        null = ({"action": "status_null", "for_s": 25},)
        yield Case(market, "status unknown while it runs, then back", same, null, seconds=8)


@dataclass(frozen=True)
class Own:
    """A failure of one market: what must come of it, the action's values, and words of ours."""

    outcome: Outcome
    words: str
    values: Json


def _own_of(outcome: Outcome, words: str, **values: Any) -> Own:
    return Own(outcome, words, {"count": 1, **values})


_SAME, _MOVES, _REPLACED = Outcome.SAME, Outcome.MOVES, Outcome.REPLACED
_OWN: dict[str, Own] = {
    "no_bids": _own_of(_REPLACED, "nobody bids"),
    "late_bid": _own_of(_SAME, "the one bid comes late", seconds=3),
    "bid_closes": _own_of(_SAME, "the bid closes between list and lease"),
    "reclaiming": _own_of(_MOVES, "the host takes the lease back", seconds=4, window_s=3),
    "manifest_refused": _own_of(_REPLACED, "the manifest is refused, the escrow bills"),
    "offer_gone": _own_of(_REPLACED, "the offer is gone under a fresh listing"),
    "refused_with_contract": _own_of(_REPLACED, "an error body and an instance all the same"),
    "price_moves": _own_of(_REPLACED, "dearer than the offer", factor=3),
    "no_capacity": _own_of(_REPLACED, "no capacity, in prose only"),
    "pool_forbidden": _own_of(_REPLACED, "403 on a create"),
    "cost_unknown": _own_of(_SAME, "the cost reads 0 at first", count=2),
    "incomplete_booking": _own_of(_REPLACED, "an incomplete booking"),
    "unpaid": _own_of(_SAME, "unpaid at first", count=2),
    "price_rises": _own_of(_REPLACED, "the quote is over the list", factor=3),
    "bigger_node": _own_of(_REPLACED, "a bigger machine than asked", gpus=6),
    "never_assigned": _own_of(_REPLACED, "nobody takes the job"),
    "creation_fails": _own_of(_REPLACED, "the machine cannot be made"),
    "cents_move": _own_of(_REPLACED, "dearer than the offer", factor=3),
    "slow_delete": _own_of(_SAME, "deleting takes a while", seconds=6),
    "rent_in_progress": _own_of(_SAME, "rented, 409 idempotency_in_progress"),
    "outcome_unknown": _own_of(_SAME, "rented, 409 idempotency_outcome_unknown"),
    "no_features": _own_of(_REPLACED, "keys are not honoured for a while"),
    "never_begins": _own_of(_REPLACED, "the pod cannot be made on its host"),
    "hours_ignored": _own_of(_SAME, "termination_hours has no effect"),
    "dearer_pod": _own_of(_REPLACED, "dearer than the offer", factor=3),
    "reallocated": _own_of(_SAME, "moved to another machine in silence", seconds=5),
}
_AKASH = ("no_bids", "late_bid", "bid_closes", "reclaiming", "manifest_refused")
"""Actions that stand among the shared ones and are Akash's alone."""

LOG_READERS = frozenset({"gateway_elsewhere", "log_breaks", "log_floods"})
"""Actions that strike only who reads a log, which the operator never does."""

_KEYLESS = {"price_rises", "no_features"}
"""Asked for where no lease is named."""


def _own(market: str) -> Iterator[Case]:
    module = importlib.import_module(f"{markets.__name__}.{market}.market")
    words: dict[str, str] = module.FAULTS
    actions: Sequence[str] = _AKASH if market == "akash" else tuple(words)
    for action in actions:
        said = words.get(action, action).removeprefix(f"{market}: ")
        own = _OWN.get(action, _own_of(Outcome.EITHER, said))
        seconds = 3 if own.outcome is _SAME and action != "reallocated" else 12
        rule = {"action": action, **own.values}
        yield Case(market, own.words, own.outcome, (rule,), seconds, market_wide=action in _KEYLESS)
