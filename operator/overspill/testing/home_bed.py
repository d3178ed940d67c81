"""Home on a real control plane: the provider over a live view, opened by hand. For tests/cluster.

Stands in for the engine: offers are cut and frozen here as it would do, and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from overspill.clock import SystemClock
from overspill.core.errors import LeaseNotFound
from overspill.core.lease import Handle
from overspill.core.observation import Observation
from overspill.core.offer import Offer
from overspill.core.vocabulary import Phase
from overspill.kube.cluster import cluster_id
from overspill.kube.home import HomeOptions, KubeHome
from overspill.kube.verbs import Verbs
from overspill.ports import OpenRequest
from overspill.providers.in_cluster import InCluster
from overspill.testing.bed.cluster import Cluster
from overspill.testing.connection import connected
from overspill.testing.home import home_account, home_request

SUSPECT, LOST = timedelta(seconds=3), timedelta(seconds=6)
DEADLINE_S = 150.0
T = TypeVar("T")


@dataclass
class HomeBed:
    """The provider, its view and the verbs beneath."""

    verbs: Verbs
    home: KubeHome
    provider: InCluster
    cluster_id: str
    requests: dict[str, OpenRequest] = field(default_factory=dict)

    async def offer(self, node: str) -> Offer:
        """What is offered on a node, once the node is in view and free of its birth taint."""

        async def find() -> Offer | None:
            found = await self.provider.offers(None)
            told = next((offer for offer in found if offer.offer_id == node), None)
            is_new = told is None or "node.kubernetes.io/not-ready" in told.unavailable_reason
            return None if is_new else told

        return await self.eventually(f"an offer on {node}", find)

    async def request(
        self, namespace: str, node: str, template: Mapping[str, Any], **asked: Any
    ) -> OpenRequest:
        """The request for a lease on the offer of `node`."""
        offer = await self.offer(node)
        frozen = {"home_node": node, "gpu_count": 1, **asked}
        uid = f"uid-{namespace}-{len(self.requests)}"
        drawn = home_request(job_uid=uid, template=template, asked=frozen)
        lease = replace(drawn.lease, namespace=namespace, cluster_id=self.cluster_id, offer=offer)
        request = replace(drawn, lease=lease, offer=offer, cluster_id=self.cluster_id)
        self.requests[request.key] = request
        return request

    async def reaches(
        self, handle: Handle, phase: Phase, within_s: float = DEADLINE_S
    ) -> Observation:
        """The observation that says so."""

        async def look() -> Observation | None:
            self.last = await self.provider.observe(handle)
            return self.last if self.last.phase is phase else None

        return await self.eventually(f"{phase} of {handle.key}", look, within_s)

    async def is_gone(self, handle: Handle, within_s: float = DEADLINE_S) -> None:
        """Waits until the lease is proven gone."""

        async def look() -> bool:
            try:
                self.last = await self.provider.observe(handle)
            except LeaseNotFound:
                return True
            return False

        await self.eventually(f"the end of {handle.key}", look, within_s)

    async def eventually(
        self, what: str, look: Callable[[], Awaitable[T | None]], within_s: float = DEADLINE_S
    ) -> T:
        """Waits until `look` finds something; fails with `what` and what was last seen."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not (found := await look()):
            if loop.time() > end:
                raise AssertionError(f"not within {within_s:.0f} s: {what}; last: {self.last}")
            await asyncio.sleep(0.1)
        return found

    last: Observation | None = None


@asynccontextmanager
async def home_on(bed: Cluster) -> AsyncIterator[HomeBed]:
    """Home over a bed, with times of node loss that a test can wait for."""
    async with connected(bed.kubeconfig) as verbs:
        clock = SystemClock()
        home = KubeHome(verbs, clock, HomeOptions(heartbeat_poll_s=0.5))
        watching = asyncio.create_task(home.run())
        try:
            cluster = await cluster_id(verbs)
            account = home_account(suspect_after=SUSPECT, lost_after=LOST)
            provider = InCluster(account, verbs, home, clock, cluster)
            started = HomeBed(verbs, home, provider, cluster)

            async def synced() -> bool:
                return home.synced

            await started.eventually("the view of nodes and pods", synced)
            yield started
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
