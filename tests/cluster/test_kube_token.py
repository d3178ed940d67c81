"""A short-lived ServiceAccount token that is rotated on disk, and revoked, causes no outage."""

import asyncio
import time
from pathlib import Path

import pytest

from overspill.clock import SystemClock
from overspill.core.errors import ClusterUnavailable
from overspill.kube.informer import Informer, Source
from overspill.testing.bed import Bed
from overspill.testing.connection import connected
from overspill.testing.kube_bed import until

pytestmark = pytest.mark.cluster

REMEMBERED_S = 12.0
"""The API server may take a revoked token for ten more seconds."""


@pytest.fixture
def account(bed: Bed, namespace: str) -> str:
    bed.kubectl("create", "sa", "short", "-n", namespace)
    bed.kubectl(
        "create", "rolebinding", "short", "--clusterrole=edit",
        f"--serviceaccount={namespace}:short", "-n", namespace,
    )  # fmt: skip
    return "short"


async def test_calls_and_watches_go_on_through_a_rotation(bed: Bed, namespace: str, account: str):
    kubeconfig = bed.token_kubeconfig(namespace, account, expiration_seconds=600)
    old = (kubeconfig.parent / f"{kubeconfig.name}.token").read_text()
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    async with connected(kubeconfig) as verbs:
        seen = Informer(
            verbs, SystemClock(), Source(maps, watch_s=3), lambda obj: str(obj["metadata"]["name"])
        )
        following = asyncio.create_task(seen.run())
        await until(lambda: seen.synced)
        answered, began = 0, time.monotonic()
        rotated = asyncio.create_task(asyncio.to_thread(bed.rotate_token, kubeconfig, 600))
        while not rotated.done() or time.monotonic() - began < REMEMBERED_S + 6:
            await verbs.get(maps)  # any failure ends the test
            answered += 1
            await asyncio.sleep(0.05)
        await rotated
        old_token = stale_kubeconfig(bed, kubeconfig.parent / "stale", old)
        async with connected(old_token) as stale:
            with pytest.raises(ClusterUnavailable, match="Unauthorized"):
                await stale.get(maps)
        await verbs.create(maps, {"metadata": {"name": "after"}})
        await until(lambda: "after" in seen.items())
        assert answered > 100
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def stale_kubeconfig(bed: Bed, path: Path, token: str) -> Path:
    """A kubeconfig of somebody who kept the old token."""
    path.write_text(bed.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    bed.kubectl("config", "set-credentials", "stale", f"--token={token}", kubeconfig=path)
    bed.kubectl("config", "set-context", "--current", "--user=stale", kubeconfig=path)
    return path
