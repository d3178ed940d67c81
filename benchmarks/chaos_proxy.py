"""L4 and L4s of the fault campaign, on the real control plane: an HTTP fault proxy before the API
server and before the markets.

    python -m benchmarks.chaos_proxy [--cases N] [--seed S] [--sieve all|sample|no]
    python -m benchmarks.chaos_proxy --cases 24 --markets vast --sieve no
    python -m benchmarks.chaos_proxy --cases 0 --only NAME

A case is one seed: a rule set of `testing/faultproxy/rules.yaml`, its dice, and a namespace with a
job at home and one at each of two markets. Every failure prints its seed and what replays it.
L4s drops each event of a reference run once, and restarts the operator into the past.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.chaos_lines import Line, print_lines
from benchmarks.chaos_sieve import Chosen, only, sample, sieved, whole
from overspill.testing.bed import Bed, BedOptions
from overspill.testing.faultproxy.campaign import Case, cases, run_wave
from overspill.testing.faultproxy.manifests import MARKETS
from overspill.testing.faultproxy.world import World, opened

AT_ONCE = 6
"""Cases that share the operator at a time."""
SIEVE_ALL_FROM = 100
"""With so many cases, all of L4s runs too; with fewer, a sample."""

Show = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every goal is met."""
    args = _parsed(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the bed and the operator too
    began = time.monotonic()
    with world_of(print, args.logs) as world:
        wanted = cases(range(args.seed, args.seed + args.cases), markets=args.markets)
        lines = campaign(world, wanted, args.at_once, print, args.minutes) if wanted else []
        if (chosen := _chosen(args)) is not None:
            lines += sieved(world, chosen, print)
    print_lines(lines)
    print(f"took {time.monotonic() - began:.0f} s")
    return 0 if all(line.is_met for line in lines) else 1


def run(cases_wanted: int, seed: int, show: Show) -> list[Line]:
    """So many cases from a seed on, and L4s to match, on a bed of their own; the table's lines."""
    chosen = whole if cases_wanted >= SIEVE_ALL_FROM else sample(seed)
    with world_of(show) as world:
        lines = campaign(world, cases(range(seed, seed + cases_wanted)), AT_ONCE, show)
        return lines + sieved(world, chosen, show)


@contextmanager
def world_of(show: Show, logs: Path | None = None) -> Iterator[World]:
    """A control plane, an operator and two markets behind proxies, ended on the way out."""
    with (
        tempfile.TemporaryDirectory(prefix="overspill-proxy-") as folder,
        Bed.start(BedOptions(real_node="no"), show) as bed,
        opened(bed, logs or Path(folder)) as world,
    ):
        yield world


def campaign(
    world: World, wanted: Sequence[Case], at_once: int, show: Show, minutes: float = float("inf")
) -> list[Line]:
    """L4: the cases in waves; none begins after so many minutes."""
    done: list[Case] = []
    until = time.monotonic() + minutes * 60
    for first in range(0, len(wanted), at_once):
        if time.monotonic() > until:
            break
        wave = run_wave(world, wanted[first : first + at_once])
        done += wave.cases
        for case in wave.cases:
            show(_told(case))
        took = f"{wave.took_s:.0f} s, at rest {wave.rest_s:.0f} s after the faults"
        show(f"  proxy  {len(done)}/{len(wanted)} cases, the last {len(wave.cases)} in {took}")
    return _lines(world, done)


def _told(case: Case) -> str:
    struck = sum(case.lane.struck.values())
    head = f"  proxy  seed {case.seed:<5} {case.rules.name:22} {struck:4} faults"
    if not case.violations:
        return f"{head}  clean"
    return "\n".join(
        [f"{head}  FAILED", *(f"    {v}" for v in case.violations), f"    replay: {case.replay}"]
    )


def _lines(world: World, done: Sequence[Case]) -> list[Line]:
    found = Counter(v.split(":")[0] for case in done for v in case.violations)
    faults = sum(sum(case.lane.struck.values()) for case in done)
    money = found["leak"] + found["I1"] + found["I2"] + found["I4"]
    failed = sum(1 for case in done if case.violations)
    beyond = [case for case in done if case.rules.beyond]
    surplus = sum(case.surplus for case in beyond)
    longest = max((case.surplus_s for case in beyond), default=0.0)
    left = sum(1 for case in beyond if any(v.startswith("leak") for v in case.violations))
    untouched = sum(1 for case in done if not case.lane.struck)
    restarts = sum(world.exits.values())
    told = f"{len(done)} cases, {faults} faults ({untouched} met none), {restarts} restarts"
    return [
        Line("L4 0 leaks, 0 doubles", f"{money} in {told}", money == 0),
        Line(
            "L4 surplus beyond the quarantine is ended",
            f"{surplus} in {len(beyond)} cases, the longest {longest:.0f} s, {left} left at rest",
            left == 0,
        ),
        Line("L4 0 wrongful terminations", f"{found['I6']} in {len(done)} cases", not found["I6"]),
        Line("L4 cost recorded = billed", f"{found['I9']} differ", not found["I9"]),
        Line("L4 every job ends, all invariants", f"{failed} cases failed", failed == 0),
    ]


def _chosen(args: argparse.Namespace) -> Chosen | None:
    if args.only:
        return only(args.only)
    return {"all": whole, "sample": sample(args.seed), "no": None}[args.sieve]


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument(
        "--markets", type=_markets, default=tuple(MARKETS), help="of the cases, not of L4s: a,b"
    )
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="begin no wave after so many"
    )
    parser.add_argument("--sieve", choices=("all", "sample", "no"), default="sample")
    parser.add_argument("--only", metavar="NAME", help="one case of L4s, as its failure names it")
    parser.add_argument("--logs", type=Path, help="keep the operator's and the sandbox's log here")
    return parser.parse_args(arguments)


def _markets(text: str) -> tuple[str, ...]:
    named = tuple(text.split(","))
    if unknown := set(named) - set(MARKETS):
        raise argparse.ArgumentTypeError(f"no market of the campaign: {sorted(unknown)}")
    return named


if __name__ == "__main__":
    sys.exit(main())
