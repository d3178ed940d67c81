"""`python -m overspill.testing.bed build|up|down|status`: a bed to work with by hand."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from overspill.testing.bed import background
from overspill.testing.bed.bed import Bed
from overspill.testing.bed.build import BuildError, build_all
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.progress import to_stderr
from overspill.testing.bed.wheels import DownloadError


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status says whether it was done."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (BuildError, DownloadError, background.UpError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m overspill.testing.bed", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build everything into the per-user cache")
    build.add_argument("--no-real-node", action="store_true", help="leave the kubelet out")
    build.set_defaults(run=_build)
    for name, run, text in (
        ("up", _up, "start a bed in the background and print how to use it"),
        ("serve", _serve, "start a bed in the foreground; `up` runs this"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--real-node", choices=("auto", "yes", "no"), default="auto")
        command.add_argument("--gpu-nodes", type=int, default=2, help="simulated GPU nodes")
        command.add_argument("--slow-node-loss", action="store_true", help="Kubernetes' defaults")
        command.set_defaults(run=run)
    commands.add_parser("down", help="end the bed that `up` started").set_defaults(run=_down)
    commands.add_parser("status", help="show the bed that `up` started").set_defaults(run=_status)
    return parser


def _build(args: argparse.Namespace) -> int:
    build_all(to_stderr, real_node=not args.no_real_node)
    return 0


def _up(args: argparse.Namespace) -> int:
    given = [f"--real-node={args.real_node}", f"--gpu-nodes={args.gpu_nodes}"]
    given += ["--slow-node-loss"] if args.slow_node_loss else []
    _print_use(background.up([*given], to_stderr))
    return 0


def _serve(args: argparse.Namespace) -> int:
    """Run until told to stop; the processes of the bed die with this one."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    options = BedOptions(real_node=args.real_node, fast_node_loss=not args.slow_node_loss)
    with background.announced() as announce, Bed.start(options, to_stderr) as bed:
        for index in range(args.gpu_nodes):
            bed.nodes.add(f"gpu-{index + 1}")
        announce(background.State.of(bed))
        ended.wait()
    return 0


def _down(_args: argparse.Namespace) -> int:
    print("down" if background.down() else "no bed is up")
    return 0


def _status(_args: argparse.Namespace) -> int:
    state = background.state()
    if state is None:
        print("no bed is up")
        return 1
    _print_use(state)
    return 0


def _print_use(state: background.State) -> None:
    node = "with a real node" if state.real_node else f"no real node: {state.skipped}"
    print(f"up at {state.server} (process {state.pid}; {node})")
    print(f"export KUBECONFIG={state.kubeconfig}")
    print(f'export PATH="{state.tools}:$PATH"')


if __name__ == "__main__":
    sys.exit(main())
