"""L5: one namespace with one job that is edited, broken, mended and made anew, over and over.

Several lanes share a cluster and an operator. A lane takes one step at a time, waits until all is
at rest, and asks the oracles (`truths`). What it did is told in `story`, so that a failure reads
as the sequence that led to it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from overspill.core.errors import Gone
from overspill.kube.answers import Refused
from overspill.kube.resources import Kind, collection, item
from overspill.kube.verbs import Verbs

from .specs import LEAVES, Path, Spec, Value, good, put, values, without
from .truths import ENDED, Sight, is_at_rest, normalised, untruths

JSON_PATCH = "application/json-patch+json"
FIXED = ("workload", "gpu", "numNodes", "template", "managedBy")
"""What cannot be edited: another value needs another object of the same name."""
QUIET_S = 0.5
EVERY_S = 0.25
REST_WITHIN_S = 300.0
LISTED_WITHIN_S = 60.0
"""Several times as long as offers are asked for anew."""
MOST_COMPARED = 8
"""Copies of a service that is compared with its twin."""
CHAIN = 3
"""So many mutations before the job is mended."""


@dataclass
class Cluster:
    """What all lanes share."""

    verbs: Verbs
    held: Callable[[], Awaitable[dict[str, str]]]
    """What the market holds, from its ledger."""
    is_idle: Callable[[], Awaitable[bool]]
    """Whether the operator's work-queue is empty."""
    sent: Counter[Path] = field(default_factory=Counter)
    accepted: Counter[Path] = field(default_factory=Counter)
    refused: int = 0
    transitions: int = 0
    pairs: int = 0
    """Compared twins."""
    mended: int = 0
    """Jobs that came back from a spec that could not run."""
    wrong: list[str] = field(default_factory=list)
    told: int = 0
    """So many of these were shown already."""

    def untold(self) -> list[str]:
        """What went wrong since this was asked last, by whichever lane."""
        new, self.told = self.wrong[self.told :], len(self.wrong)
        return new

    def next_leaf(self, dice: random.Random) -> Path:
        """The leaves that were accepted least often go first."""
        least = min(self.accepted[path] + self.sent[path] / 8 for path in LEAVES)
        rare = [p for p in LEAVES if self.accepted[p] + self.sent[p] / 8 < least + 0.5]
        return dice.choice(sorted(rare))


