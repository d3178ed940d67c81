"""`python -m benchmarks.markets_faults` (`make markets-faults`): markets lie, the operator runs.

Each failure that applies to a market is injected while the operator runs a job there; the table
says what was expected and what was seen. Then a job is left running on every market, the operator
is killed for good and the markets' clock goes 30 days on: what was billed is held against the
worst case that was declared. Ends with 0 only when all was as expected, with 0 leaks and 0 doubles.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks import markets_abandoned as abandoned
from benchmarks import markets_world as worlds
from benchmarks.markets_cases import NEAR, NOT_SPOKEN, Case, Outcome, cases_of
from benchmarks.markets_world import Json, Money, NotSo, World
from overspill.core.lease import lease_name

SETUP, FAULTS, ABANDONED = "set-up", "failures", "30 days alone"
ATTEMPTS = 12
AT_ONCE = 6
"""Markets that are played side by side; a small machine bears no more."""


@dataclass
class Result:
    """One case, played."""

    case: Case
    seen: str = ""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = worlds.chosen(argv, __doc__)
    with worlds.opened(args.names, [SETUP, FAULTS, ABANDONED], {}) as world:
        world.view.act(FAULTS, "each market fails in every way it is known to, one after another")
        results = played(world, args.names, args.failure)
        world.view.act(ABANDONED, "the operator is killed for good, a lease runs on every market")
        left = abandoned.played(world, args.names)
    print(table(results))
    print(abandoned.table(left))
    bad = [r for r in results if r.problems] + [x for x in left if x.problems]
    return 1 if bad else 0


def played(world: World, names: Sequence[str], only: str = "") -> list[Result]:
    """Every case that has these words; a few markets side by side, each one's cases in turn."""
    player = _Player(world)
    wanted = {name: [c for c in cases_of(name) if re.search(only, c.failure)] for name in names}
    with ThreadPoolExecutor(min(AT_ONCE, len(names))) as pool:
        found = pool.map(lambda market: [player.play(c) for c in wanted[market]], names)
        return [result for results in found for result in results]


class _Player:
    """Plays cases; several threads use one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._played = 0
        printed = world.bed.kubectl("get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}")
        self._cluster_id = printed.strip()

    def play(self, case: Case) -> Result:
        """One case, from a suspended job to closed leases."""
        with self._lock:
            self._played += 1
            namespace = f"{case.market}-{self._played}"
        result, began = Result(case), time.monotonic()
        try:
            self._play(case, namespace, result)
        except NotSo as error:
            result.problems.append(str(error))
        result.seconds = time.monotonic() - began
        say = self._world.view.note if result.problems else self._world.view.check
        say(f"{case.market}: {case.failure}: {result.seen or result.problems[0]}")
        return result

    def _play(self, case: Case, namespace: str, result: Result) -> None:
        world, name = self._world, namespace
        world.bed.kubectl("create", "namespace", namespace)
        script = f"sleep {case.seconds}"
        world.stack.apply_job(namespace, name, worlds.spec(case.market, script, suspend=True))
        uid = world.job(namespace, name)["metadata"]["uid"]
        keys = [lease_name(self._cluster_id, uid, n) for n in range(1, ATTEMPTS)]
        rules = [self._rule(case, rule, keys) for rule in case.rules]
        try:
            if case.without_money:
                self._without_money(case, namespace)
            else:
                self._resume(namespace, name)
            world.until_phase(namespace, name, "Complete", timeout_s=240)
            leases = world.until_settled(namespace, name)
            struck = sum(world.stack.market.struck(rule) for rule in rules)
        finally:
            for rule in rules:
                world.stack.market.clear_fault(rule)
        money = worlds.money_of(world, leases, NEAR, case.spare_usd)
        judge(result, leases, money, struck=bool(struck) or case.without_money)
        world.forget(namespace, name)
        world.bed.kubectl("delete", "namespace", namespace, "--wait=false")

    def _rule(self, case: Case, rule: Json, keys: Sequence[str]) -> int:
        meant = {} if case.market_wide else {"key": "|".join(keys)}
        values = {k: v for k, v in rule.items() if k != "action"}
        return self._world.stack.market.fault(
            str(rule["action"]), market=case.market, **meant, **values
        )

    def _resume(self, namespace: str, name: str) -> None:
        change = '{"spec": {"suspend": false}}'
        self._world.bed.kubectl("patch", "gpj", name, "-n", namespace, "--type=merge", "-p", change)

    def _without_money(self, case: Case, namespace: str) -> None:
        """The account is empty until an attempt was refused for it."""
        world, market = self._world, case.market
        world.stack.market.wallet(Decimal(0), market)
        try:
            self._resume(namespace, namespace)
            what = f"a refusal for lack of money on {market}"
            world.until(lambda: _is_refused(world.leases(namespace, namespace)), what, 90)
        finally:
            world.stack.market.wallet(Decimal(10_000), market)


def _is_refused(leases: Sequence[Json]) -> bool:
    reasons = [x.get("status", {}).get("closing", {}).get("reason") for x in leases]
    return "Rejected" in reasons


def judge(result: Result, leases: Sequence[Json], money: Money, *, struck: bool) -> None:
    """Adds to the result what was seen, and what of it is not as it must be."""
    result.problems += money.problems
    made = "1 lease" if len(leases) == 1 else f"{len(leases)} leases"
    result.seen = f"Complete, {made}, {money.active} ran"
    if not struck:
        result.problems.append("the fault never struck")
    lost = [x for x in leases if x["status"].get("closing", {}).get("reason") == "Lost"]
    wrong = {
        Outcome.SAME: money.active != 1,
        Outcome.MOVES: money.active < 2 or not lost,
        Outcome.REPLACED: len(leases) < 2,
        Outcome.EITHER: money.active < 1,
    }
    if wrong[result.case.outcome]:
        result.problems.append(f"seen: {result.seen}")


def table(results: Sequence[Result]) -> str:
    """Expected and seen, at most 100 columns wide."""
    lines = ["", f"{'MARKET':10} {'FAILURE':45} {'EXPECTED':22} {'SEEN':20}"]
    for r in results:
        seen = "NOT SO" if r.problems else r.seen.removeprefix("Complete, ")
        lines.append(f"{r.case.market:10} {r.case.failure[:45]:45} {r.case.outcome:22} {seen:20}")
    bad = [r for r in results if r.problems]
    lines.append(f"\n{len(results)} failures on {len({r.case.market for r in results})} markets, ")
    lines[-1] += f"{len(results) - len(bad)} as expected"
    lines += [f"{r.case.market}: {r.case.failure}: {p}" for r in bad for p in r.problems]
    again = "again: python -m benchmarks.markets_faults --market"
    lines += [f"{again} {r.case.market} --failure '{r.case.failure}'" for r in bad]
    lines += ["", "left out:"]
    lines += [f"  {failure} ({market}): {why}" for failure, market, why in NOT_SPOKEN]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
