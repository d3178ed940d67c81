"""The fault campaign that needs no cluster: `make chaos`, `make chaos-full`, and one seed again.

    python -m benchmarks.chaos [--seeds N] [--procs P] [--large]
    python -m benchmarks.chaos replay SEED

Prints the goals of the lease protocol beside what was measured, and says for every line that no
run here covers where it is covered.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.chaos.crashes import crash_once, crash_twice
from tests.chaos.history import run_seed
from tests.chaos.model import ABLATIONS, FULL, LARGE, Variant, check
from tests.chaos.plans import planned
from tests.chaos.seeded_bugs import BUGS, caught

from benchmarks.chaos_lines import Line, print_lines
from overspill.ports import IdempotencyClass
from overspill.testing.market import FakeMarket
from overspill.testing.simulation import Simulation
from overspill.testing.virtualtime import LoopClock, run_virtual

ELSEWHERE = (
    ("kill -9 on a real control plane", "tests/cluster/test_kill9.py"),
    ("zombie leader, failover, hand-over", "tests/cluster/test_leaders.py"),
    ("cut networks, hanging and lying markets", "tests/cluster/test_cut.py"),
    ("node loss and failback", "tests/cluster/test_loss.py"),
    ("throughput, API cost, memory", "make bench-storm"),
)
"""What a simulation cannot show: measured on the real control plane."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every goal that is measured here is met."""
    args = _parsed(arguments)
    if args.replay is not None:
        return _replay(args.replay)
    started = time.monotonic()
    with ProcessPoolExecutor(args.procs) as pool:
        lines = [
            *_model(pool, large=args.large),
            *_histories(pool, args.seeds),
            *_crashes(pool, args.pairs),
            *_bugs(pool),
        ]
    _print(lines, time.monotonic() - started)
    return 0 if all(line.is_met for line in lines) else 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--procs", type=int, default=2)
    parser.add_argument("--large", action="store_true", help="the larger models too")
    words = parser.add_subparsers()
    replay = words.add_parser("replay")
    replay.add_argument("replay", type=int, metavar="SEED")
    parser.set_defaults(replay=None)
    return parser.parse_args(arguments)


def _replay(seed: int) -> int:
    print(planned(seed))
    found = run_seed(seed)
    print("\n".join(found) or "nothing was violated")
    return 1 if found else 0


def _model(pool: ProcessPoolExecutor, *, large: bool) -> list[Line]:
    variants: tuple[Variant, ...] = (*FULL, *(LARGE if large else ()))
    clean = list(pool.map(check, variants))
    for variant, (states, wrong) in zip(variants, clean, strict=True):
        print(f"  model  {variant.name:48} {states:7} states  {wrong or 'clean'}", flush=True)
    broken = list(pool.map(check, ABLATIONS))
    for variant, (states, wrong) in zip(ABLATIONS, broken, strict=True):
        print(f"  model  {variant.name:48} {states:7} states  {wrong or 'NOT FOUND'}", flush=True)
    states = sum(n for n, _ in clean)
    failed = sum(1 for _, wrong in clean if wrong)
    found = sum(1 for _, wrong in broken if wrong and wrong != "too many states")
    return [
        Line("L0 full protocol clean", f"{states} states, {failed} violations", failed == 0),
        Line("L0 every ablation fails", f"{found} of {len(broken)}", found == len(broken)),
    ]


def _histories(pool: ProcessPoolExecutor, seeds: int) -> list[Line]:
    wrong: Counter[str] = Counter()
    beyond = failed = 0
    for seed, found in enumerate(pool.map(run_seed, range(seeds), chunksize=8)):
        beyond += planned(seed).beyond
        failed += bool(found)
        wrong.update({words.split(":")[0] for words in found})
        if found:
            print(
                f"  seed {seed}: {found[0]}\n    replay: python -m benchmarks.chaos replay {seed}"
            )
    told = f"{seeds} seeds ({beyond} with a paused leader), {failed} failed {dict(wrong) or ''}"
    leaks = wrong["leak"] + wrong["double"] + sum(wrong[x] for x in ("I1", "I2", "I3", "I4"))
    kills = wrong["I6"] + wrong["R7"]
    return [
        Line("L2 0 leaks, 0 doubles", f"{leaks} in {told}", leaks == 0),
        Line("L2 0 wrongful terminations", f"{kills} in {seeds} seeds", kills == 0),
        Line("L2 every job ends, all invariants", f"{failed} seeds failed", failed == 0),
    ]


def _crashes(pool: ProcessPoolExecutor, pairs: int) -> list[Line]:
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
        print(f"  crash  {words}")
    return [
        Line("L3 crash at every call, A, B, C", f"{len(bad)} of {len(singles)} failed", not bad),
        Line("L3 double crashes", f"{len(worse)} of {pairs} failed", not worse),
    ]


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


def _bugs(pool: ProcessPoolExecutor) -> list[Line]:
    found = list(pool.map(_caught, range(len(BUGS))))
    for bug, word in zip(BUGS, found, strict=True):
        by = f"seed {word[0]}: {word[1]}" if word else "NOT CAUGHT"
        print(f"  bug    {bug.rule:4} {bug.name:42} {by}", flush=True)
    count = sum(1 for word in found if word)
    return [Line("seeded bugs caught: 100 %", f"{count} of {len(BUGS)}", count == len(BUGS))]


def _caught(number: int) -> tuple[int, str] | None:
    return caught(BUGS[number])


def _print(lines: Sequence[Line], took_s: float) -> None:
    print_lines(lines)
    for goal, where in ELSEWHERE:
        print(f"{goal:40} {'not run here: ' + where:70} -")
    print(f"took {took_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
