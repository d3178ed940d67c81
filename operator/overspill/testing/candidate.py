"""A process that only stands for election; tests kill, stop and block it.

`python -m overspill.testing.candidate KUBECONFIG NAMESPACE IDENTITY`. Prints one line for each
thing that happens: `sees <holder>` at first, `leading <term>`, and while it leads `acting
<monotonic seconds>` ten times a second. SIGUSR1 blocks its event loop for good, as a bug would.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

from overspill.clock import SystemClock
from overspill.kube.elector import Elector, Term
from overspill.kube.verbs import connect


async def main(kubeconfig: str, namespace: str, identity: str) -> None:
    """Stands for election until told to stop."""
    elector = Elector(await connect(Path(kubeconfig)), SystemClock(), Term(namespace, identity))
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, _block)
    running = asyncio.create_task(elector.run())
    acting = asyncio.create_task(_act(elector))
    while not elector.holder():  # noqa: ASYNC110  (the elector tells, it does not call)
        await asyncio.sleep(0.02)
    _say(f"sees {elector.holder()}")
    await stop.wait()
    acting.cancel()
    await elector.release()
    running.cancel()


async def _act(elector: Elector) -> None:
    await elector.wait_leader()
    _say(f"leading {elector.epoch}")
    while True:
        if elector.is_leader:
            _say(f"acting {time.monotonic():.3f}")
        await asyncio.sleep(0.1)


def _block() -> None:
    _say("blocked")
    while True:
        time.sleep(1)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