@dataclass
class Lane:
    """One job and its twin, in one namespace."""

    cluster: Cluster
    namespace: str
    dice: random.Random
    spec: Spec = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    changes: int = 0

    async def begin(self) -> None:
        """The job is there and runs."""
        self.spec = good(self.dice)
        await self._create("subject", self.spec)
        await self.rests("subject")

    async def step(self) -> None:
        """One transition and its verdict."""
        self.cluster.transitions += 1
        seen = await self._seen("subject")
        if self.changes >= CHAIN or seen.phase in (*ENDED, "Refused"):
            await self._finish_chain(seen)
        elif self.dice.random() < 0.12:
            await self._toggle()
        else:
            self.changes += 1
            await self._mutate()
        await self.rests("subject")

    async def _finish_chain(self, seen: Sight) -> None:
        self.changes = 0
        if seen.phase not in ENDED and is_timeless(self.spec) and self.dice.random() < 0.5:
            await self._compare_with_twin()
        await self._mend()

    async def rests(self, name: str) -> Sight:
        """Waits until nothing moves any more; what is untrue then is noted."""
        loop = asyncio.get_running_loop()
        end, before, since = loop.time() + REST_WITHIN_S, None, loop.time()
        while True:
            seen = await self._seen(name)
            versions = _versions(seen)
            if versions != before or not is_at_rest(seen):
                before, since = versions, loop.time()
            elif loop.time() - since >= QUIET_S and await self.cluster.is_idle():
                found = untruths(seen)
                if not found:
                    return seen
                if loop.time() - since >= 10 * QUIET_S:  # the ledger may be a moment behind
                    self._wrong("; ".join(found))
                    return seen
            if loop.time() > end:
                self._wrong(f"no rest within {REST_WITHIN_S:.0f} s: {_gist(seen)}")
                return seen
            await asyncio.sleep(EVERY_S)

    async def _mutate(self) -> None:
        path = self.cluster.next_leaf(self.dice)
        value = self.dice.choice(values(path))
        tried = {path: value}
        if path[0] == "template" and self.dice.random() < 0.6:
            tried |= self._more_of_the_template()
        made = self.spec
        for where, what in tried.items():
            made = put(made, where, what.content)
        if len(tried) == 1 and value.word != "invalid" and self.dice.random() < 0.1:
            made = without(made, path)
        self.cluster.sent.update(tried.keys())
        is_edited = False
        is_another = made.get("workload") != self.spec.get("workload")  # a service's field
        if not is_another and (path[0] not in FIXED or self.dice.random() < 0.15):
            is_edited = await self._edit(made, tried) or value.word == "invalid"
        if not is_edited:
            await self._recreate(made, tried)

    def _more_of_the_template(self) -> dict[Path, Value]:
        """Most leaves are the template's, and no attempt comes without a new object."""
        more = {self.cluster.next_leaf(self.dice) for _ in range(4)}
        chosen = {p: self.dice.choice(values(p)) for p in sorted(more) if p[0] == "template"}
        return {p: value for p, value in chosen.items() if value.word != "invalid"}

    async def _edit(self, made: Spec, tried: Mapping[Path, Value]) -> bool:
        """Whether it was accepted."""
        (path, _), *_rest = tried.items()
        top = path[0]
        self._tell(f"edit {_told(tried)}")
        change = {"op": "add", "path": f"/spec/{top}", "value": made.get(top)}
        if top not in made:
            if top not in self.spec:
                return True
            change = {"op": "remove", "path": f"/spec/{top}"}
        before = await self._read("subject")
        try:
            await self.cluster.verbs.patch(
                self._path("subject"),
                [change],  # type: ignore[arg-type]  # a JSON patch is a list
                content_type=JSON_PATCH,
            )
        except Refused:
            self.cluster.refused += 1
            await self._is_untouched(before)
            return False
        self._accepted(tried)
        self.spec = made
        return True

    async def _recreate(self, made: Spec, tried: Mapping[Path, Value]) -> None:
        self._tell(f"recreate with {_told(tried)}")
        try:
            await self._create("trial", made, dry_run=True)
        except Refused:
            self.cluster.refused += 1
            return
        self._accepted(tried)
        await self._anew("subject", made)
        self.spec = made

    def _accepted(self, tried: Mapping[Path, Value]) -> None:
        self.cluster.accepted.update(tried.keys())
        for path, value in tried.items():
            if value.word == "invalid":
                self._wrong(f"{'.'.join(path)} = {_short(value)} was accepted")

    async def _toggle(self) -> None:
        """Suspended or resumed, whichever it is not."""
        wanted = not self.spec.get("suspend", False)
        self._tell(f"suspend = {wanted}")
        made = {**self.spec, "suspend": wanted}
        await self._edit(made, {("suspend",): Value("meant", wanted)})

    async def _mend(self) -> None:
        """Good again, by an edit where that can be, else by another job of the same name."""
        wanted = good(self.dice)
        self._tell(f"mend: burst {wanted['placement']['burst']}")
        await self._anew("subject", wanted)
        self.spec = wanted
        seen = await self._runs_soon()
        self.cluster.mended += 1
        if seen.phase != "Running":
            told = f"{_gist(seen)}; the market holds {len(await self.cluster.held())} in all"
            self._wrong(f"a good spec does not run after a bad one: {told}")

    async def _runs_soon(self) -> Sight:
        """A machine that another job just took of is offered again with the next listing."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LISTED_WITHIN_S
        seen = await self.rests("subject")
        while seen.phase == "Waiting" and loop.time() < end:
            seen = await self.rests("subject")
        return seen

    async def _compare_with_twin(self) -> None:
        """Two ways to one spec: the way so far, and straight; both decided anew at the end."""
        self._tell("twin")
        await self._create("twin", {**self.spec, "suspend": False})
        for suspend in (True, False):
            for name in ("subject", "twin"):
                await self._suspend(name, suspend)
            first, second = [await self.rests(name) for name in ("subject", "twin")]
        if first.phase not in ENDED and second.phase not in ENDED:
            self.cluster.pairs += 1
            one, other = normalised(first), normalised(second)
            if one != other:
                differing = {k: (one[k], other[k]) for k in one if one[k] != other[k]}
                self._wrong(f"two ways to one spec differ: {differing}")
        await self.cluster.verbs.delete(self._path("twin"))

    async def _suspend(self, name: str, suspend: bool) -> None:
        await self.cluster.verbs.patch(self._path(name), {"spec": {"suspend": suspend}})

    async def _is_untouched(self, before: Spec) -> None:
        """A refused edit has no effect."""
        after = await self._read("subject")
        same = ("generation", "uid")
        if after["spec"] != before["spec"] or any(
            after["metadata"][k] != before["metadata"][k] for k in same
        ):
            self._wrong("a refused edit changed the object")

    async def _anew(self, name: str, spec: Spec) -> None:
        """Deleted and created again at once, while its leases still close."""
        await self.cluster.verbs.delete(self._path(name))
        await self._create(name, spec)

    async def _create(self, name: str, spec: Spec, *, dry_run: bool = False) -> None:
        path = collection(Kind.JOB, self.namespace) + ("?dryRun=All" if dry_run else "")
        body = {"apiVersion": "overspill.dev/v1alpha1", "kind": "GPUJob", "spec": spec}
        body["metadata"] = {"name": name, "namespace": self.namespace}
        await self.cluster.verbs.create(path, body)

    async def _read(self, name: str) -> dict[str, Any]:
        return await self.cluster.verbs.get(self._path(name))

    async def _seen(self, name: str) -> Sight:
        verbs = self.cluster.verbs
        try:
            job = await self._read(name)
        except Gone:  # its time to live was over: it is made anew by the next step
            await self._create(name, self.spec)
            job = await self._read(name)
        leases = await verbs.list_all(collection(Kind.LEASE, self.namespace))
        children = await verbs.list_all(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")
        mine = [x for x in leases if x["spec"]["jobRef"]["name"] == name]
        names = {x["metadata"]["name"] for x in mine}
        held = {k: key for k, key in (await self.cluster.held()).items() if key in names}
        return Sight(job, mine, [x for x in children if x["metadata"]["name"] in names], held)

    def _path(self, name: str) -> str:
        return item(Kind.JOB, self.namespace, name)

    def _tell(self, what: str) -> None:
        self.story.append(what)

    def _wrong(self, what: str) -> None:
        last = " -> ".join(self.story[-CHAIN - 2 :])
        self.cluster.wrong.append(f"{self.namespace}: {what}\n      after: {last}")


def is_timeless(spec: Spec) -> bool:
    """Whether two jobs of this spec may be compared although one is older: nothing is due soon,
    the job is neither another controller's nor ended by its own template, and there is room for
    all copies of both."""
    deadline = spec.get("deadline") or {}
    by, within = deadline.get("finishByTime", "2099"), deadline.get("finishWithinSeconds", 10**8)
    soon = by[:4] < "2099" or within < 3600 or spec.get("activeDeadlineSeconds", 10**8) < 3600
    return not soon and not spec.get("managedBy") and spec.get("replicas", 1) <= MOST_COMPARED


def _versions(seen: Sight) -> tuple[str, ...]:
    things = (seen.job, *seen.leases, *seen.children)
    return tuple(x["metadata"]["uid"] + "/" + x["metadata"]["resourceVersion"] for x in things)


def _gist(seen: Sight) -> str:
    states = [(x.get("status") or {}).get("state", "Planned") for x in seen.leases]
    true = {
        c["type"]: c["reason"] for c in seen.status.get("conditions") or [] if c["status"] == "True"
    }
    told = (seen.status.get("decision") or {}).get("message", "")
    return f"phase {seen.phase!r}, leases {Counter(states)}, true {true}, decision: {told[:200]}"


def _told(tried: Mapping[Path, Value]) -> str:
    return ", ".join(f"{'.'.join(path)} = {_short(value)}" for path, value in tried.items())


def _short(value: Value) -> str:
    text = repr(value.content)
    return f"{text if len(text) < 80 else text[:77] + '...'} ({value.word})"
