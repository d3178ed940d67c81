"""L5's oracles over one job at rest: is what its status says true of its leases and places?

Pure: documents of the API server and the market's ledger in, sentences out. `[]` means truthful.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]

WANTED = ("Planned", "Opening", "Active", "Uncertain")
OURS = ("", "overspill.dev/operator")
ENDED = ("Complete", "Failed")
PLACED = ("Running", "Placing", "Moving")


@dataclass(frozen=True)
class Sight:
    """Everything that concerns one job: `children` are batch/v1 Jobs, `held` is the ledger's."""

    job: Document
    leases: Sequence[Document]
    children: Sequence[Document]
    held: Mapping[str, str]
    """What the market holds, market id → key."""

    @property
    def uid(self) -> str:
        """The job's uid."""
        return str(self.job["metadata"]["uid"])

    @property
    def status(self) -> Document:
        """The job's status, {} before the first word."""
        found: Document = self.job.get("status") or {}
        return found

    @property
    def phase(self) -> str:
        """One word."""
        return str(self.status.get("phase", ""))

    @property
    def is_ours(self) -> bool:
        """Whether another controller was named."""
        return self.job["spec"].get("managedBy", "") in OURS

    @property
    def wanted(self) -> list[Document]:
        """Leases of this very job that are meant to run."""
        return [x for x in self.leases if state(x) in WANTED and _serves(x, self.uid)]

    def condition(self, kind: str) -> Document:
        """One condition, {} when it was never written."""
        found = (c for c in self.status.get("conditions") or [] if c["type"] == kind)
        return next(found, {})

    def is_true(self, kind: str) -> bool:
        """Whether a condition stands at True."""
        return bool(self.condition(kind).get("status") == "True")


def state(lease: Document) -> str:
    """A lease's state; without a status it is Planned."""
    return str((lease.get("status") or {}).get("state", "Planned"))


def is_at_rest(seen: Sight) -> bool:
    """Nothing is on its way: neither a lease, nor a word that is still to be written."""
    for lease in seen.leases:
        if state(lease) in ("Planned", "Opening", "Closing"):
            return False
        if state(lease) == "Closed" and lease["metadata"].get("finalizers"):
            return False
    if not seen.is_ours:
        return True
    observed = seen.status.get("observedGeneration")
    return observed == seen.job["metadata"]["generation"] and not _is_on_its_way(seen)


def _is_on_its_way(seen: Sight) -> bool:
    """Something is still to be told: a place that opens or was given up. (At home the word for a
    place that is about to run may wait for half a minute: `core/telling`.)"""
    if seen.phase in ENDED:
        return False
    if seen.wanted:
        return seen.phase != "Running" and state(seen.wanted[0]) != "Uncertain"
    decided = (seen.status.get("decision") or {}).get("action")
    return seen.phase in ("", *PLACED) or decided in ("Place", "Move")


def untruths(seen: Sight) -> list[str]:
    """What does not agree, each in a sentence."""
    found = [*_places(seen)]
    if seen.is_ours:
        found += [*_words(seen), *_phases(seen)]
    elif seen.status.get("phase") or seen.wanted:
        found.append("another controller's job was touched")
    return found


def normalised(seen: Sight) -> Document:
    """The state without its history: what two paths to one spec must share."""
    decision = seen.status.get("decision") or {}
    place = seen.status.get("placement") or {}
    conditions = seen.status.get("conditions") or []
    return {
        "phase": seen.phase,
        "conditions": {c["type"]: (c["status"], c["reason"]) for c in conditions},
        "decision": {k: decision.get(k) for k in ("action", "reason", "provider")},
        "placement": {k: place.get(k) for k in ("provider", "gpus", "capacityType")},
        "wanted": [state(x) for x in seen.wanted],
        "promised": (seen.status.get("sla") or {}).get("promised"),
    }


