"""What really reached the other sides, in the order in which it did: the judge of order.

The proxies before the API server and before the markets share one `Audit`, so "the record was
committed before the create was sent" (I1) is seen at the moment of sending. The ledger of the
sandbox stays the judge of everything that a market did.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from overspill.testing.faultproxy.naming import Asked
from overspill.testing.faultproxy.upstream import Answer

LEASES = "gpuleases"


@dataclass
class Record:
    """A GPULease as the API server last confirmed a write of it."""

    namespace: str
    provider: str = ""
    seq: int = 0
    state: str = "Planned"
    external_id: str = ""


Hook = Callable[[Record], Awaitable[None]]
"""Awaited after a record was committed, before its writer hears of it."""


@dataclass
class Audit:
    """Records by key, and every violation of I1, I4 and I6 that was seen."""

    records: dict[str, Record] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    copies: Counter[str] = field(default_factory=Counter)
    """Requests that the proxy itself sent once more, by key (I4 does not blame the client)."""
    costing: Counter[str] = field(default_factory=Counter)
    """Requests with a key that a client had sent to a market, whatever became of them."""
    hooks: list[Hook] = field(default_factory=list)

    def namespace_of(self, key: str) -> str:
        """Whose lease it is; "" for an unknown key."""
        found = self.records.get(key)
        return found.namespace if found else ""

    def sends(self, asked: Asked) -> None:
        """Just before a request of a client goes to a market, or is struck on the way."""
        if asked.key:
            self._costs(asked)
        elif asked.method == "DELETE":
            self._ends(asked)

    def repeats(self, asked: Asked) -> None:
        """The proxy sends a request once more than its client did."""
        if asked.key:
            self.copies[asked.key] += 1

    async def confirmed(self, asked: Asked, answer: Answer) -> None:
        """The API server's answer to a request, lost later on or not."""
        record = self._committed(asked, answer)
        if record is not None:
            for hook in list(self.hooks):
                await hook(record)

    def _committed(self, asked: Asked, answer: Answer) -> Record | None:
        if not asked.resource.startswith(LEASES) or asked.reads or not answer.is_good:
            return None
        obj: dict[str, Any] = json.loads(answer.body)
        if obj.get("kind") != "GPULease":
            return None
        status = obj.get("status") or {}
        key = obj["metadata"]["name"]
        provider = (obj.get("spec") or {}).get("provider", "")
        record = self.records.setdefault(key, Record(obj["metadata"]["namespace"], provider))
        record.seq = max(record.seq, int((status.get("permit") or {}).get("seq") or 0))
        record.state = status.get("state") or "Planned"
        record.external_id = (status.get("handle") or {}).get("externalID") or ""
        return record

    def _costs(self, asked: Asked) -> None:
        key = asked.key
        self.costing[key] += 1
        record = self.records.get(key)
        if record is None:
            self.violations.append(f"I1: {asked.name} of {key} before its record was committed")
        elif self.costing[key] > record.seq:
            told = f"{self.costing[key]} sends, permit {record.seq}"
            self.violations.append(f"I4: {asked.name} of {key}: {told}")

    def _ends(self, asked: Asked) -> None:
        external_id = asked.path.rstrip("/").rsplit("/", 1)[-1]
        for key, record in self.records.items():
            if record.external_id == external_id and record.state == "Active":
                self.violations.append(f"I6: {asked.name} ends {key}, which is Active")
