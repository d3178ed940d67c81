"""`python -m benchmarks.chaos_crashes [--markets M,M] [--zombies] [--sample N]` (L3, L3z).

Kills the operator by kill -9 before and after every call that a burst makes, on a real control
plane and on each market; with `--zombies` it pauses a leader there instead, lets another finish,
and wakes it up. The judge is the market's ledger.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.deaths import (
    FAST_ELECTION,
    Pause,
    assert_spared,
    hurry,
    kill_at_each,
    passages,
)

from benchmarks.chaos_lines import Line, print_lines
from overspill.testing.bed import Bed, BedOptions
from overspill.testing.markets import market_stack
from overspill.testing.stack import Stack

Show = Callable[[str], None]
MARKETS = ("akash", "vast", "runpod", "salad")
"""Each with a create of its own: class B in steps, by label, by name; Salad is class A."""


@dataclass(frozen=True)
class Campaign:
    """What is run. `sample` passages of each market, drawn by `seed`; 0 means all."""

    markets: tuple[str, ...] = MARKETS
    zombies: bool = False
    sample: int = 0
    seed: int = 1
    sites: tuple[str, ...] = ()
    """These and no others."""


def main(argv: Sequence[str] | None = None) -> int:
    """0 when nothing was leaked or doubled."""
    lines = run(_parsed(argv), lambda text: print(text, flush=True))
    print_lines(lines)
    return 0 if all(line.is_met for line in lines) else 1


def run(campaign: Campaign, show: Show) -> list[Line]:
    """One line for each market."""
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        bed = closing.enter_context(Bed.start(BedOptions(real_node="no"), show))
        stack = closing.enter_context(market_stack(bed, folder, campaign.markets, FAST_ELECTION))
        hurry(stack)
        act = _zombies if campaign.zombies else _deaths
        return [act(stack, market, _sites(campaign, market), show) for market in campaign.markets]


def _sites(campaign: Campaign, market: str) -> list[str]:
    """Money first: a sample holds every passage of the create, whatever else it holds."""
    every = list(campaign.sites or passages(market))
    if not campaign.sample:
        return every
    first = [site for site in every if ".open:" in site][: campaign.sample]
    rest = [site for site in every if site not in first]
    dice = random.Random(campaign.seed)  # noqa: S311  (a seed, so that it can be repeated)
    return first + dice.sample(rest, campaign.sample - len(first))


def _deaths(stack: Stack, market: str, sites: Sequence[str], show: Show) -> Line:
    began = time.monotonic()
    with stack.cluster.namespace(f"deaths-{market}") as namespace:
        try:
            missed = kill_at_each(stack, namespace, market, sites, show)
            assert_spared(stack, namespace)
        except (AssertionError, TimeoutError) as error:
            show(f"  L3     {market}: {error}")
            return Line(f"L3 kill -9, {market}", f"FAILED: {error}"[:300], is_met=False)
    passed = len(sites) - len(missed)
    told = f"{passed} deaths, 0 leaks, 0 doubles, {len(missed)} passages not met"
    return Line(f"L3 kill -9, {market}", _timed(told, began), passed > 0)


def _zombies(stack: Stack, market: str, sites: Sequence[str], show: Show) -> Line:
    began, woken, wrong = time.monotonic(), 0, []
    with stack.cluster.namespace(f"zombies-{market}") as namespace:
        pause = Pause.beside(stack)
        for site in sites:
            try:
                is_woken = pause.at(namespace, market, site)
                assert_spared(stack, namespace)
            except (AssertionError, TimeoutError) as error:
                wrong.append(site)
                show(f"  L3z    {site}: {error}\n    replay: {_replay(market, site)}")
            else:
                woken += is_woken
                show(f"  L3z    {site}: {'nothing wrong' if is_woken else 'never passed'}")
    told = f"{woken} woken, {len(wrong)} violations {wrong or ''}"
    return Line(f"L3z paused leader, {market}", _timed(told, began), woken > 0 and not wrong)


def _replay(market: str, site: str) -> str:
    return f"python -m benchmarks.chaos_crashes --zombies --markets {market} --site {site}"


def _timed(told: str, began: float) -> str:
    return f"{told} in {time.monotonic() - began:.0f} s"


def _parsed(argv: Sequence[str] | None) -> Campaign:
    parser = argparse.ArgumentParser(prog="chaos_crashes", description=__doc__)
    parser.add_argument("--markets", default=",".join(MARKETS))
    parser.add_argument("--zombies", action="store_true", help="pause instead of killing")
    parser.add_argument("--sample", type=int, default=0, help="so many of each market; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--site", action="append", default=[], help="SITE:MOMENT:N; these alone")
    args = parser.parse_args(argv)
    markets, sites = tuple(args.markets.split(",")), tuple(args.site)
    return Campaign(markets, args.zombies, args.sample, args.seed, sites)


if __name__ == "__main__":
    sys.exit(main())
