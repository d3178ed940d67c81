"""The verdict over cases: what the market's ledger, the API server and the audit say together.

Never the operator's own view: the ledger is the sandbox's, the objects are read around the
proxies, and the audit saw every request in its order.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from overspill.sandbox import ledger
from overspill.sandbox.ledger import Entry
from overspill.testing.faultproxy.audit import Audit

ENDED = ("Complete", "Failed")
POLL_S = 3.0
"""What the books may be ahead by: a poll, and the answers that were on their way."""
EXACT_USD = Decimal("0.0001")
ROUNDING_USD = Decimal("0.00001")
"""All that may be missing: what is not known is counted for as long as it may have run."""
FALL_USD = 0.01
"""A lease is charged until its end is proven, and then by the market's own bill where there is
one. At home the end is known by when it was, so what was charged beyond it is given back."""

Object = Mapping[str, Any]


@dataclass
class Evidence:
    """Everything a verdict rests on, at one moment at rest."""

    entries: Sequence[Entry]
    leases: Sequence[Object]
    jobs: Sequence[Object]
    children: Sequence[Object]
    audit: Audit
    spent: Mapping[str, list[float]] = field(default_factory=dict)
    """Every `spentUSD` seen of a job, by namespace/name, in order."""


def is_settled(lease: Object) -> bool:
    """Closed for certain: the record is the ledger and holds nothing any more."""
    status = lease.get("status") or {}
    return status.get("state") == "Closed" and not lease["metadata"].get("finalizers")


def is_over(job: Object) -> bool:
    """Exactly one terminal condition is True."""
    return len(_ends(job)) == 1


def verdict(seen: Evidence, namespace: str, *, beyond: bool) -> list[str]:
    """Every violation in one case. `beyond`: its rules broke what class B may assume, so doubles
    may have lived for a while; none may be left."""
    leases, keys = _of(seen.leases, namespace), keys_of(seen, namespace)
    found = [*_unfinished(seen, namespace, leases), *_leaked(seen, keys)]
    if not beyond:
        found += doubled(seen, keys)
    single = {key for key, times in counts(seen).items() if times["created"] == 1}
    counted = [x for x in leases if not beyond or x["metadata"]["name"] in single]
    found += [words for lease in counted for words in _miscounted(seen, lease)]
    found += _children(seen, namespace, keys)
    found += [words for job in _of(seen.jobs, namespace) for words in _untrue(seen, job)]
    return found + [v for v in seen.audit.violations if any(key in v for key in keys)]


def keys_of(seen: Evidence, namespace: str) -> set[str]:
    """The names of a case's leases."""
    return {x["metadata"]["name"] for x in _of(seen.leases, namespace)}


def strangers(seen: Evidence) -> list[str]:
    """I1 over everything: keys at a market that no committed record ever had."""
    keys = {entry.key for entry in seen.entries if entry.event == ledger.Event.CREATE_RECEIVED}
    return [
        f"I1: {key} was created without a record" for key in sorted(keys - set(seen.audit.records))
    ]


def _unfinished(seen: Evidence, namespace: str, leases: Sequence[Object]) -> list[str]:
    found = []
    for job in _of(seen.jobs, namespace):
        ends, name = _ends(job), job["metadata"]["name"]
        if ends != ["Complete"]:
            told = ", ".join(ends) or (job.get("status") or {}).get("phase", "nothing")
            found.append(f"I7: job {name} ended as: {told}")
    for lease in leases:
        if not is_settled(lease):
            state = (lease.get("status") or {}).get("state", "Planned")
            found.append(f"I5: {lease['metadata']['name']} is left {state}")
    return found


def _leaked(seen: Evidence, keys: Iterable[str]) -> list[str]:
    held = ledger.open_ids(seen.entries)
    mine = set(keys)
    return [f"leak: {id_} is held under {key}" for id_, key in held.items() if key in mine]


def doubled(seen: Evidence, keys: Iterable[str]) -> list[str]:
    """I2: keys under which the market held two things at one moment."""
    twice = {**ledger.double_creates(seen.entries), **ledger.doubles(seen.entries)}
    return [f"I2: {twice[key]} under {key}" for key in keys if key in twice]


