"""The sandbox's verdict over its ledger, as the control surface and the tests read it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from overspill.sandbox import ledger
from overspill.sandbox.ledger import Entry, Event


def summarise(entries: Iterable[Entry], accrued: Mapping[str, Decimal]) -> dict[str, Any]:
    """Counts per key, what is open, what it cost; `accrued` is what open leases cost so far."""
    found = list(entries)
    held = ledger.open_ids(found)
    charged = ledger.billed(found)
    by_key: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"creates_received": 0, "created": 0, "leases": 0, "open": [], "usd": "0"}
    )
    columns = {
        Event.CREATE_RECEIVED: "creates_received",
        Event.CREATED: "created",
        Event.LEASED: "leases",
    }
    for entry in found:
        for event, column in columns.items():
            if entry.event == event:
                by_key[entry.key][column] += 1
    for id_, key in held.items():
        by_key[key]["open"].append(id_)
    for key in {*charged, *accrued}:
        total = charged.get(key, Decimal(0)) + accrued.get(key, Decimal(0))
        by_key[key]["usd"] = format(total, "f")
    billed = sum(charged.values(), Decimal(0))
    return {
        "open_deployments": len(held),
        "open_leases": _open_leases(found),
        "held": held,
        "by_key": dict(by_key),
        "billed_usd": format(billed, "f"),
        "accrued_usd": format(sum(accrued.values(), Decimal(0)), "f"),
        "doubles": ledger.doubles(found),
        "double_creates": ledger.double_creates(found),
        "by_market": _by_market(found),
    }


def _by_market(entries: list[Entry]) -> dict[str, dict[str, Any]]:
    names = {entry.market for entry in entries if entry.event == Event.CREATE_RECEIVED}
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(names):
        own = [entry for entry in entries if entry.market == name]
        billed = sum(ledger.billed(own).values(), Decimal(0))
        found[name] = {"open": len(ledger.open_ids(own)), "billed_usd": format(billed, "f")}
    return found


def _open_leases(entries: Iterable[Entry]) -> int:
    count = 0
    for entry in entries:
        count += {Event.LEASED: 1, Event.LEASE_CLOSED: -1}.get(Event(entry.event), 0)
    return count
