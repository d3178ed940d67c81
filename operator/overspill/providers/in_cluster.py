"""Home as a provider: GPU nodes are quoted as offers, a lease is a batch/v1 Job.

Words: a place is a node (`home/<node>`), a handle is (lease name, Job uid, namespace). Class A:
the child's name is the lease's name, so a repeated POST finds the first. Nothing here costs
money at a third party and no permit is needed.

Requests per lease: `open` one POST (a gang's Service one more), `close` one DELETE. `observe`
asks nothing while the pods in view tell; otherwise all leases share one LIST of our Jobs per
`JOBS_TTL_S`, and a single GET decides what destroys: absence, a failure, a loss during the end.
This only observes; whether many losses at once are believed is the engine's to judge.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from overspill.core.errors import (
    AuthRejected,
    ClusterUnavailable,
    Conflict,
    Gone,
    LeaseNotFound,
    OfferRejected,
    OpenUncertain,
    OverspillError,
    Unavailable,
    WorkloadRejected,
)
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import GrownPool, ProviderAccount
from overspill.core.vocabulary import BillEnd
from overspill.core.worst_case import Ending
from overspill.ports import (
    Capabilities,
    Clock,
    HomeView,
    IdempotencyClass,
    KubeVerbs,
    NodeState,
    OpenRequest,
    OpenStep,
)
from overspill.providers._catalog import Catalog
from overspill.providers.in_cluster_child import (
    CLUSTER_LABEL,
    JOB_UID_LABEL,
    child_job,
    gang_service,
)
from overspill.providers.in_cluster_memory import Opened, PodMemory
from overspill.providers.in_cluster_nodes import FIT, NodePolicy, NodeVerdict, NodeWatch
from overspill.providers.in_cluster_observe import (
    ENDED,
    Child,
    Sight,
    by_job,
    by_pods,
    handle_of,
    is_behind,
    without_job,
)
from overspill.providers.in_cluster_offers import holds_by_node, home_offers
from overspill.providers.in_cluster_pool import (
    as_pool,
    belongs,
    named,
    new_nodes,
    price_of,
    priced,
)

JOBS_TTL_S = 5.0
LISTING_SHARE = 10
"""Listing takes a tenth of the time at most: a server that is slow is not asked as often."""


@dataclass(frozen=True)
class Beside:
    """What an account of home must know of its surroundings."""

    accounts: Callable[[], Iterable[ProviderAccount]] = lambda: ()
    """All GPUProviders: what another account sells as its pool is not sold here."""
    catalog: Catalog = field(default_factory=Catalog)


class InCluster:
    """`ports.Provider` over the cluster's own nodes; one instance, one event loop."""

    capabilities = Capabilities(
        idempotency=IdempotencyClass.A,
        quarantine=timedelta(0),
        needs_permits=False,
        ending=Ending(BillEnd.HOME),
        offer_ttl=timedelta(seconds=5),
        # The API server's word is a quorum read: what it does not know does not exist.
        not_found_grace=timedelta(0),
    )

    def __init__(
        self,
        account: ProviderAccount,
        verbs: KubeVerbs,
        home: HomeView,
        clock: Clock,
        cluster_id: str,
        beside: Beside | None = None,
    ) -> None:
        self.name = account.name
        self._account = account
        self._verbs = verbs
        self._home = home
        self._clock = clock
        self._beside = beside or Beside()
        self._selector = f"{CLUSTER_LABEL}={cluster_id[:8]}"
        self._policy = NodePolicy.of(account)
        self._nodes = NodeWatch(home, self._policy, clock)
        self._memory = PodMemory()
        self._opened = Opened(clock)
        self._jobs: dict[str, dict[str, Any]] = {}
        self._jobs_at: float | None = None
        self._jobs_ttl_s = JOBS_TTL_S
        self._jobs_lock = asyncio.Lock()

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """One divisible offer per GPU node, from the view; asks the API server nothing."""
        if self._account.pool is not None:
            return self._pool_offers(self._account.pool)
        others = [a.pool for a in self._beside.accounts() if a.pool is not None]
        nodes = [n for n in self._home.nodes() if not any(belongs(n, pool) for pool in others)]
        return self._quoted(self._account, nodes)

    def _quoted(
        self, account: ProviderAccount, nodes: Sequence[NodeState], new: Container[str] = ()
    ) -> list[Offer]:
        pods = self._home.pods()
        holds = holds_by_node(nodes, pods, self._opened.unseen(pods), self.name, new)
        now = self._clock.now()

        def verdict_of(node: NodeState) -> NodeVerdict:
            return FIT if node.name in new else self._nodes.verdict_of(node)

        return home_offers(account, nodes, holds, verdict_of, now)

    def _pool_offers(self, pool: GrownPool) -> list[Offer]:
        """The pool's nodes, and those that would come."""
        real = named([n for n in self._home.nodes() if belongs(n, pool)], pool)
        coming = {n.name: n for n in new_nodes(self._account, pool, len(real))}
        price = price_of(self._account, pool, self._beside.catalog)
        account = priced(self._account, pool, price)
        offers = self._quoted(account, [*real, *coming.values()], coming)
        return as_pool(offers, self._account, coming, priced=price is not None)

    async def open(self, request: OpenRequest) -> OpenStep:
        """POSTs the child; an existing one of this very lease is adopted."""
        path = _jobs_path(request.lease.namespace)
        body = child_job(request, self._policy.tolerated)
        try:
            job = await self._verbs.create(path, body)
        except Conflict:
            job = await self._existing(path, request)
        except OverspillError as error:
            self._refused_open(error, request)
        if request.lease.request.num_nodes > 1:
            await self._open_service(request, job["metadata"]["uid"])
        self._opened.note(request)
        self._jobs[job["metadata"]["name"]] = _slim(job)  # newer than the last LIST, and as good
        return OpenStep(
            handle_of(job), is_complete=True, price_usd_per_hour=request.offer.price_usd_per_hour
        )

    async def observe(self, handle: Handle) -> Observation:
        """From the pods in view, else from the Job."""
        child = await self._located(handle)
        sight = self._sight(child)
        seen = by_pods(child, sight)
        if seen is not None:
            return seen
        # What decides over life and death is read fresh; waiting children share one LIST.
        job = await (self._fresh_job(child) if sight.pods else self._listed_job(child))
        found = by_job(child, job, sight) if job is not None else without_job(sight)
        if job is not None and found is not None and is_behind(found):
            found = by_job(child, job, await self._fresh_sight(child, sight))
        if found is not None:
            return found
        self._memory.forget(child.key)
        self._opened.drop(child.key)
        raise LeaseNotFound(f"the cluster has no Job {child.key}", provider=self.name)

    async def close(self, handle: Handle) -> None:
        """Deletes the Job in the foreground: it stays listed until its pods are proven gone."""
        child = await self._located(handle)
        self._opened.drop(child.key)
        self._jobs.pop(child.key, None)  # from here on only a fresh look tells
        if not child.namespace:
            return
        body: dict[str, Any] = {"propagationPolicy": "Foreground"}
        if child.uid:
            body["preconditions"] = {"uid": child.uid}
        try:
            await self._verbs.delete(_job_path(child), body)
        except (Gone, Conflict):
            return  # gone, or the name now belongs to another uid: ours is gone all the same
        except ClusterUnavailable as error:
            raise self._unavailable("closing", child.key) from error
        except OverspillError as error:
            raise AuthRejected(str(error), provider=self.name) from error

    async def leases(self) -> Sequence[HeldLease]:
        """Every Job of this cluster id in all namespaces: one quorum LIST."""
        jobs = await self._list_jobs()
        return [_held(job) for job in jobs.values()]

    async def _located(self, handle: Handle) -> Child:
        """The child of a handle; one that is nothing but a key is looked for in a fresh LIST."""
        child = Child.of(handle)
        if child.namespace:
            return child
        found = (await self._list_jobs()).get(child.key)
        return child if found is None else Child.of(handle_of(found))

    def _sight(self, child: Child) -> Sight:
        pods = [
            pod for pod in self._home.pods_of(child.key) if child.namespace in ("", pod.namespace)
        ]
        replaced = self._memory.note(child.key, pods)
        return Sight(
            pods,
            self._nodes.lost_among({p.node for p in pods if p.node and p.phase not in ENDED}),
            replaced=replaced,
            was_bound=self._memory.was_bound(child.key),
            is_stale=self._home.is_stale(),
            now=self._clock.now(),
        )

    async def _fresh_sight(self, child: Child, sight: Sight) -> Sight:
        """The Job tells of its end before our watch of pods does: its exit code and what it cost
        are on the pods."""
        try:
            pods = await self._home.fetch_pods_of(child.key)
        except OverspillError as error:
            raise self._unavailable("observing the pods of", child.key) from error
        return replace(sight, pods=[p for p in pods if p.namespace == child.namespace])

    async def _existing(self, path: str, request: OpenRequest) -> dict[str, Any]:
        """The Job that already has the name: ours from an earlier POST, or a stranger's."""
        try:
            job = await self._verbs.get(f"{path}/{request.lease.name}")
        except OverspillError as error:
            # Gone again or unreadable: nothing is known, the next open resolves it by name.
            raise OpenUncertain(
                f"the Job {request.lease.name} exists but could not be read", provider=self.name
            ) from error
        if job["metadata"].get("labels", {}).get(JOB_UID_LABEL) != request.lease.job.uid:
            raise OfferRejected(
                f"a Job named {request.lease.name} exists and is not of this GPUJob",
                provider=self.name,
            )
        return job

    async def _open_service(self, request: OpenRequest, job_uid: str) -> None:
        path = f"/api/v1/namespaces/{request.lease.namespace}/services"
        try:
            await self._verbs.create(path, gang_service(request, job_uid))
        except Conflict:
            return
        except OverspillError as error:
            self._refused_open(error, request)

    def _refused_open(self, error: OverspillError, request: OpenRequest) -> NoReturn:
        """What the API server's answer to our POST means for the lease."""
        if isinstance(error, ClusterUnavailable):
            told = f"no answer to the creation of {request.lease.name}"
            raise OpenUncertain(told, provider=self.name) from error
        if "cannot create resource" in str(error):  # RBAC, unlike a quota's 403, bars every offer
            raise AuthRejected(str(error), provider=self.name) from error
        if _is_malformed(error):  # unlike what an admission policy denies, which may pass later
            raise WorkloadRejected(str(error), provider=self.name) from error
        raise OfferRejected(str(error), provider=self.name) from error

    async def _fresh_job(self, child: Child) -> Mapping[str, Any] | None:
        """A quorum GET; None when there is none of that uid."""
        if not child.namespace:
            return None  # `_located` has just looked for it everywhere
        try:
            job = await self._verbs.get(_job_path(child))
        except Gone:
            return None
        except OverspillError as error:
            raise self._unavailable("observing", child.key) from error
        return job if child.uid in ("", job["metadata"]["uid"]) else None

    async def _listed_job(self, child: Child) -> Mapping[str, Any] | None:
        """From the shared LIST; what it lacks is asked for, since it may be older than the Job."""
        async with self._jobs_lock:
            is_old = self._jobs_at is None or (
                self._clock.monotonic() - self._jobs_at >= self._jobs_ttl_s
            )
            jobs = await self._list_jobs() if is_old else self._jobs
        job = jobs.get(child.key)
        is_plain = job is not None and child.uid in ("", job["metadata"]["uid"])
        return job if is_plain else await self._fresh_job(child)

    async def _list_jobs(self) -> dict[str, dict[str, Any]]:
        asked_at = self._clock.monotonic()
        try:
            jobs = await self._verbs.list_kept(
                "/apis/batch/v1/jobs", _slim, {"labelSelector": self._selector}
            )
        except OverspillError as error:
            raise self._unavailable("listing", "our Jobs") from error
        self._jobs = {job["metadata"]["name"]: job for job in jobs}
        self._jobs_at = asked_at
        took = self._clock.monotonic() - asked_at
        self._jobs_ttl_s = max(JOBS_TTL_S, took * LISTING_SHARE)
        return self._jobs

    def _unavailable(self, doing: str, what: str) -> Unavailable:
        return Unavailable(f"{doing} {what}: the API server did not answer", provider=self.name)


