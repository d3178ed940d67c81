"""The judge finds each kind of wrong, and finds nothing in a case that went well."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from overspill.sandbox.ledger import Entry, Event
from overspill.testing.faultproxy.audit import Audit, Record
from overspill.testing.faultproxy.judge import (
    Evidence,
    doubled,
    longest_double_s,
    strangers,
    verdict,
)

SPACE, KEY = "case-1", "gl-0123abcd-0123456789abcdef01"
COLUMNS = {"market": "vast", "at": "", "wall": 0.0}


def entry(seq: int, event: Event, id_: str = "31", key: str = KEY, **rest: str) -> Entry:
    return Entry(seq, event.value, key=key, id=id_, **COLUMNS, **rest)


def lease(**status: Any) -> dict[str, Any]:
    closing = {"reason": "Finished", "requestedTime": "2026-01-01T00:00:00Z"}
    told = {
        "state": "Closed",
        "permit": {"seq": 1},
        "closing": closing,
        "closedTime": "2026-01-01T00:00:04Z",
        "pricePerHourUSD": "3.6",
        "billedUSD": "0.0100",
        **status,
    }
    meta = {"name": KEY, "namespace": SPACE}
    spec = {"provider": "vast", "jobRef": {"name": "burst"}}
    return {"kind": "GPULease", "metadata": meta, "spec": spec, "status": told}


def job(**status: Any) -> dict[str, Any]:
    ended = {"conditions": [{"type": "Complete", "status": "True"}], "observedGeneration": 1}
    meta = {"name": "burst", "namespace": SPACE, "generation": 1}
    spec = {"placement": {"burst": "Only"}}
    return {"kind": "GPUJob", "metadata": meta, "spec": spec, "status": {**ended, **status}}


def good() -> Evidence:
    """A lease that was made, billed and ended once."""
    return Evidence(
        entries=[
            entry(1, Event.CREATE_RECEIVED, ""),
            entry(2, Event.CREATED),
            entry(3, Event.LEASED),
            entry(4, Event.CHARGED, usd="0.0100"),
            entry(5, Event.LEASE_CLOSED),
            entry(6, Event.CLOSED),
        ],
        leases=[lease()],
        jobs=[job()],
        children=[],
        audit=Audit(records={KEY: Record(SPACE, seq=1, state="Closed")}),
    )


def add(*entries: Entry) -> Callable[[Evidence], None]:
    return lambda seen: seen.entries.extend(entries)  # type: ignore[attr-defined]


def shown(**status: Any) -> Callable[[Evidence], None]:
    return lambda seen: seen.leases[0]["status"].update(status)


def told(**status: Any) -> Callable[[Evidence], None]:
    return lambda seen: seen.jobs[0]["status"].update(status)


def finalizer(seen: Evidence) -> None:
    seen.leases[0]["metadata"]["finalizers"] = ["overspill.dev/lease"]


def child(seen: Evidence) -> None:
    seen.children.append({"metadata": {"name": "gl-x", "namespace": SPACE}})  # type: ignore[attr-defined]


def spent(seen: Evidence) -> None:
    add(entry(7, Event.CHARGED, usd="0.4900"))(seen)
    shown(billedUSD="0.5000")(seen)
    seen.spent = {f"{SPACE}/burst": [0.1, 0.5, 0.2]}


def ended_while_active(seen: Evidence) -> None:
    seen.audit.violations.append(f"I6: vast DELETE ends {KEY}, which is Active")


WRONGS: dict[str, tuple[str, Callable[[Evidence], None]]] = {
    "held at the end": ("leak", add(entry(7, Event.CREATED, "32"))),
    "a child without a record": ("leak", child),
    "two at one moment": (
        "I2",
        lambda seen: seen.entries.insert(2, entry(9, Event.CREATED, "32")),  # type: ignore[attr-defined]
    ),
    "sent more often than permitted": ("I4", add(entry(7, Event.CREATE_RECEIVED, ""))),
    "not closed": ("I5", shown(state="Closing")),
    "closed, and its finalizer is left": ("I5", finalizer),
    "ended while wanted": ("I6", ended_while_active),
    "still waiting": ("I7", told(conditions=[], phase="Waiting")),
    "failed": ("I7", told(conditions=[{"type": "Failed", "status": "True"}])),
    "ended twice": (
        "I7",
        told(conditions=[{"type": t, "status": "True"} for t in ("Complete", "Failed")]),
    ),
    "recorded with too little": ("I9", shown(billedUSD="0.0090")),
    "recorded with a hair too little": ("I9", shown(billedUSD="0.00998")),
    "recorded with nothing": ("I9", shown(billedUSD="0")),
    "recorded with too much": ("I9", shown(billedUSD="0.0200")),
    "a generation to come": ("I9", told(observedGeneration=2)),
    "cost that falls": ("I9", spent),
}


def test_a_case_that_went_well_is_clean():
    assert verdict(good(), SPACE, beyond=False) == []
    assert strangers(good()) == []


@pytest.mark.parametrize("what", WRONGS)
def test_each_wrong_is_found(what: str):
    word, spoil = WRONGS[what]
    seen = good()
    spoil(seen)
    assert {words.split(":")[0] for words in verdict(seen, SPACE, beyond=False)} >= {word}


def test_what_was_counted_until_the_proof_may_fall_to_what_the_market_took() -> None:
    seen = good()
    seen.spent = {f"{SPACE}/burst": [0.01, 0.05, 0.01]}
    assert verdict(seen, SPACE, beyond=False) == []


def test_a_proof_that_took_longer_explains_a_higher_charge():
    seen = good()
    shown(billedUSD="0.0200", closedTime="2026-01-01T00:00:10Z")(seen)
    assert verdict(seen, SPACE, beyond=False) == []


def test_beyond_the_quarantine_a_double_is_allowed_to_have_lived():
    seen = good()
    seen.entries[2:2] = [entry(9, Event.CREATED, "32"), entry(10, Event.CLOSED, "32")]  # type: ignore[index]
    assert verdict(seen, SPACE, beyond=True) == []
    assert len(doubled(seen, {KEY})) == 1


def test_beyond_the_quarantine_what_was_made_once_is_recorded_in_full():
    seen = good()
    shown(billedUSD="0.0090")(seen)
    assert [words.split(":")[0] for words in verdict(seen, SPACE, beyond=True)] == ["I9"]
    seen.entries[2:2] = [entry(9, Event.CREATED, "32"), entry(10, Event.CLOSED, "32")]  # type: ignore[index]
    assert verdict(seen, SPACE, beyond=True) == [], "one record counts one thing"


def test_how_long_a_double_lived():
    seen = good()
    lives = [(1, Event.CREATED, "31"), (4, Event.CREATED, "32"), (9, Event.CLOSED, "32")]
    seen.entries = [replace(entry(at, event, id_), wall=float(at)) for at, event, id_ in lives]
    assert longest_double_s(seen, {KEY}) == 5
    assert longest_double_s(seen, {"another"}) == 0


def test_copies_of_the_proxy_are_not_counted_as_sends():
    seen = good()
    add(entry(7, Event.CREATE_RECEIVED, ""))(seen)
    seen.audit.copies[KEY] = 1
    assert verdict(seen, SPACE, beyond=False) == []


def test_a_create_of_a_key_that_no_record_ever_had():
    seen = good()
    add(entry(7, Event.CREATE_RECEIVED, "", key="gl-0123abcd-ffffffffffffffffff"))(seen)
    assert strangers(seen)[0].startswith("I1")
