"""`import-sdl FILE`: turns an Akash SDL into a GPUJob, or says line by line why not.

Reads a file and prints YAML; no cluster is asked.
"""

import argparse
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from overspill.cli.errors import CliError
from overspill.cli.import_sdl_job import Imported, Wish, imported
from overspill.core.vocabulary import Workload

STDIN = "-"


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "import-sdl",
        help="turn an Akash SDL into a GPUJob",
        description="Prints the GPUJob that an Akash SDL asks for, with comments about what is "
        "not carried over. What a GPUJob cannot say is refused, with the line where it stands.",
    )
    parser.add_argument("file", metavar="FILE", help="the SDL; - reads from standard input")
    parser.add_argument("--name", default="", help="name of the GPUJob (default: the service's)")
    parser.add_argument(
        "--workload",
        type=Workload,
        choices=list(Workload),
        help="default: Inference when a port is open to the world, else Batch",
    )
    parser.add_argument(
        "--max-total-usd", default="", metavar="USD", help="budget.maxTotalUSD; needed to burst"
    )
    parser.add_argument(
        "--akt-usd", type=_usd, metavar="USD", help="what one AKT costs, for prices in uakt"
    )


def run(args: argparse.Namespace) -> int:
    """Reads, and prints or refuses."""
    wish = Wish(args.name, args.workload, args.max_total_usd, args.akt_usd)
    sys.stdout.write(import_sdl(args.file, wish))
    return 0


def import_sdl(file: str, wish: Wish) -> str:
    """The GPUJob as YAML. Raises CliError with one line per fault, each beginning `FILE:LINE:`."""
    found = imported(_read(file), wish)
    if found.job is None:
        told = [f"{file}:{fault.line}: {fault.sentence}" for fault in found.faults]
        raise CliError("\n".join([f"{file} cannot become a GPUJob:", *told]))
    return _comments(file, found, wish) + yaml.safe_dump(found.job, sort_keys=False, width=100)


def _comments(file: str, found: Imported, wish: Wish) -> str:
    lines = [f"# {file}:{note.line}: {note.sentence}" for note in found.notes]
    if not wish.max_total_usd:
        lines.append("# budget.maxTotalUSD is not set, so this job stays at home: an SDL has no")
        lines.append("# ceiling in all. Give one with --max-total-usd.")
    return "".join(f"{line}\n" for line in lines)


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"Reading {file} failed: {error}") from error


def _usd(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars") from None
    if not found.is_finite() or found <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return found
