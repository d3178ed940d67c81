"""The part of the fault campaign that needs no cluster: L0 to L3 in virtual time, seeded bugs.

Called by `chaos`. Everything runs in a pool of processes; one seed is one history on any machine.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.chaos import planner_bugs
from tests.chaos.crashes import crash_once, crash_twice
from tests.chaos.history import run_seed
from tests.chaos.model import ABLATIONS, FULL, LARGE, Variant, check
from tests.chaos.planner_machine import lived
from tests.chaos.plans import planned
from tests.chaos.seeded_bugs import BUGS, caught

from benchmarks.chaos_lines import Line
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket
from overspill.testing.simulation import Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

Show = Callable[[str], None]
EXAMPLES = 80
"""Histories of the planner from one seed: about 4,500 steps."""


@dataclass
class Histories:
    """What L2 found so far, summed over parts that may lie days apart."""

    seeds: int = 0
    beyond: int = 0
    skewed: int = 0
    lying: int = 0
    failed: list[int] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)

    def add(self, seed: int, found: Sequence[str], show: Show) -> None:
        """One history."""
        plan = planned(seed)
        self.seeds += 1
        self.beyond += plan.beyond
        self.skewed += bool(plan.wrongs.skews)
        self.lying += bool(plan.lies.empty_list or plan.lies.partial_list)
        if found:
            self.failed.append(seed)
            counted = Counter(self.wrong) + Counter({words.split(":")[0] for words in found})
            self.wrong = dict(counted)
            show(f"  seed {seed}: {found[0]}\n    replay: python -m benchmarks.chaos replay {seed}")

    def lines(self) -> list[Line]:
        """L2 and L6."""
        wrong = Counter(self.wrong)
        leaks = sum(wrong[x] for x in ("leak", "double", "I1", "I2", "I3", "I4"))
        kills = wrong["I6"] + wrong["R7"]
        told = f"{self.seeds} seeds ({self.beyond} beyond what their class assumes)"
        clocks = f"{self.skewed} of these seeds, {len(self.failed)} of all failed"
        lists = f"{self.lying} with empty or partial lists"
        return [
            Line("L2 0 leaks, 0 doubles", f"{leaks} in {told}", leaks == 0),
            Line("L2 0 wrongful terminations", f"{kills} in {self.seeds}, {lists}", kills == 0),
            Line(
                "L2 every job ends, all invariants",
                f"{len(self.failed)} seeds failed {dict(wrong) or ''}",
                not self.failed,
            ),
            Line("L6 clocks up to an hour wrong", clocks, not self.failed),
        ]


def model(pool: ProcessPoolExecutor, show: Show, *, large: bool) -> list[Line]:
    """L0: every state of the protocol; every weakening must fail."""
    variants: tuple[Variant, ...] = (*FULL, *(LARGE if large else ()))
    clean = list(pool.map(check, variants))
    broken = list(pool.map(check, ABLATIONS))
    for variant, (states, wrong) in zip((*variants, *ABLATIONS), (*clean, *broken), strict=True):
        show(f"  L0     {variant.name:48} {states:7} states  {wrong or 'clean'}")
    states = sum(n for n, _ in clean)
    failed = sum(1 for _, wrong in clean if wrong)
    found = sum(1 for _, wrong in broken if wrong and wrong != "too many states")
    return [
        Line("L0 full protocol clean", f"{states} states, {failed} violations", failed == 0),
        Line("L0 every ablation fails", f"{found} of {len(broken)}", found == len(broken)),
    ]


def planner(pool: ProcessPoolExecutor, show: Show, steps: int) -> list[Line]:
    """L1: any order of events over the pure planner, until so many steps are lived."""
    lived_steps, wrong, first = 0, 0, 1000
    while lived_steps < steps and not wrong:
        wave = range(first, first + 8)
        first += len(wave)
        for seed, (count, told) in zip(wave, pool.map(_planner_seed, wave), strict=True):
            lived_steps += count
            wrong += bool(told)
            if told:
                show(f"  L1     {told}\n    replay: python -m benchmarks.chaos planner {seed}")
        show(f"  L1     {lived_steps} steps")
    return [
        Line("L1 planner, 100,000 steps", f"{wrong} violations in {lived_steps} steps", not wrong)
    ]


def histories(
    pool: ProcessPoolExecutor, show: Show, seeds: Iterable[int], so_far: Histories
) -> None:
    """L2: adds these seeds to what was found so far."""
    wanted = list(seeds)
    for seed, found in zip(wanted, pool.map(run_seed, wanted, chunksize=4), strict=True):
        so_far.add(seed, found, show)


def crashes(pool: ProcessPoolExecutor, show: Show, pairs: int) -> list[Line]:
    """L3 in virtual time: a crash at every call, and at two."""
    sites = _sites()
    singles = [
        (k.value, moment, site)
        for k in IdempotencyClass
        if k is not IdempotencyClass.D
        for moment in ("before", "after")
        for site in range(1, sites + 1)
    ]
    bad = [x for x in pool.map(crash_once, singles, chunksize=8) if x]
    worse = [x for x in pool.map(crash_twice, range(pairs), chunksize=8) if x]
    for words in (*bad, *worse):
        show(f"  L3     {words}")
    return [
        Line("L3 crash at every call, A, B, C", f"{len(bad)} of {len(singles)} failed", not bad),
        Line("L3 double crashes", f"{len(worse)} of {pairs} failed", not worse),
    ]


def seeded_bugs(pool: ProcessPoolExecutor, show: Show) -> list[Line]:
    """Mistakes in the engine and in the planner, of which every one must be found."""
    engine = list(pool.map(_engine_bug, range(len(BUGS))))
    plans = list(pool.map(_planner_bug, range(len(planner_bugs.BUGS))))
    for bug, word in zip(BUGS, engine, strict=True):
        show(f"  bug    {bug.rule:4} {bug.name:44} {_by(word)}")
    for mistake, word in zip(planner_bugs.BUGS, plans, strict=True):
        show(f"  bug    L1   {mistake.name:44} {_by(word)}")
    count, of = sum(1 for word in engine if word), len(BUGS)
    planned_count, planned_of = sum(1 for word in plans if word), len(planner_bugs.BUGS)
    return [
        Line("seeded bugs caught: 100 %", f"{count} of {of} in the engine", count == of),
        Line(
            "seeded bugs caught by L1",
            f"{planned_count} of {planned_of} in the planner",
            planned_count == planned_of,
        ),
    ]


def _by(word: tuple[int, str] | None) -> str:
    return f"seed {word[0]}: {word[1][:120]}" if word else "NOT CAUGHT"


def _planner_seed(seed: int) -> tuple[int, str]:
    return lived(seed, EXAMPLES)


def _engine_bug(number: int) -> tuple[int, str] | None:
    return caught(BUGS[number])


def _planner_bug(number: int) -> tuple[int, str] | None:
    return planner_bugs.found(planner_bugs.BUGS[number])


def _sites() -> int:
    """How many passages one undisturbed life has."""
    sim = Simulation(market=FakeMarket(LoopClock(), run_s=20))

    async def life() -> None:
        await sim.start()
        await sim.apply("job")
        await sim.until(lambda: _ended(sim), 600)
        await sim.stop()

    run_virtual(life())
    return len(sim.sites)


async def _ended(sim: Simulation) -> bool:
    found = await sim.leases()
    return bool(found) and all(not x["metadata"].get("finalizers") for x in found)
