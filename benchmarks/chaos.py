"""The fault campaign: `make chaos`, `make chaos-full`, and one seed of it again.

    python -m benchmarks.chaos [--full] [--only PART,...] [--fresh]
    python -m benchmarks.chaos replay SEED        # one simulated history (L2)
    python -m benchmarks.chaos planner SEED       # the planner's histories from one seed (L1)

Parts that are done are remembered for the code they ran on (`build/chaos`), so a run that was
stopped goes on where it was; `--fresh` forgets them. Prints the goals of the lease protocol beside
what was measured, and says for every goal that no part of this run covers where it is covered.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context

from tests.chaos.history import run_seed
from tests.chaos.planner_machine import lived
from tests.chaos.plans import planned

from benchmarks import (
    chaos_crashes,
    chaos_disasters,
    chaos_moments,
    chaos_proxy,
    chaos_sieve,
    chaos_simulated,
    chaos_transitions,
    soak,
)
from benchmarks.chaos_crashes import Campaign
from benchmarks.chaos_lines import Line
from benchmarks.chaos_memory import Memory
from benchmarks.chaos_simulated import Histories
from benchmarks.chaos_table import print_table
from overspill.testing.faultproxy.campaign import cases

CHUNK = 200
"""Histories between two remembered points."""


@dataclass(frozen=True)
class Size:
    """How much of each layer."""

    large_model: bool = False
    planner_steps: int = 100_000
    histories: int = 400
    pairs: int = 60
    deaths: int = 3
    """Crash points of each market on the real control plane; 0: all."""
    zombies: int = 2
    proxy_cases: int = 12
    whole_sieve: bool = False
    transitions: int = 500
    edit_minutes: float = 11
    """No transition begins after so many."""
    proxy_minutes: float = 11
    """No case of the proxy begins after so many."""
    soak_minutes: float = 0
    """Of churn, after reaction times were taken: nothing else should run then. 0: neither."""


PRE_SUBMIT = Size()
FULL = Size(
    large_model=True,
    histories=10_000,
    pairs=500,
    deaths=0,
    zombies=0,
    proxy_cases=300,
    whole_sieve=True,
    transitions=5000,
    edit_minutes=12,
    proxy_minutes=45,
    soak_minutes=5,
)
Part = tuple[str, Callable[[], list[Line]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every goal that was measured is met."""
    args = _parsed(arguments)
    if args.word:
        return _again(args.word, args.seed)
    began = time.monotonic()
    size = FULL if args.full else PRE_SUBMIT
    memory = Memory("full" if args.full else "presubmit", fresh=args.fresh)
    only = args.only.split(",") if args.only else ()
    with _pool(args.procs) as pool, ThreadPoolExecutor(3) as beside:
        # What waits for a control plane most of the time leaves the cores to what computes.
        rows = (_simulated(pool, size, memory), _wrong_answers(size), _deaths(size))
        running = [beside.submit(_all_done, row, memory, only) for row in rows]
        lines = [line for row in running for line in row.result()]
    if size.soak_minutes:
        lines += _all_done(_timed(size), memory, only)
    print_table(lines)
    print(f"took {time.monotonic() - began:.0f} s")
    return 0 if all(line.is_met for line in lines) else 1


def show(text: str) -> None:
    """Progress, at once."""
    print(text, flush=True)


def _pool(procs: int) -> ProcessPoolExecutor:
    """Processes that yield to the control plane. Spawned: threads run already when they start."""
    return ProcessPoolExecutor(procs, get_context("spawn"), os.nice, (10,))


def _simulated(pool: ProcessPoolExecutor, size: Size, memory: Memory) -> list[Part]:
    """What needs no cluster, in the order of what finds most for its time."""
    sim = chaos_simulated
    return [
        ("planner", lambda: sim.planner(pool, show, size.planner_steps)),
        ("histories", lambda: _histories(pool, size.histories, memory)),
        ("crashes", lambda: sim.crashes(pool, show, size.pairs)),
        ("bugs", lambda: sim.seeded_bugs(pool, show)),
        ("model", lambda: sim.model(pool, show, large=size.large_model)),
    ]


