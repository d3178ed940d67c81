"""The invariants I1 to I7 and I9 of the lease protocol, read from the market's ledger and from
the API server's own objects, at the moment each thing happens; never from the operator's view.

`history` attaches one `Oracles` to every simulation.
"""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from overspill.kube.resources import LEASE_FINALIZER, Kind, item
from overspill.ports import IdempotencyClass
from overspill.testing.market import Held
from overspill.testing.simulation import NAMESPACE, Simulation

MANY_ATTEMPTS = 30
"""No history gives one job reason for more attempts than this."""
ROUNDING_USD = Decimal("0.00001")
WANTED = ("Planned", "Opening", "Active", "Uncertain")
NEXT = {
    "Planned": {"Planned", "Opening", "Active", "Closing"},
    "Opening": {"Opening", "Active", "Closing", "Uncertain"},
    "Active": {"Active", "Closing"},
    "Uncertain": {"Uncertain", "Active", "Closing"},
    "Closing": {"Closing", "Closed"},
    "Closed": {"Closed"},
}


class Oracles:
    """Collects violations. `never` hold always; `bounded` hold while the network keeps within
    what the market's class assumes, and are left out for histories that go beyond it."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.never: list[str] = []
        self.bounded: list[str] = []
        self.shown: list[str] = []
        self.strict = True
        """False once a person has taken a record or its finalizer away by force."""
        self._committed: set[str] = set()
        self._released: set[str] = set()
        self._ended: set[str] = set()
        """What we ended at the market, by its ids."""
        self._seq: dict[str, int] = defaultdict(int)
        self._received: dict[str, int] = defaultdict(int)
        self._states: dict[str, str] = {}
        self._spent: dict[str, float] = {}
        self._settled: set[str] = set()
        """Jobs of which a lease was closed since their cost was last written."""
        self._deleted = False
        self._must_live: list[str] = []
        hears = sim.api.on_write
        sim.api.on_write = lambda change, obj: (self._wrote(change, obj), hears(change, obj))[1]
        sim.market.on_create, sim.market.on_close = self._create, self._close

    def records_are_lost(self) -> None:
        """The CRDs are gone: from here on the breaker must hold, a person decides."""
        self.strict = False
        self._must_live = [h.external_id for h in self.sim.market.live()]

    def at_rest(self) -> list[str]:
        """What must hold when all is quiet: nothing billed that no open record names."""
        found = []
        if not self.strict:
            return found
        live = [h.key for h in self.sim.market.live()]
        for key in sorted(set(live)):
            record = self._record(key)
            state = (record or {}).get("status", {}).get("state", "Planned")
            if record is None or state not in WANTED:
                found.append(
                    f"leak: {key} is billed and its record is {state if record else 'gone'}"
                )
            if live.count(key) > 1:
                found.append(f"double: {live.count(key)} things are billed under {key}")
        return found

    def _record(self, key: str) -> dict[str, Any] | None:
        return self.sim.api.stored(item(Kind.LEASE, NAMESPACE, key))

    def _wrote(self, change: str, obj: Mapping[str, Any]) -> None:
        if obj.get("kind") == Kind.LEASE.value:
            self._lease_wrote(change, obj)
        elif obj.get("kind") == Kind.JOB.value:
            self._job_wrote(obj)

    def _lease_wrote(self, change: str, obj: Mapping[str, Any]) -> None:
        key, status = obj["metadata"]["name"], obj.get("status") or {}
        self._committed.add(key)
        seq = int((status.get("permit") or {}).get("seq") or 0)
        self._seq[key] = max(self._seq[key], seq)
        state, before = status.get("state", "Planned"), self._states.get(obj["metadata"]["uid"])
        self._states[obj["metadata"]["uid"]] = state
        if before is not None and state not in NEXT[before]:
            self.never.append(f"I5: {key} went from {before} to {state}")
        if state == "Closed" and before != "Closed":
            self._settled.add(obj["spec"]["jobRef"]["uid"])
            self._settled_for(key, Decimal(status.get("billedUSD") or 0))
        if state == "Closing" and before != "Closing":
            self._still_wanted(obj)
        held = LEASE_FINALIZER in (obj["metadata"].get("finalizers") or [])
        if (change == "DELETED" or not held) and self.strict:
            if state != "Closed":
                self.never.append(f"I5: the finalizer of {key} went in state {state}")
            self._released.add(key)
            if any(h.key == key for h in self.sim.market.live()):
                self.bounded.append(f"I3: {key} is released and still billed")
        self._deleted = self._deleted or change == "DELETED"
        if change == "ADDED":
            self._one_attempt(obj)
            self._used_again(key)

    def _used_again(self, key: str) -> None:
        """A key comes back only if nothing can ever be sold for its first record: no permit."""
        if key in self._released and self._seq[key]:
            self.never.append(f"I1: {key} is used again, and was permitted before")
        self._released.discard(key)

    def _one_attempt(self, obj: Mapping[str, Any]) -> None:
        uid = obj["spec"]["jobRef"]["uid"]
        if obj["spec"]["attempt"] > MANY_ATTEMPTS:
            self.never.append(f"I7: {obj['metadata']['name']} churns: attempt {MANY_ATTEMPTS + 1}")
        open_ones = [
            key
            for key in self._committed
            if (found := self._record(key)) is not None
            and found["spec"]["jobRef"]["uid"] == uid
            and (found.get("status") or {}).get("state", "Planned") in WANTED
        ]
        if len(open_ones) > 1:
            self.never.append(f"R9: {sorted(open_ones)} are open for one job")

    def _job_wrote(self, obj: Mapping[str, Any]) -> None:
        status, uid = obj.get("status") or {}, obj["metadata"]["uid"]
        ends = [
            c["type"]
            for c in status.get("conditions") or []
            if c["type"] in ("Complete", "Failed") and c["status"] == "True"
        ]
        if len(ends) > 1:
            self.never.append(f"I7: {obj['metadata']['name']} ended twice: {ends}")
        generation = obj["metadata"]["generation"]
        if status.get("observedGeneration", 0) > generation:
            self.shown.append(f"I9: {obj['metadata']['name']} observed a generation to come")
        self._cost_wrote(uid, float((status.get("cost") or {}).get("spentUSD") or 0))

    def _cost_wrote(self, uid: str, spent: float) -> None:
        """What is shown falls only when a lease is closed, from what was counted until there was
        proof to what it was billed for."""
        before, self._spent[uid] = self._spent.get(uid, 0.0), spent
        if spent == before:
            return
        least = self._billed(uid) if uid in self._settled else before
        self._settled.discard(uid)
        if spent < min(before, least) - 0.01 and self._is_comparable():
            self.shown.append(f"I9: cost fell from {before} to {spent}, {least} was billed")

    def _settled_for(self, key: str, recorded: Decimal) -> None:
        """What was ended by us was known, so no less is recorded than the market took for it.

        Two things under one key have one record; a clock that is wrong counts wrongly.
        """
        sold = [h for h in self.sim.market.sold if h.key == key]
        if len(sold) != 1 or sold[0].external_id not in self._ended or self.sim.wrongs.skews:
            return
        took = sold[0].cost_usd(self.sim.clock.now())
        if recorded < took - ROUNDING_USD:
            self.bounded.append(f"I9: {key} is recorded with {recorded} USD, it took {took:.6f}")

    def _billed(self, uid: str) -> float:
        """By the market's ledger, all attempts of a job together."""
        market, hours = self.sim.market, 0.0
        for held in market.sold:
            record = self._record(held.key)
            if record is not None and record["spec"]["jobRef"]["uid"] == uid:
                end = held.ended_at or self.sim.clock.now()
                hours += (end - held.created_at).total_seconds() / 3600
        return float(market.price) * hours

    def _any_record(self) -> bool:
        return any(self._record(key) is not None for key in self._committed)

    def _still_wanted(self, obj: Mapping[str, Any]) -> None:
        """JobGone and Lost are words about the truth: job or thing must really be gone."""
        closing = (obj.get("status") or {}).get("closing") or {}
        job = self.sim.api.stored(item(Kind.JOB, NAMESPACE, obj["spec"]["jobRef"]["name"]))
        same = job is not None and job["metadata"]["uid"] == obj["spec"]["jobRef"]["uid"]
        if closing.get("reason") == "JobGone" and same:
            self.never.append(f"I6: {obj['metadata']['name']} closes as JobGone, its job exists")
        id_ = ((obj.get("status") or {}).get("handle") or {}).get("externalID")
        if closing.get("reason") == "Lost" and id_ in {
            h.external_id for h in self.sim.market.live()
        }:
            self.never.append(f"I6: {obj['metadata']['name']} closes as Lost, and it runs")

    def _is_comparable(self) -> bool:
        """Running cost is derived from each leader's own clock and from the ledger's entries."""
        alone = len(self.sim.leaders) == 1
        return alone and not self.sim.wrongs.skews and not self._deleted

    def _create(self, key: str) -> None:
        self._received[key] += 1
        if key not in self._committed:
            self.never.append(f"I1: {key} was sent without a committed record")
        if self._received[key] > self._seq[key]:
            self.never.append(f"I4: {self._received[key]} creates of {key}, seq {self._seq[key]}")
        if key in self._released:
            self.bounded.append(f"I3: {key} was created after its release")
        recognised = self.sim.market.klass is IdempotencyClass.A
        if not recognised and any(h.key == key for h in self.sim.market.live()):
            self.bounded.append(f"I2: a second thing is sold under {key}")

    def _close(self, held: Held) -> None:
        self._ended.add(held.external_id)
        if held.external_id in self._must_live and not self._any_record():
            self.never.append(f"R7: {held.key} was ended though all records are gone")
        record = self._record(held.key)
        if record is None or not self.strict:
            return
        status = record.get("status") or {}
        recorded = (status.get("handle") or {}).get("externalID")
        if status.get("state") == "Active" and recorded == held.external_id:
            self.never.append(f"I6: {held.key} was ended while Active and wanted")