def longest_double_s(seen: Evidence, keys: Iterable[str]) -> float:
    """How long, at most, a market held more than one thing under one of these keys."""
    mine, longest = set(keys), 0.0
    held: dict[str, set[str]] = defaultdict(set)
    since: dict[str, float] = {}
    for entry in seen.entries:
        if entry.key not in mine or entry.event not in (ledger.Event.CREATED, ledger.Event.CLOSED):
            continue
        if entry.event == ledger.Event.CREATED:
            held[entry.key].add(entry.id)
        else:
            held[entry.key].discard(entry.id)
        if len(held[entry.key]) > 1:
            since.setdefault(entry.key, entry.wall)
        elif entry.key in since:
            longest = max(longest, entry.wall - since.pop(entry.key))
    return longest


def _miscounted(seen: Evidence, lease: Object) -> list[str]:
    """I4 and the truth of cost, for one lease at a market: one record counts one thing there."""
    key, status = lease["metadata"]["name"], lease.get("status") or {}
    received = ledger.creates_received(seen.entries).get(key, 0) - seen.audit.copies[key]
    seq = int((status.get("permit") or {}).get("seq") or 0)
    found = []
    if received > seq:
        found.append(f"I4: {received} creates of {key}, permit {seq}")
    sold = ledger.billed(seen.entries).get(key)
    if sold is None:
        return found
    recorded = Decimal(status.get("billedUSD") or "0")
    price = Decimal(status.get("pricePerHourUSD") or "0") / 3600
    slack = price * Decimal(POLL_S + _proof_s(status))
    if recorded < sold - ROUNDING_USD or recorded > sold + slack + EXACT_USD:
        found.append(
            f"I9: {key} of {lease['spec']['provider']} is recorded with {recorded} USD, the market "
            f"took {sold:.6f}; {slack:.6f} could be explained"
        )
    return found


def _proof_s(status: Object) -> float:
    """How long the proof of the end took: where a market tells no bill, it is charged."""
    asked, closed = (status.get("closing") or {}).get("requestedTime"), status.get("closedTime")
    if not asked or not closed:
        return 0.0
    return (_instant(closed) - _instant(asked)).total_seconds()


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _children(seen: Evidence, namespace: str, keys: Iterable[str]) -> list[str]:
    """Home is class A: a child for each lease at most, none without a record."""
    known = set(keys)
    names = [child["metadata"]["name"] for child in _of(seen.children, namespace)]
    return [f"leak: the child Job {name} has no record" for name in names if name not in known]


def _untrue(seen: Evidence, job: Object) -> list[str]:
    """I9: what the status says is not ahead of the spec, and cost does not fall, except from what
    was counted until a lease was proven gone to what the market took."""
    meta, status = job["metadata"], job.get("status") or {}
    found = []
    if status.get("observedGeneration", 0) > meta["generation"]:
        found.append(f"I9: {meta['name']} observed a generation to come")
    is_home = job["spec"]["placement"]["burst"] == "Never"
    spent = [] if is_home else seen.spent.get(f"{meta['namespace']}/{meta['name']}", [])
    near = _of(seen.leases, meta["namespace"])
    mine = [x for x in near if x["spec"]["jobRef"]["name"] == meta["name"]]
    billed = ledger.billed(seen.entries)
    taken = float(sum(billed.get(x["metadata"]["name"], Decimal(0)) for x in mine))
    falls = [(a, b) for a, b in itertools.pairwise(spent) if b < min(a, taken) - FALL_USD]
    return found + [f"I9: cost of {meta['name']} fell from {a} to {b}" for a, b in falls[:1]]


def counts(seen: Evidence) -> dict[str, dict[str, int]]:
    """By key: how often the market made something, and ended it."""
    wanted = {ledger.Event.CREATED: "created", ledger.Event.CLOSED: "closed"}
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"created": 0, "closed": 0})
    for entry in seen.entries:
        for event, column in wanted.items():
            if entry.event == event:
                found[entry.key][column] += 1
    return dict(found)


def _ends(job: Object) -> list[str]:
    conditions = (job.get("status") or {}).get("conditions") or []
    return [c["type"] for c in conditions if c["type"] in ENDED and c["status"] == "True"]


def _of(objects: Sequence[Object], namespace: str) -> list[Object]:
    return [x for x in objects if x["metadata"]["namespace"] == namespace]