def _is_malformed(error: OverspillError) -> bool:
    """The API server could not make a Job of the template, on whatever node."""
    return getattr(error, "status", 0) in (400, 422) and "denied" not in str(error)


def _jobs_path(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def _job_path(child: Child) -> str:
    return f"{_jobs_path(child.namespace)}/{child.key}"


def _slim(job: Mapping[str, Any]) -> dict[str, Any]:
    """What is read of a Job; templates and managed fields of thousands would fill the memory."""
    meta, spec = job["metadata"], job["spec"]
    conditions = (job.get("status") or {}).get("conditions")
    return {
        "metadata": {key: meta[key] for key in _META if key in meta},
        "spec": {key: spec[key] for key in ("completions", "suspend") if key in spec},
        "status": {"conditions": conditions} if conditions else {},
    }


_META = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")


def _held(job: Mapping[str, Any]) -> HeldLease:
    """A finished child is still held, but nothing of it runs."""
    meta, status = job["metadata"], job.get("status") or {}
    ends = {"Complete", "Failed"}
    conditions = status.get("conditions") or []
    is_live = not any(c["type"] in ends and c["status"] == "True" for c in conditions)
    created = datetime.fromisoformat(meta["creationTimestamp"].replace("Z", "+00:00"))
    return HeldLease(handle_of(job), is_live, created_at=created)