def _places(seen: Sight) -> Iterator[str]:
    if len(seen.wanted) > 1:
        yield f"R9: {len(seen.wanted)} attempts are open at rest"
    keys = {x["metadata"]["name"] for x in seen.leases if state(x) in ("Active", "Uncertain")}
    for key in sorted(set(seen.held.values()) - keys):
        if any(x["metadata"]["name"] == key for x in seen.leases):
            yield f"leak: the market holds {key}, whose record is not Active"
    for child in seen.children:
        name = child["metadata"]["name"]
        if name not in keys and not _is_over(child):
            yield f"leak at home: Job {name} has no Active lease"
    for key, count in Counter(seen.held.values()).items():
        if count > 1:
            yield f"double: {count} things are held under {key}"
    for lease in seen.leases:
        if not _serves(lease, seen.uid) and state(lease) in WANTED:
            yield f"{lease['metadata']['name']} of a job that is gone is {state(lease)}"


def _words(seen: Sight) -> Iterator[str]:
    kinds = Counter(c["type"] for c in seen.status.get("conditions") or [])
    yield from (f"condition {kind} is written twice" for kind, n in kinds.items() if n > 1)
    generation = seen.job["metadata"]["generation"]
    for condition in seen.status.get("conditions") or []:
        if not condition.get("reason"):
            yield f"{condition['type']} has no reason"
        if condition.get("observedGeneration", 0) > generation:
            yield f"{condition['type']} observed a generation to come"
    if all(seen.is_true(kind) for kind in ENDED):
        yield "the job is both Complete and Failed"
    spent = float((seen.status.get("cost") or {}).get("spentUSD") or 0)
    cap = (seen.job["spec"].get("budget") or {}).get("maxTotalUSD")
    # What was leased before the limit was lowered keeps its own.
    kept = sum(float(x["spec"].get("maxTotalUSD") or 0) for x in seen.leases)
    if spent < 0 or (cap is not None and spent > max(float(cap), kept) + 0.01):
        yield f"spent {spent} USD of {cap}"


def _phases(seen: Sight) -> Iterator[str]:
    phase, wanted = seen.phase, seen.wanted
    if phase in ENDED:
        if wanted:
            yield f"{phase}, and a lease is {state(wanted[0])}"
        if not seen.is_true(phase):
            yield f"phase {phase} without its condition"
        return
    active = [x for x in wanted if state(x) == "Active"]
    if seen.is_true("Placed") != bool(active):
        yield f"Placed is {seen.is_true('Placed')}, {len(active)} leases are Active"
    if seen.job["spec"].get("suspend") and (wanted or phase != "Suspended"):
        yield f"spec.suspend is true, phase is {phase}, {len(wanted)} leases are wanted"
    if phase == "Running":
        yield from _runs(seen, active)
    elif phase not in PLACED and wanted and state(wanted[0]) != "Uncertain":
        yield f"phase {phase}, and a lease is {state(wanted[0])}"
    yield from _explains_itself(seen)


def _explains_itself(seen: Sight) -> Iterator[str]:
    phase = seen.phase
    decision = seen.status.get("decision") or {}
    spec = seen.job["spec"]
    is_held = spec.get("suspend") or spec.get("replicas") == 0
    if decision.get("reason") == "SuspendedByUser" and not is_held:
        yield f"the decision is of an older spec: {decision.get('message')}"
    if phase == "Refused" and not seen.condition("Stalled").get("message"):
        yield "Refused without a sentence in Stalled"
    if phase == "Waiting" and not seen.condition("Reconciling").get("message"):
        yield "Waiting without a sentence in Reconciling"


def _runs(seen: Sight, active: Sequence[Document]) -> Iterator[str]:
    if not active:
        yield "Running without an Active lease"
        return
    key = active[0]["metadata"]["name"]
    if active[0]["spec"].get("home"):
        if key not in {child["metadata"]["name"] for child in seen.children}:
            yield f"Running at home, and there is no Job {key}"
    elif key not in seen.held.values():
        yield f"Running outside, and the market does not hold {key}"


def _is_over(child: Document) -> bool:
    """Being deleted, or ended: the Job of a command that ended stays for its time to live."""
    ends = (child.get("status") or {}).get("conditions") or []
    ended = any(c["type"] in ENDED and c["status"] == "True" for c in ends)
    return ended or bool(child["metadata"].get("deletionTimestamp"))


def _serves(lease: Document, uid: str) -> bool:
    return bool(lease["spec"]["jobRef"]["uid"] == uid)
