"""What tests of `kube/` need on the test bed: our CRDs, and waiting for a claim."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from overspill.testing.bed import Cluster
from overspill.testing.bed.waiting import PATIENCE

CRDS = Path(__file__).resolve().parents[3] / "crds"


def install_crds(cluster: Cluster) -> None:
    """Applies `crds/` and returns when the API server serves all of them."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))


async def until(claim: Callable[[], bool], seconds: float = 30.0) -> float:
    """Waits until `claim` holds; returns how long that took, or fails. See `waiting.PATIENCE`."""
    started = time.monotonic()
    while not claim():
        if time.monotonic() - started > seconds * PATIENCE:
            raise AssertionError(f"not within {seconds * PATIENCE:g} s")
        await asyncio.sleep(0.02)
    return time.monotonic() - started
