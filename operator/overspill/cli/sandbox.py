"""`overspill sandbox`: the stand-in markets on this machine: a burst without an account."""

import argparse

from overspill.sandbox import main


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb."""
    verb = subparsers.add_parser(
        "sandbox",
        help="serve stand-ins for the GPU markets on this machine",
        description=main.DESCRIPTION,
        epilog=main.epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_arguments(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serves until interrupted."""
    return main.run(args)