def _wrong_answers(size: Size) -> list[Part]:
    """Edits and faults of the network, each part on a control plane of its own."""
    return [
        ("transitions", lambda: _transitions(size)),
        ("proxy", lambda: _proxy(size)),
    ]


def _deaths(size: Size) -> list[Part]:
    """What is killed or paused, each part on a control plane of its own."""
    market = Campaign(sample=size.deaths)
    zombies = Campaign(("salad", "vast"), zombies=True, sample=size.zombies)
    return [
        ("disasters", lambda: chaos_disasters.run(show)),
        ("deaths", lambda: chaos_crashes.run(market, show)),
        ("zombies", lambda: chaos_crashes.run(zombies, show)),
    ]


def _timed(size: Size) -> list[Part]:
    """Reaction times and load, when all else is done."""
    return [
        ("moments", lambda: chaos_moments.run(show)),
        ("soak", lambda: soak.run(soak.Size(minutes=size.soak_minutes))),
    ]


def _all_done(parts: Sequence[Part], memory: Memory, only: Sequence[str]) -> list[Line]:
    """The lines of these parts, or of those named alone. A part that breaks is a line too."""
    lines: list[Line] = []
    for name, part in parts:
        if only and name not in only:
            continue
        try:
            lines += _done(name, part, memory)
        except Exception as error:  # noqa: BLE001  (one broken part must not hide the others)
            told = f"broke: {type(error).__name__}: {error}"[:300]
            show(f"{name}: {told}\n{''.join(traceback.format_exception(error))}")
            lines.append(Line(f"part {name}", told, False))
    return lines


def _done(name: str, part: Callable[[], list[Line]], memory: Memory) -> list[Line]:
    """The lines of a part, remembered or measured now."""
    known = memory.lines(name)
    if known:
        show(f"{name}: done before on this code")
        return known
    began = time.monotonic()
    show(f"{name}:")
    found = part()
    show(f"{name}: {time.monotonic() - began:.0f} s")
    memory.keep(name, found)
    return found


def _histories(pool: ProcessPoolExecutor, seeds: int, memory: Memory) -> list[Line]:
    """L2 in chunks, each remembered."""
    found = Histories(**memory.load("histories"))
    while found.seeds < seeds:
        last = min(seeds, found.seeds + CHUNK)
        chaos_simulated.histories(pool, show, range(found.seeds, last), found)
        memory.save("histories", asdict(found))
        show(f"  L2     {found.seeds} of {seeds} seeds, {len(found.failed)} failed")
    return found.lines()


def _transitions(size: Size) -> list[Line]:
    return chaos_transitions.run(size.transitions, 1, show, minutes=size.edit_minutes)


def _proxy(size: Size) -> list[Line]:
    chosen = chaos_sieve.whole if size.whole_sieve else chaos_sieve.sample(0)
    with chaos_proxy.world_of(show) as world:
        wanted = cases(range(size.proxy_cases))
        lines = chaos_proxy.campaign(world, wanted, chaos_proxy.AT_ONCE, show, size.proxy_minutes)
        return lines + chaos_sieve.sieved(world, chosen, show)


def _again(word: str, seed: int) -> int:
    if word == "planner":
        _, told = lived(seed, chaos_simulated.EXAMPLES)
        print(told or "nothing was violated")
        return 1 if told else 0
    print(planned(seed))
    found = run_seed(seed)
    print("\n".join(found) or "nothing was violated")
    return 1 if found else 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="everything, for hours")
    parser.add_argument("--only", default="", metavar="PART,...", help="these parts alone")
    parser.add_argument("--fresh", action="store_true", help="forget what ran before")
    parser.add_argument("--procs", type=int, default=2)
    parser.set_defaults(word="", seed=0)
    words = parser.add_subparsers(dest="word", metavar="replay | planner")
    for word in ("replay", "planner"):
        words.add_parser(word).add_argument("seed", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
