"""`python -m benchmarks.markets_tour` (`make markets-tour`): one GPUJob, every market in turn.

On each: quoted, leased, Running, its log read, Complete, closed; then the market's own ledger is
held against the operator's books. Ends with 0 only when all of that was so on every market.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks import markets_world as worlds
from benchmarks.markets_world import Json, NotSo, World
from overspill.cli.errors import CliError
from overspill.cli.market_logs import market_log

SETUP = "set-up"
CENT = Decimal("0.01")
GPU = "rtx4090"
"""The one card that every market sells."""

MARK = "the tour came to"

SILENT = frozenset({"shadeform"})
"""Markets whose API gives no log; that of every other one must be read."""


@dataclass
class Stop:
    """One market, as the tour found it."""

    market: str
    offers: int = 0
    quoted: str = ""
    paid: str = ""
    running_s: float = 0.0
    log: str = ""
    ended_s: float = 0.0
    closed_s: float = 0.0
    ledger_usd: Decimal = Decimal(0)
    books_usd: Decimal = Decimal(0)
    problems: list[str] = field(default_factory=list)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = worlds.chosen(argv, __doc__)
    with worlds.opened(args.names, [SETUP, *args.names], {}) as world:
        stops = [_visited(world, market) for market in args.names]
    print(table(stops))
    return 1 if any(stop.problems for stop in stops) else 0


def _visited(world: World, market: str) -> Stop:
    stop = Stop(market)
    world.view.act(market, f"the job {market} rents one {GPU}")
    try:
        _visit(world, stop)
    except NotSo as error:
        stop.problems.append(str(error))
        world.view.note(f"not so on {market}: {error}")
    return stop


def _visit(world: World, stop: Stop) -> None:
    name, namespace = stop.market, f"tour-{stop.market}"
    stop.offers = world.until(lambda: _offers(world, name), f"offers of {name}", 60)
    world.bed.kubectl("create", "namespace", namespace)
    script = f"echo {MARK} $OVERSPILL_JOB; nvidia-smi -L; sleep 6"
    began = time.monotonic()
    world.stack.apply_job(
        namespace, name, worlds.spec(name, script, gpu={"count": 1, "models": [GPU]})
    )
    world.until_phase(namespace, name, "Running")
    stop.running_s = time.monotonic() - began
    lease = next(x for x in world.leases(namespace, name) if x["status"].get("activeSinceTime"))
    stop.quoted = lease["spec"]["offer"]["pricePerHourUSD"]
    stop.paid = lease["status"]["pricePerHourUSD"]
    world.view.check(f"{name} runs it", f"{stop.paid} USD/h at {lease['spec']['offer']['place']}")
    stop.log = world.until(lambda: _log(world, namespace, lease), f"the log on {name}", 20)
    if (stop.log == "none") != (name in SILENT):
        stop.problems.append(f"its log: {stop.log}")
    world.until_phase(namespace, name, "Complete")
    stop.ended_s = time.monotonic() - began
    leases = world.until_settled(namespace, name)
    stop.closed_s = time.monotonic() - began
    money = worlds.money_of(world, leases, CENT)
    stop.ledger_usd, stop.books_usd = money.ledger_usd, money.books_usd
    stop.problems += money.problems
    if money.active != 1:
        stop.problems.append(f"{money.active} leases ran")
    if not stop.problems:
        world.view.check(f"{name} is closed", f"ledger {money.ledger_usd:.4f} USD")


def _offers(world: World, market: str) -> int:
    return int(world.account(market).get("status", {}).get("offersSeen", 0))


def _log(world: World, namespace: str, lease: Json) -> str:
    """`read` once the job's own line is in it; "" while it is not; `none` where there is no log."""
    try:
        lines = list(market_log(world.cluster(namespace), lease, follow=False, tail=None))
        return "read" if any(MARK.encode() in line for line in lines) else ""
    except CliError as error:
        if "gives no log" in str(error):
            return "none"
        raise NotSo(f"its log could not be read: {error}") from error


_COLUMNS: Sequence[tuple[str, int, Callable[[Stop], str]]] = (
    ("MARKET", -10, lambda s: s.market),
    ("OFFERS", 6, lambda s: str(s.offers)),
    ("QUOTED/H", 9, lambda s: _usd(s.quoted)),
    ("PAID/H", 8, lambda s: _usd(s.paid)),
    ("RUNNING", 8, lambda s: _seconds(s.running_s)),
    ("LOG", 5, lambda s: s.log),
    ("DONE", 7, lambda s: _seconds(s.ended_s)),
    ("CLOSED", 7, lambda s: _seconds(s.closed_s)),
    ("LEDGER", 8, lambda s: f"{s.ledger_usd:.4f}"),
    ("BOOKS", 8, lambda s: f"{s.books_usd:.4f}"),
    ("VERDICT", -9, lambda s: "NOT SO" if s.problems else "ok"),
)


def table(stops: Sequence[Stop]) -> str:
    """The summary, at most 100 columns wide; prices in USD."""
    lines = ["", " ".join(_cell(title, width) for title, width, _ in _COLUMNS)]
    lines += [" ".join(_cell(of(s), width) for _, width, of in _COLUMNS).rstrip() for s in stops]
    ledger = sum((s.ledger_usd for s in stops), Decimal(0))
    books = sum((s.books_usd for s in stops), Decimal(0))
    lines += ["", f"all markets: ledger {ledger:.4f} USD, books {books:.4f} USD"]
    lines += [f"{s.market}: {problem}" for s in stops for problem in s.problems]
    return "\n".join(lines)


def _cell(text: str, width: int) -> str:
    return f"{text:<{-width}}" if width < 0 else f"{text:>{width}}"


def _usd(text: str) -> str:
    return f"{Decimal(text):.4f}" if text else "-"


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value else "-"


if __name__ == "__main__":
    sys.exit(main())
