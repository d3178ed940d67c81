"""`simulate HISTORY`: what Overspill would have done with a history of jobs, and at what cost.

Reads CSV files and writes a table, JSON or an HTML report; no cluster is asked. Every decision is
`plan()`'s own.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from overspill.cli import render, simulate_table
from overspill.cli.errors import CliError
from overspill.cli.export_history import CLASSES
from overspill.core.gpus import canonical_model
from overspill.core.sla import SlaClass
from overspill.kube.mapping import Unreadable, read_class
from overspill.simulate import reading
from overspill.simulate.history import UNLIMITED, History, Kind, OwnNode, Place, constant
from overspill.simulate.replay import Outcome, Pace, replay
from overspill.simulate.report import Shown, page
from overspill.simulate.scenario import POLICIES, SHIPPED, Scenario, ScenarioError, scenario
from overspill.simulate.summary import course, summary

_KINDS: dict[str, Kind] = {"ondemand": "ondemand", "spot": "spot", "p2p": "p2p"}


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "simulate",
        help="what Overspill would have done with a history of jobs, and what it would cost",
        description="Replays a job history (CSV) through the operator's own decision function. "
        "docs/simulate.md lists the columns.",
    )
    parser.add_argument(
        "history",
        metavar="HISTORY",
        type=Path,
        help="a CSV file of jobs, or a "
        "directory with jobs.csv, own_nodes.csv, places.csv and so on",
    )
    _add_supply(parser)
    _add_assumptions(parser)
    scenarios = parser.add_argument_group("scenarios")
    scenarios.add_argument(
        "--scenario",
        default="overspill",
        metavar="WORDS",
        help=f"{', '.join(POLICIES)} and CLASS.FIELD=VALUE, comma-separated",
    )
    scenarios.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="WORDS",
        help="another scenario for the same history; may be repeated",
    )
    out = parser.add_argument_group("output")
    out.add_argument("--html", type=Path, metavar="FILE", help="also write a report with plots")
    out.add_argument("-o", "--output", choices=("table", "json"), default="table")
    out.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_supply(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what there is to run on")
    group.add_argument("--own", metavar="NODESxGPUS[:MODEL]", help="own nodes, such as 64x8:h100")
    group.add_argument(
        "--own-rate",
        type=float,
        default=0.10,
        metavar="USD",
        help="what an own GPU costs per hour while it works (default 0.10)",
    )
    group.add_argument(
        "--markets",
        type=Path,
        metavar="DIR",
        help="a directory with places.csv, and price.csv and capacity.csv",
    )
    group.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="NAME:KIND:USD[:GPUS[:MODEL]]",
        help="a place to rent: KIND is ondemand, spot or p2p, USD per GPU and hour",
    )
    group.add_argument(
        "--reference",
        type=float,
        metavar="USD",
        help="price per GPU and hour to compare with (default: cheapest ondemand)",
    )


def _add_assumptions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where the history is silent")
    group.add_argument("--sla", default="standard", help="SLA class of jobs without one")
    group.add_argument(
        "--finish-within",
        type=float,
        metavar="FACTOR",
        help="finish-by as a multiple of the run time, for jobs without one",
    )
    group.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=1800.0,
        metavar="N",
        help="between checkpoints; 0: no job checkpoints (default 1800)",
    )
    group.add_argument(
        "--step",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="decisions are made at most this often (default 60)",
    )


def run(args: argparse.Namespace) -> int:
    """Reads, replays every scenario, prints."""
    try:
        history = history_of(args)
        classes = _classes(args)
        found = [scenario(words, classes) for words in (args.scenario, *args.compare)]
        _check_classes(history, classes)
    except (reading.ReadingError, ScenarioError) as error:
        raise CliError(str(error)) from error
    outcomes = [_replayed(history, one, args) for one in found]
    summaries = [summary(outcome, args.reference) for outcome in outcomes]
    if args.html:
        shown = [Shown(s, course(o)) for s, o in zip(summaries, outcomes, strict=True)]
        _write(args.html, page(history, shown, history.notes))
    if args.output == "json":
        render.print_json(simulate_table.documents(summaries))
    else:
        simulate_table.show(render.console(), summaries, history.notes)
    return 0


def history_of(args: argparse.Namespace) -> History:
    """Everything the files and flags tell, with the assumptions spelled out."""
    folder = args.history if args.history.is_dir() else None
    file = args.history / "jobs.csv" if folder else args.history
    clock = reading.clock_of(file)
    interval = args.checkpoint_seconds or None
    defaults = reading.Defaults(sla=args.sla, interval_s=interval, slack=args.finish_within)
    history = History(
        jobs=reading.jobs(file, clock, defaults),
        nodes=_nodes(args, folder),
        places=[*_places(args, folder, clock), *(_place(words) for words in args.place)],
        own_usd_per_gpu_h=args.own_rate,
    )
    if folder and (folder / "own_faults.csv").exists():
        history = replace(history, faults=reading.own_faults(folder / "own_faults.csv", clock))
    if clock.origin is not None:
        history = replace(history, origin=clock.origin)
    if not history.nodes and not history.places:
        raise CliError("There is nothing to run on: give --own, --place or --markets.", 2)
    return replace(history, notes=_notes(args, history))


def _classes(args: argparse.Namespace) -> Mapping[str, SlaClass]:
    """The classes of the cluster the history came from, else those that ship with Overspill."""
    file = args.history / CLASSES if args.history.is_dir() else None
    if file is None or not file.exists():
        return SHIPPED
    try:
        found = [read_class(obj) for obj in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, Unreadable) as error:
        raise CliError(f"{file} does not hold SLAClasses: {error}") from error
    return {one.name: one for one in found}


def _check_classes(history: History, classes: Mapping[str, SlaClass]) -> None:
    for job in history.jobs:
        if job.sla not in classes:
            known = ", ".join(classes)
            raise CliError(f"Job {job.name} names the SLA class {job.sla!r}; known are {known}.")


def _nodes(args: argparse.Namespace, folder: Path | None) -> list[OwnNode]:
    if args.own:
        size, _, model = args.own.partition(":")
        nodes, _, gpus = size.partition("x")
        if not (nodes.isdecimal() and gpus.isdecimal()):
            raise CliError(f"--own is {args.own!r}, not NODESxGPUS[:MODEL] such as 64x8:h100.", 2)
        name = canonical_model(model or "gpu")
        return [OwnNode(f"node-{i}", int(gpus), name) for i in range(int(nodes))]
    if folder and (folder / "own_nodes.csv").exists():
        return reading.own_nodes(folder / "own_nodes.csv")
    return []


def _places(args: argparse.Namespace, folder: Path | None, clock: reading.Clock) -> list[Place]:
    where = args.markets or folder
    if where is None or not (where / "places.csv").exists():
        if args.markets:
            raise CliError(f"There is no places.csv in {args.markets}.", 2)
        return []
    return reading.places(where, clock)


def _place(words: str) -> Place:
    name, kind, price, gpus, model = (words.split(":") + [""] * 5)[:5]
    try:
        return Place(
            name,
            _KINDS[kind],
            canonical_model(model or "gpu"),
            constant(float(price)),
            constant(float(gpus or UNLIMITED)),
        )
    except (KeyError, ValueError) as error:
        told = f"--place is {words!r}, not NAME:KIND:USD[:GPUS[:MODEL]]."
        raise CliError(told, 2) from error


def _replayed(history: History, one: Scenario, args: argparse.Namespace) -> Outcome:
    progress = _Progress(one.name, len(history.jobs), quiet=args.quiet)
    outcome = replay(history, one, Pace(step_s=args.step), progress.tell)
    progress.close(outcome.plans)
    return outcome


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"Writing the report failed: {error}") from error
    print(f"The report is in {path}.", file=sys.stderr)


def _notes(args: argparse.Namespace, history: History) -> tuple[str, ...]:
    told = [
        "Every decision is the operator's own; it does not know the future of the history.",
        "A job's run time in the history is taken as its estimate and as the work it really is, "
        "on every GPU model alike.",
        f"An own GPU costs {args.own_rate:.2f} USD per hour while it works, and nothing idle. "
        "A rented lease keeps the price it was opened at; starts are charged.",
        f"Jobs without a class are {args.sla}; "
        + (
            "jobs without a finish-by have none."
            if args.finish_within is None
            else f"jobs without a finish-by get {args.finish_within:g} times their run time."
        ),
        "A loss destroys the work since the last checkpoint"
        + (
            f" (every {args.checkpoint_seconds:g} s)."
            if args.checkpoint_seconds
            else "; no job checkpoints."
        ),
        "A finish-by that cannot be kept counts as missed, and the job goes on without it.",
        "The reference price is "
        + (
            f"{args.reference:.2f} USD per GPU-hour"
            if args.reference is not None
            else "the cheapest place on demand at the time of submission"
        )
        + ", for the useful GPU-hours of the jobs that finished.",
    ]
    if any(p.price.period_s or p.gpus.period_s for p in history.places):
        told.append("Prices and capacity start again from their beginning where they end.")
    return tuple(told)


class _Progress:
    """How far it is, on stderr: one line that changes on a terminal, else one every ten seconds."""

    def __init__(self, name: str, total: int, *, quiet: bool) -> None:
        self._name, self._total, self._quiet = name, total, quiet
        self._is_terminal = sys.stderr.isatty()
        self._every_s = 0.5 if self._is_terminal else 10.0
        self._began = self._said = time.monotonic()

    def tell(self, done: int, second: float) -> None:
        now = time.monotonic()
        if self._quiet or now - self._said < self._every_s:
            return
        self._said = now
        left = (now - self._began) / max(done, 1) * (self._total - done)
        about = f", about {left:.0f} s left" if done * 50 > self._total else ""
        day = second / 86400
        self._say(f"{self._name}: {done:,} of {self._total:,} jobs, day {day:.1f}{about}")

    def close(self, plans: int) -> None:
        took = time.monotonic() - self._began
        if not self._quiet:
            self._say(f"{self._name}: {self._total:,} jobs, {plans:,} plans, {took:.1f} s", "\n")

    def _say(self, text: str, end: str = "") -> None:
        if self._is_terminal:
            print(f"\r{text:<99}", end=end, file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
