"""L4: seeded cases behind the fault proxy, in waves that share one operator.

A case is one seed: its rule set, its dice, and a namespace with three jobs. The rules strike until
the last lease is closed for certain, or for `FIRE_S`; then the faults end, everything must come to
rest, and the judge is asked.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from overspill.sandbox import ledger
from overspill.testing.faultproxy.judge import (
    Evidence,
    Object,
    doubled,
    is_over,
    is_settled,
    keys_of,
    longest_double_s,
    strangers,
    verdict,
)
from overspill.testing.faultproxy.lanes import CASE_PREFIX, Lane
from overspill.testing.faultproxy.manifests import MARKETS, case
from overspill.testing.faultproxy.reader import PATHS
from overspill.testing.faultproxy.rules import RuleSet, rule_sets
from overspill.testing.faultproxy.world import SWEEP_S, World

FIRE_S = 120.0
"""How long the rules strike at most; most leases are opened, lived and closed under fire."""
REST_S = 240.0
"""How long everything may take to come to rest once the faults are over."""
LOOK_S = 1.0

Show = Callable[[str], None]


@dataclass
class Case:
    """One seed, and what came of it."""

    seed: int
    rules: RuleSet
    namespace: str
    lane: Lane
    markets: tuple[str, ...] = tuple(MARKETS)
    violations: list[str] = field(default_factory=list)
    surplus: int = 0
    """Keys that had two things at a market for a while; a violation unless the set is `beyond`."""
    surplus_s: float = 0.0
    """How long the longest of these doubles lived."""

    @property
    def replay(self) -> str:
        """The command that runs this seed again, alone."""
        of = "" if self.markets == tuple(MARKETS) else f" --markets {','.join(self.markets)}"
        return f"python -m benchmarks.chaos_proxy --cases 1 --seed {self.seed}{of}"


@dataclass
class Wave:
    """Cases that have lived side by side, how long they took, and what was seen at the end."""

    cases: Sequence[Case]
    evidence: Evidence
    took_s: float
    rest_s: float
    """From the end of the faults until all was at rest."""


def cases(
    seeds: Sequence[int],
    sets: Sequence[RuleSet] | None = None,
    markets: Sequence[str] = tuple(MARKETS),
) -> list[Case]:
    """A case for each seed, with a job at each of these markets; the sets take turns."""
    known = sets or rule_sets()
    made = []
    for seed in seeds:
        rules = known[seed % len(known)]
        made.append(
            Case(seed, rules, f"{CASE_PREFIX}{seed}", Lane(seed, rules.rules), tuple(markets))
        )
    return made


def run_wave(world: World, wave: Sequence[Case]) -> Wave:
    """Lets the cases live, judges them, and clears their namespaces away."""
    began = time.monotonic()
    watcher = Watcher(world, {c.namespace for c in wave})
    world.proxies.use({c.namespace: c.lane for c in wave})
    world.apply([manifest for c in wave for manifest in case(c.namespace, c.markets)])
    watcher.wait(FIRE_S, watcher.is_at_rest)
    calm_at = time.monotonic()
    world.proxies.calm()
    watcher.wait(REST_S, watcher.is_at_rest)
    rest_s = time.monotonic() - calm_at
    if any(c.rules.beyond for c in wave):
        # what was carried out too late may be a surplus that only the sweep sees
        watcher.wait(2 * SWEEP_S, lambda _seen: False)
        watcher.wait(REST_S, watcher.is_at_rest)
    seen = watcher.look()
    for c in wave:
        c.violations = verdict(seen, c.namespace, beyond=c.rules.beyond)
        c.surplus = len(doubled(seen, keys_of(seen, c.namespace)))
        c.surplus_s = longest_double_s(seen, keys_of(seen, c.namespace))
    wave[0].violations += strangers(seen)
    world.proxies.use({})
    if names := [f"namespace/{c.namespace}" for c in wave if not c.violations]:
        world.kubectl("delete", "--wait=false", *names)
    return Wave(wave, seen, time.monotonic() - began, rest_s)


class Watcher:
    """Looks at a wave around the proxies, once a second, and keeps the operator alive."""

    def __init__(self, world: World, namespaces: set[str]) -> None:
        self._world, self._namespaces = world, namespaces
        self._spent: dict[str, list[float]] = {}

    def wait(self, seconds: float, enough: Callable[[Evidence], bool]) -> bool:
        """Looks until it is enough; False when the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._world.keep_alive()
            if enough(self.look()):
                return True
            time.sleep(LOOK_S)
        return False

    def look(self) -> Evidence:
        """Everything as it is now."""
        reader = self._world.reader
        by_kind = {kind: self._mine(reader.listed(kind)) for kind in PATHS}
        self._note_spent(by_kind["GPUJob"])
        return Evidence(
            reader.ledger(),
            by_kind["GPULease"],
            by_kind["GPUJob"],
            by_kind["Job"],
            self._world.proxies.audit,
            self._spent,
        )

    def _mine(self, objects: Sequence[Object]) -> list[Object]:
        return [x for x in objects if x["metadata"]["namespace"] in self._namespaces]

    def is_at_rest(self, seen: Evidence) -> bool:
        """Jobs over, leases settled, nothing of theirs held."""
        keys = {x["metadata"]["name"] for x in seen.leases}
        held = ledger.open_ids(seen.entries).values()
        return (
            all(is_over(job) for job in seen.jobs)
            and all(is_settled(lease) for lease in seen.leases)
            and not keys & set(held)
        )

    def _note_spent(self, jobs: Sequence[Object]) -> None:
        for job in jobs:
            name = f"{job['metadata']['namespace']}/{job['metadata']['name']}"
            cost = (job.get("status") or {}).get("cost") or {}
            self._spent.setdefault(name, []).append(float(cost.get("spentUSD") or 0))
