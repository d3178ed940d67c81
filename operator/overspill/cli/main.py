"""Parses the command line and hands it to one verb. The entry of both console scripts."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from overspill import __version__
from overspill.cli.errors import CliError

VERBS = (
    "explain",
    "offers",
    "leases",
    "cost",
    "logs",
    "simulate",
    "export-history",
    "doctor",
    "import-sdl",
    "sandbox",
)
"""Modules of this package, in the order of `--help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; the exit code is 0, 1 (it failed, with a sentence) or 2 (wrong usage)."""
    words = list(sys.argv[1:] if argv is None else argv)
    # One verb is all that is imported: a plugin should answer at once.
    wanted = words[:1] if words[:1] and words[0] in VERBS else VERBS
    modules = {verb: _module(verb) for verb in wanted}
    parser = _parser()
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in modules.values():
        module.add(subparsers)
    args = parser.parse_args(words)
    try:
        return int(modules[args.verb].run(args))
    except CliError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) went away; nothing may be written at interpreter exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"overspill.cli.{verb.replace('-', '_')}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(sys.argv[0]),
        description="Shows where GPU jobs run, why, and what they cost.",
        epilog="See the docs of each verb with VERB --help.",
    )
    parser.add_argument("--version", action="version", version=f"overspill {__version__}")
    return parser


def _program(invoked: str) -> str:
    """kubectl runs its plugins as `kubectl-NAME`; help should show what the user typed."""
    is_plugin = os.path.basename(invoked).startswith("kubectl-")
    return "kubectl overspill" if is_plugin else "overspill"


if __name__ == "__main__":
    sys.exit(main())
