"""`python -m demo.trace` (`make demo-trace`): a real GPU trace, replayed on a cluster and a market.

Ends with 0 only when every job ended Complete or with a stated reason, and the market's ledger
equals the operator's books: no orphan, no double. 2: the trace is not on this machine.
"""

# ruff: noqa: A005  (run as demo.trace only; that is the name of what it does)
from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from demo import trace_input, trace_verdict, trace_world
from demo.trace_input import Wish
from demo.trace_play import Player
from demo.trace_verdict import Verdict

ARRIVALS_S = 150.0
LONGEST_S = 90
LOSSES = 4
LIMIT_S = 300.0
SHOWN_PROBLEMS = 20


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = _parser().parse_args(argv)
    try:
        wish = Wish(args.jobs, args.nodes, args.seed, args.arrivals, args.longest)
        sample = trace_input.sample(wish)
    except trace_input.TraceMissingError as error:
        print(error, file=sys.stderr)
        return 2
    began = time.monotonic()
    _tell("\n".join(f"trace: {note}" for note in sample.notes))
    with trace_world.opened(sample, args.seed, _tell) as world:
        story = Player(world, args.seed, args.losses, _tell).play(args.limit)
        verdict = trace_verdict.judge(story, world.market.ledger())
    verdict.figures |= {
        "nodes": len(sample.nodes),
        "gpus": sample.gpus,
        "replay_seconds": round(story.seconds, 1),
        "seconds": round(time.monotonic() - began, 1),
        "notes": list(sample.notes),
        "problems": verdict.problems,
    }
    if args.summary:
        args.summary.write_text(json.dumps(verdict.figures, indent=2) + "\n")
    return _report(verdict)


def _report(verdict: Verdict) -> int:
    for title, rows in verdict.tables:
        print(f"\n{title}")
        for row in rows:
            print(f"  {row}")
    f = verdict.figures
    print(
        f"\n{f['jobs']} jobs on {f['nodes']} nodes with {f['gpus']} GPUs in {f['seconds']} s; "
        f"{f['jobs_overspilt']} overspilt, {len(f['nodes_lost'])} nodes lost, "
        f"{f['jobs_that_lost_a_place']} jobs went on elsewhere, {f['moves']} moves"
    )
    for problem in verdict.problems[:SHOWN_PROBLEMS]:
        print(f"Not as it should be: {problem}", file=sys.stderr)
    if len(verdict.problems) > SHOWN_PROBLEMS:
        print(f"... and {len(verdict.problems) - SHOWN_PROBLEMS} more", file=sys.stderr)
    return 1 if verdict.problems else 0


def _tell(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.trace", description=__doc__)
    add = parser.add_argument
    add("--jobs", type=int, default=320)
    add("--nodes", type=int, default=100)
    add("--seed", type=int, default=0, help="which part of the trace; 0: the richest in gangs")
    add("--losses", type=int, default=LOSSES, help="nodes lost during the run (%(default)s)")
    add("--arrivals", type=float, default=ARRIVALS_S, help="seconds in which all jobs come")
    add("--longest", type=int, default=LONGEST_S, help="seconds of the longest job (%(default)s)")
    add("--limit", type=float, default=LIMIT_S, help="seconds after the last job came")
    add("--summary", type=Path, metavar="FILE", help="write the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
