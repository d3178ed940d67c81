"""`python -m demo`: plays the acts, and ends with 0 only when all that was claimed was verified."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import traceback
from pathlib import Path

from demo import world as worlds
from demo.acts import bill, home, overspill, refusals, training
from demo.checks import DemoError, Findings
from demo.manifests import NAMESPACE
from demo.view import View, choose

SETUP = "set-up"
STORY = (
    (home.TITLE, home.play),
    (overspill.TITLE, overspill.play),
    (training.TITLE, training.play),
    (refusals.TITLE, refusals.play),
    (training.TITLE_END, training.play_end),
    (bill.TITLE, bill.play),
)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = _parser().parse_args(argv)
    findings, view = Findings(), choose([SETUP, *(title for title, _ in STORY)])
    try:
        _play(view, findings, args)
    except DemoError as error:
        findings.error = str(error)
    except KeyboardInterrupt:
        findings.error = f"It was interrupted in act {findings.act!r}."
    except Exception as error:  # noqa: BLE001 -- whatever broke: the world is gone, say what it was
        findings.error = f"{type(error).__name__} in act {findings.act!r}: {error}"
        traceback.print_exc()
    finally:
        view.close()
        findings.figures.setdefault("seconds", view.seconds)
        if args.summary:
            findings.write(args.summary)
    return _verdict(findings)


def _play(view: View, findings: Findings, args: argparse.Namespace) -> None:
    findings.act = SETUP
    view.act(SETUP, "a real control plane, a real operator, a market, an object store")
    with worlds.opened(view, findings, real_node=not args.no_real_node) as world:
        try:
            _tell(world)
        except Exception as error:
            view.close()
            if args.keep or args.keep_failed:
                print(f"\nThe demo failed: {error}", file=sys.stderr)
                _keep(world)
            raise
        if args.keep:
            _keep(world)
        print("\nTaking everything down …", flush=True)


def _tell(world: worlds.World) -> None:
    for title, play in STORY:
        world.findings.act = title
        play(world)
    world.view.close()
    world.findings.figures["seconds"] = world.view.seconds
    bill.show(world)


def _keep(world: worlds.World) -> None:
    """Leaves everything running, after a failure too, until Ctrl-C."""
    tools = f"{world.bed.clients.kubectl_path.parent}:{Path(sys.executable).parent}"
    print(f"\nStill running; Ctrl-C ends it. In another terminal:\n  export PATH={tools}:$PATH")
    print(f"  export KUBECONFIG={world.bed.kubeconfig}")
    print(
        f"  kubectl get gpj,gpl -n {NAMESPACE}; kubectl overspill explain finetune -n {NAMESPACE}"
    )
    print(f"  The operator's log: {world.operator.log}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while world.operator.running:
            time.sleep(1)


def _verdict(findings: Findings) -> int:
    if findings.error:
        print(f"\nThe demo failed: {findings.error}", file=sys.stderr)
        return 1
    print("\nVerified")
    for check in findings.checks:
        print(f"  ✓ {check.claim}" + (f"\n      {check.detail}" if check.detail else ""))
    seconds = findings.figures["seconds"]
    print(f"\nAll {len(findings.checks)} claims were verified, in {seconds} s.")
    for told in findings.skipped:
        print(f"Not shown here: {told}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the findings as JSON")
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    parser.add_argument("--keep-failed", action="store_true", help="the same, after a failure only")
    parser.add_argument("--no-real-node", action="store_true", help="simulated nodes only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
