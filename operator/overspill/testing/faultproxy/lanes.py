"""Who is struck: each case of a campaign is a lane with its own rules, seed and counts.

Dice are thrown by the seed, the rule, the exchange's name and its number, not by time: the third
write of a lease's status meets the same fate in every run of a seed.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overspill.testing.faultproxy.rules import Rule


@dataclass
class Lane:
    """One case. `counts` are the exchanges that came by, `struck` what the rules did."""

    seed: int = 0
    rules: Sequence[Rule] = ()
    counts: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    _hits: Counter[int] = field(default_factory=Counter)

    def strike(self, name: str) -> Rule | None:
        """The first rule that strikes the next exchange of that name; counts it in any case."""
        number = self.counts[name]
        self.counts[name] += 1
        for index, rule in enumerate(self.rules):
            if self._hits[index] >= rule.most or not rule.matches(name):
                continue
            if self._falls(index, rule, name, number):
                self._hits[index] += 1
                self.struck[f"{rule.action} {name}"] += 1
                return rule
        return None

    def _falls(self, index: int, rule: Rule, name: str, number: int) -> bool:
        if rule.at is not None:
            return number == rule.at
        return dice(f"{self.seed}/{index}/{name}/{number}") < rule.share


class Lanes:
    """The lanes of a wave of cases, by namespace. What belongs to no namespace (watches and lists
    of the whole cluster, the election, reads of a market) is struck by one of the lanes that have
    a rule for it, drawn anew each time."""

    def __init__(self) -> None:
        self.generation = 0
        """Counts waves: watches of an earlier one are ended, so that the rules meet new ones."""
        self._by_namespace: Mapping[str, Lane] = {}
        self._shared: Counter[str] = Counter()
        self._quiet = Lane()

    def use(self, lanes: Mapping[str, Lane]) -> None:
        """These are the cases now; {} ends all faults."""
        self.generation += 1
        self._shared = Counter()
        self._by_namespace = dict(lanes)

    def calm(self) -> None:
        """No more faults; the counts go on."""
        for lane in self._by_namespace.values():
            lane.rules = ()

    def strike(self, name: str, namespace: str) -> Rule | None:
        """What happens to an exchange, if anything."""
        return self._of(name, namespace).strike(name)

    def _of(self, name: str, namespace: str) -> Lane:
        own = self._by_namespace.get(namespace)
        if own is not None:
            return own
        if namespace and not self._is_shared(namespace):
            return self._quiet
        lanes = self._by_namespace.values()
        takers = [lane for lane in lanes if any(rule.matches(name) for rule in lane.rules)]
        if not takers:
            return self._quiet
        self._shared[name] += 1
        return takers[int(dice(f"{name}/{self._shared[name]}") * len(takers))]

    def _is_shared(self, namespace: str) -> bool:
        """Namespaces that are nobody's case: the operator's own, and the system's."""
        return not namespace.startswith(CASE_PREFIX)


CASE_PREFIX = "case-"
"""Namespaces of cases begin so; one of an earlier wave is left alone."""


def dice(what: str) -> float:
    """A number in [0, 1) that depends on nothing but the words."""
    digest = hashlib.blake2b(what.encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56
