"""L4s, after Sieve: an operator that never sees an event, or restarts into the past, ends as the
one that saw everything.

A reference run tells how many events of each kind a case has, and what came of it. *Unobserved*:
each of those events is dropped once. *Stale*: the operator dies when a lease's record reaches one
state and, restarted, is shown the lists of an earlier one; then it catches up. What counts is the
end state and how often each market made and ended something.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from overspill.testing.bed import until
from overspill.testing.faultproxy.audit import Record
from overspill.testing.faultproxy.campaign import Case, Watcher, run_wave
from overspill.testing.faultproxy.judge import Evidence, counts, is_over, keys_of, verdict
from overspill.testing.faultproxy.lanes import CASE_PREFIX, Lane
from overspill.testing.faultproxy.manifests import case
from overspill.testing.faultproxy.past import Snapshot
from overspill.testing.faultproxy.rules import Action, Rule, RuleSet
from overspill.testing.faultproxy.world import API, World

KINDS = ("gpujobs", "gpuleases", "pods")
"""What a case has events of; each is heard through one watch."""
STATES = ("", "Planned", "Opening", "Active", "Closing", "Closed")
""" "" is the moment before the jobs are applied."""
HOLD_S = 2.0
"""How long a leader acts on the past: less than a sweep period, as an old list may."""
REST_S = 180.0
STRIKE_S = 120.0
LOOK_S = 0.1

Outcome = dict[str, tuple[object, ...]]
Show = Callable[[str], None]


def outcome(seen: Evidence, namespace: str) -> Outcome:
    """By job: how it ended, and what was made and ended for it, at markets and at home."""
    made, found = counts(seen), Outcome()
    for job in seen.jobs:
        meta = job["metadata"]
        if meta["namespace"] != namespace:
            continue
        leases = [x for x in seen.leases if x["spec"]["jobRef"]["uid"] == meta["uid"]]
        names = {x["metadata"]["name"] for x in leases}
        bought = [tuple(made[name].values()) for name in sorted(names) if name in made]
        children = sum(1 for child in seen.children if child["metadata"]["name"] in names)
        found[meta["name"]] = (is_over(job), sorted(bought), children)
    return found


@dataclass
class Reference:
    """One undisturbed case."""

    events: dict[str, int]
    outcome: Outcome


def learn(world: World) -> Reference:
    """Runs a case without a fault and notes what there is to disturb."""
    lane, namespace = Lane(), f"{CASE_PREFIX}reference"
    undisturbed = Case(0, RuleSet("reference", ()), namespace, lane)
    wave = run_wave(world, [undisturbed])
    if undisturbed.violations:
        raise RuntimeError(f"the reference itself is wrong: {undisturbed.violations}")
    events = {kind: lane.counts[f"api event {kind}"] for kind in KINDS}
    return Reference(events, outcome(wave.evidence, namespace))


def drops(reference: Reference) -> list[Case]:
    """A case for every event of the reference, which is the one that never comes."""
    made = []
    for kind, events in reference.events.items():
        for at in range(events):
            rules = RuleSet(
                f"{kind} #{at} unseen", (Rule(Action.DROP_EVENT, f"api event {kind}", at=at),)
            )
            made.append(Case(at, rules, f"{CASE_PREFIX}{kind}-{at}", Lane(at, rules.rules)))
    return made


def unobserved(world: World, reference: Reference, wave: Sequence[Case]) -> None:
    """Runs cases of `drops`; what differs from the reference is a violation."""
    seen = run_wave(world, wave).evidence
    for one in wave:
        one.violations += differences(outcome(seen, one.namespace), reference.outcome)


def differences(found: Outcome, expected: Outcome) -> list[str]:
    """In words."""
    names = sorted({*found, *expected})
    return [
        f"differs: {name} came out as {found.get(name)}, the reference as {expected.get(name)}"
        for name in names
        if found.get(name) != expected.get(name)
    ]


@dataclass
class Checkpoint:
    """The operator dies when the lease at `market` is `died`, and wakes when it was `shown`."""

    market: str
    shown: str
    died: str
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.market} died {self.died}, shown {self.shown or 'nothing yet'}"


def checkpoints(markets: Sequence[str]) -> list[Checkpoint]:
    """Every pair of states, the earlier of which is shown."""
    pairs = [(a, b) for a in range(len(STATES)) for b in range(a + 1, len(STATES))]
    return [Checkpoint(m, STATES[a], STATES[b]) for m in markets for a, b in pairs]


class Striker:
    """A hook of the audit: takes the snapshot in one state, kills the operator in the other."""

    def __init__(self, world: World, checkpoint: Checkpoint, namespace: str) -> None:
        self._world, self._checkpoint, self._namespace = world, checkpoint, namespace
        self.snapshot: Snapshot | None = None
        self.has_struck = False
        self._turn = asyncio.Lock()

    async def __call__(self, record: Record) -> None:
        """A record was committed; its writer has not heard of it yet."""
        state = record.state
        async with self._turn:  # a watch may tell the operator, who goes on during the snapshot
            await self._look(record, state)

    async def _look(self, record: Record, state: str) -> None:
        mine = (record.namespace, record.provider) == (self._namespace, self._checkpoint.market)
        if not mine or self.has_struck:
            return
        if state == self._checkpoint.shown and self.snapshot is None:
            self.snapshot = await self._world.proxies.snapshot_now(API)
        if state == self._checkpoint.died:
            self.has_struck = True
            self._world.operator.send(signal.SIGKILL)  # nothing, should it be dead already


def stale(world: World, reference: Reference, checkpoint: Checkpoint, number: int) -> None:
    """Lives one checkpoint; what differs from the reference is a violation."""
    namespace = f"{CASE_PREFIX}stale-{number}"
    striker, watcher = Striker(world, checkpoint, namespace), Watcher(world, {namespace})
    if not checkpoint.shown:
        striker.snapshot = world.proxies.snapshot(API)
    world.proxies.use({namespace: Lane()})
    world.proxies.audit.hooks.append(striker)
    world.apply(case(namespace))
    until(lambda: _is_struck(world, striker), f"{checkpoint}", STRIKE_S, LOOK_S)
    world.proxies.audit.hooks.remove(striker)
    _wake_in_the_past(world, striker)
    watcher.wait(REST_S, watcher.is_at_rest)
    seen = watcher.look()
    checkpoint.violations += verdict(seen, namespace, beyond=False)
    checkpoint.violations += differences(outcome(seen, namespace), reference.outcome)
    if keys_of(seen, namespace) and not checkpoint.violations:
        world.kubectl("delete", "--wait=false", f"namespace/{namespace}")


def _is_struck(world: World, striker: Striker) -> bool:
    """Whether it is dead by our hand. One that ended itself, too slow to renew, is restarted."""
    if not striker.has_struck:
        world.keep_alive()
        return False
    return not world.operator.running


def _wake_in_the_past(world: World, striker: Striker) -> None:
    if striker.snapshot is None:
        raise RuntimeError("the operator died before the moment that it was to be shown")
    world.proxies.serve_past(API, striker.snapshot)
    world.operator.restart()
    until(world.is_led, "the operator to lead, in the past", 60, LOOK_S)
    time.sleep(HOLD_S)  # the length of the lag is what is tested
    world.proxies.catch_up(API)
