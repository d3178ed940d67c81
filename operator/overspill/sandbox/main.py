"""The command line of the sandbox, shared by `overspill sandbox` and `python -m overspill.sandbox`.

Prints where it listens as its first line, then one example, and serves until interrupted.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

from overspill.sandbox import markets
from overspill.sandbox.app import SandboxApp, serve
from overspill.sandbox.faults import HTTP_ACTIONS, MARKET_ACTIONS
from overspill.sandbox.options import SandboxOptions

DESCRIPTION = """\
Serves stand-ins for the GPU markets' real APIs on this machine: no account, no money.
Each market (--market) listens on a port of its own, with its own paths, keys, units and errors.
Hosts, prices and failures are simulated; one append-only ledger records what every lease would
have cost."""

EPILOG = """\
control surface (JSON over HTTP, beside the paths of every market):
  GET  /_sandbox/summary            open leases, counts and USD per key, doubles
  GET  /_sandbox/ledger             every entry, oldest first (?since=N)
  GET  /_sandbox/hosts              the simulated hosts
  POST /_sandbox/hosts/H/kill       the host vanishes {"close_after_s": 60, "reason": "unstable"}
  POST /_sandbox/hosts/H/revive     it is back, with empty disks
  POST /_sandbox/hosts/H/price      {"usd_per_gpu_hour": "2.10"}
  POST /_sandbox/clock/advance      {"seconds": 600}
  POST /_sandbox/wallet             {"usd": "0.20", "market": "vast"} (none named: every account)
  POST /_sandbox/leases/L/cut       cut the lease's network; /heal mends it (L: id or key)
  POST /_sandbox/leases/L/close     the host ends it {"reason": "decommission", "after_s": 5}
  POST /_sandbox/leases/L/reclaim   the host takes it back {"window_s": 3600}
  POST /_sandbox/leases/L/finish    its programs exit {"exit_code": 1}
  GET  /_sandbox/leases/L/logs      what its programs printed
  POST /_sandbox/faults             {"action": A, "method": "POST", "path": "/v1/leases",
                                     "key": REGEX, "market": "akash", "count": 1, "after": 0,
                                     "probability": 1, "seed": 0, "for_s": 60,
                                     ...what the action takes}
fault actions:
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every option, with its default in its help."""
    add = parser.add_argument
    add(
        "--market",
        default="akash",
        metavar="A,B",
        help=f"the markets to serve, of {', '.join(markets.known())} (%(default)s)",
    )
    add(
        "--listen",
        default="127.0.0.1:0",
        help="address:port of the first market, the others on the ports after it; 0: free ones",
    )
    add("--api-key", default="sandbox-key", help="the key clients must send (%(default)s)")
    add("--ledger", type=Path, help="append the ledger to this file, one JSON object a line")
    add("--supply", type=Path, help="YAML or JSON file of hosts and events; default: built in")
    add(
        "--supply-trace",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a market's listings (.jsonl, .jsonl.gz) or a spot market's availability (.json), "
        "replayed as hosts instead of the built-in ones; can be given several times",
    )
    add("--seed", type=int, default=0, help="seed of bids, prices and churn (%(default)s)")
    add("--time-scale", type=float, default=1.0, help="sandbox seconds per real second")
    add("--wallet-usd", type=Decimal, default=Decimal(10_000), help="money in the account")
    add("--deposit-usd", type=Decimal, default=Decimal(5), help="escrow of each deployment")
    add("--trial", action="store_true", help="a trial account: a create closes lease-less ones")
    add(
        "--allow-exec",
        action="store_true",
        help="really run the leases' commands as processes on THIS machine; images are not pulled",
    )
    add("--no-exec", dest="allow_exec", action="store_false", help="run nothing (default)")
    add("--no-isolation", action="store_true", help="with --allow-exec: no namespaces")
    add("--bridge-cidr", default="", help="subnet of the leases' networks; default: a free one")
    add(
        "--share",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a directory below /tmp that leases may read (their /tmp is otherwise their own)",
    )
    add(
        "--until-stdin-closes",
        action="store_true",
        help="also stop when standard input ends: with whoever started it, however that ends",
    )
    add(
        "--restart-backoff",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="pause before an exited command's second restart, doubled after (%(default)s)",
    )


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    """The stand-alone parser."""
    made = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(made)
    return made


def epilog() -> str:
    """The control surface and every fault action, for `--help`."""
    actions = {**HTTP_ACTIONS, **MARKET_ACTIONS, **markets.faults()}
    return EPILOG + "\n".join(f"  {name:27} {text}" for name, text in actions.items())


def options_from(args: argparse.Namespace) -> SandboxOptions:
    """The options of parsed arguments."""
    host, _, port = str(args.listen).rpartition(":")
    return SandboxOptions(
        host=host or "127.0.0.1",
        port=int(port),
        api_key=args.api_key,
        ledger=args.ledger,
        supply=args.supply,
        supply_traces=tuple(args.supply_trace),
        seed=args.seed,
        time_scale=args.time_scale,
        allow_exec=args.allow_exec,
        isolate=not args.no_isolation,
        bridge_cidr=args.bridge_cidr,
        share=tuple(args.share),
        restart_backoff_s=args.restart_backoff,
        wallet_usd=args.wallet_usd,
        deposit_usd=args.deposit_usd,
        trial=args.trial,
        until_stdin_closes=args.until_stdin_closes,
        markets=tuple(filter(None, str(args.market).split(","))),
    )


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM."""
    try:
        options = options_from(args)
        asyncio.run(serve(options, lambda app: _until_told(app, options)))
    except (OSError, TypeError, ValueError) as error:
        sys.stderr.write(f"The sandbox could not start: {error}\n")
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """`python -m overspill.sandbox`."""
    return run(parser("overspill sandbox").parse_args(argv))


async def _until_told(app: SandboxApp, options: SandboxOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, stop)
    facts = {"url": app.world.base_url, "api_key": options.api_key, "urls": app.urls}
    sys.stdout.write(json.dumps({**facts, **app.facts()}) + "\n")
    for market in app.markets.values():
        url = market.world.base_url
        sys.stdout.write(f"{market.name} listens on {url}. Try:\n")
        sys.stdout.write(f"  {_filled(market.example, url, options.api_key)}\n")
    for note in app.notes():
        sys.stdout.write(note + "\n")
    sys.stdout.flush()
    await stop.wait()


def _filled(example: str, url: str, key: str) -> str:
    return example.replace("{url}", url).replace("{key}", key)


def _stop_at_end(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()
