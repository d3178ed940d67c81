"""The Cluster port against the real API server and the real CRDs."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.clock import SystemClock
from overspill.core.errors import ClusterUnavailable, Conflict, Gone
from overspill.core.lease import Closing, JobRef, Lease
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.core.workload import LeaseRequest
from overspill.kube.cluster import KubeCluster, cluster_id
from overspill.kube.resources import Kind, collection, item
from overspill.kube.store import Store
from overspill.kube.truth import Truth
from overspill.kube.verbs import Refused, Verbs
from overspill.ports import (
    DeleteJob,
    DeleteLease,
    Event,
    JobStatus,
    LeaseStatus,
    PlanLease,
    ReleaseLease,
)
from overspill.testing.bed import Bed
from overspill.testing.connection import connected
from overspill.testing.kube_bed import install_crds
from overspill.testing.kube_samples import full_lease, job_json, planned_lease

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def crds(bed: Bed) -> None:
    install_crds(bed)


@pytest.fixture
async def verbs(bed: Bed) -> AsyncIterator[Verbs]:
    async with connected(bed.kubeconfig) as verbs:
        yield verbs


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def kube(verbs: Verbs, store: Store) -> KubeCluster:
    return KubeCluster(verbs, store, SystemClock(), await cluster_id(verbs), "test-pod")


def lease_in(namespace: str, **changes: object) -> Lease:
    job = JobRef(namespace, "train", "11111111-1111-4111-8111-111111111111")
    return planned_lease(namespace=namespace, job=job, **changes)


@pytest.fixture
async def planned(kube: KubeCluster, namespace: str) -> Lease:
    written = await kube.record(PlanLease(lease_in(namespace)))
    assert written is not None
    return written


def with_full_status(lease: Lease) -> Lease:
    full = full_lease()
    return replace(
        lease,
        state=LeaseState.ACTIVE,
        permit=full.permit,
        handle=full.handle,
        price_usd_per_hour=full.price_usd_per_hour,
        active_since=full.active_since,
        conditions=full.conditions,
    )


async def test_every_field_of_a_lease_survives_the_real_server(
    kube: KubeCluster, planned: Lease, namespace: str
):
    wanted = lease_in(namespace)
    assert planned == replace(
        wanted,
        uid=planned.uid,
        resource_version=planned.resource_version,
        created_at=planned.created_at,
    )
    status = with_full_status(planned)
    written = await kube.record(LeaseStatus(status))
    assert written is not None
    read = await kube.lease(namespace, planned.name)
    assert read == written == replace(status, resource_version=written.resource_version)


async def test_a_home_lease_keeps_its_pod_template_as_it_is(kube: KubeCluster, namespace: str):
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 2}}}]},
    }
    request = LeaseRequest(gpu_count=2, template=template, home_node="node-1")
    lease = lease_in(namespace, is_home=True, provider="home", request=request)
    written = await kube.record(PlanLease(lease))
    assert written is not None
    assert written.request == request


async def test_planning_twice_conflicts(kube: KubeCluster, planned: Lease, namespace: str):
    with pytest.raises(Conflict):
        await kube.record(PlanLease(lease_in(namespace)))


async def test_an_equal_status_makes_no_call_and_no_version(kube: KubeCluster, planned: Lease):
    written = await kube.record(LeaseStatus(with_full_status(planned)))
    assert written is not None
    assert await kube.record(LeaseStatus(written)) is written


async def test_fields_that_vanish_are_removed(kube: KubeCluster, planned: Lease):
    written = await kube.record(LeaseStatus(with_full_status(planned)))
    assert written is not None
    assert written.handle is not None
    less = replace(
        written, permit=None, handle=replace(written.handle, data=(("bid", "3"),)), conditions=()
    )
    again = await kube.record(LeaseStatus(less))
    assert again == replace(less, resource_version=again.resource_version if again else "")


async def test_a_stale_decision_conflicts(
    kube: KubeCluster, verbs: Verbs, planned: Lease, namespace: str
):
    path = item(Kind.LEASE, namespace, planned.name)
    await verbs.patch(f"{path}/status", {"status": {"state": "Opening"}})
    with pytest.raises(Conflict):
        await kube.record(LeaseStatus(with_full_status(planned)))
    with pytest.raises(Conflict):
        await kube.record(ReleaseLease(planned))
    with pytest.raises(Conflict):
        await kube.record(DeleteLease(planned))


async def test_the_finalizer_holds_a_deleted_lease_until_it_is_released(
    kube: KubeCluster, verbs: Verbs, planned: Lease, namespace: str
):
    await verbs.delete(item(Kind.LEASE, namespace, planned.name))
    held = await kube.lease(namespace, planned.name)
    assert held is not None
    assert held.deletion_requested
    assert held.has_finalizer
    closing = Closing(ClosingReason.JOB_GONE, held.created_at, "the job is gone")
    closed = await kube.record(
        LeaseStatus(replace(held, state=LeaseState.CLOSING, closing=closing))
    )
    assert closed is not None
    done = replace(closed, state=LeaseState.CLOSED, billed_usd=Decimal("1.25"))
    ledger = await kube.record(LeaseStatus(done))
    assert ledger is not None
    await kube.record(ReleaseLease(ledger))
    assert await kube.lease(namespace, planned.name) is None
    assert planned.uid not in kube.view().leases


async def test_closing_is_absorbing_on_the_server_too(kube: KubeCluster, planned: Lease):
    closing = Closing(ClosingReason.LOST, planned.created_at)
    written = await kube.record(
        LeaseStatus(replace(planned, state=LeaseState.CLOSING, closing=closing))
    )
    assert written is not None
    with pytest.raises(Refused, match="Closing only becomes Closed"):
        await kube.record(LeaseStatus(replace(written, state=LeaseState.ACTIVE)))


async def test_a_released_ledger_entry_is_deleted(
    kube: KubeCluster, planned: Lease, namespace: str
):
    released = await kube.record(ReleaseLease(planned))
    assert released is not None
    assert not released.has_finalizer
    await kube.record(DeleteLease(released))
    assert await kube.lease(namespace, planned.name) is None
    with pytest.raises(Gone):
        await kube.record(LeaseStatus(with_full_status(released)))


async def test_a_lease_made_again_under_its_name_is_another_one(
    kube: KubeCluster, planned: Lease, namespace: str
):
    released = await kube.record(ReleaseLease(planned))
    assert released is not None
    await kube.record(DeleteLease(released))
    again = await kube.record(PlanLease(lease_in(namespace)))
    assert again is not None
    assert again.uid != planned.uid
    with pytest.raises((Gone, Conflict)):
        await kube.record(LeaseStatus(with_full_status(planned)))
    with pytest.raises((Gone, Conflict)):
        await kube.record(ReleaseLease(planned))
    assert (await kube.lease(namespace, planned.name)) == again


async def test_all_leases_are_complete(kube: KubeCluster, namespace: str):
    names = {f"gl-abcdef01-{n:018d}" for n in range(5)}
    for name in names:
        await kube.record(PlanLease(lease_in(namespace, name=name)))
    found = {lease.name for lease in await kube.all_leases() if lease.namespace == namespace}
    assert found == names


async def test_a_jobs_status_is_written_and_equal_ones_are_skipped(
    kube: KubeCluster, verbs: Verbs, namespace: str
):
    body = job_json()
    body["metadata"]["namespace"] = namespace
    await verbs.create(collection(Kind.JOB, namespace), body)
    job = await kube.job(namespace, "train")
    assert job is not None
    condition = {
        "type": "Placed",
        "status": "False",
        "reason": "NoCapacityNow",
        "lastTransitionTime": "2026-03-01T12:30:15Z",
    }
    document = {"phase": "Waiting", "moves": 0, "conditions": [condition]}
    await kube.record(JobStatus(job, document))
    newer = kube.view().jobs[job.ref.uid]
    assert newer.resource_version != job.resource_version
    await kube.record(JobStatus(newer, document))
    again = await kube.job(namespace, "train")
    assert again is not None
    assert again.resource_version == newer.resource_version
    await kube.record(JobStatus(again, {**document, "phase": "Running", "conditions": []}))
    with pytest.raises(Conflict):
        await kube.record(JobStatus(again, {**document, "phase": "Failed"}))
    fresh = kube.view().jobs[job.ref.uid]
    assert fresh.conditions == ()
    await kube.record(DeleteJob(fresh))
    assert await kube.job(namespace, "train") is None


async def test_events_are_shown_by_kubectl_with_their_count(
    bed: Bed, kube: KubeCluster, verbs: Verbs, namespace: str
):
    body = job_json()
    body["metadata"]["namespace"] = namespace
    await verbs.create(collection(Kind.JOB, namespace), body)
    job = await kube.job(namespace, "train")
    assert job is not None
    for _ in range(3):
        await kube.record(Event(job, "LeaseOpened", "akash/us-west for 3.10 USD/h"))
    await kube.record(Event(job, "LeaseLost", "the market says it is gone", is_warning=True))
    shown = bed.kubectl("events", "--for", "gpujob/train", "-n", namespace)
    assert "x3 over" in shown
    assert "LeaseLost" in shown
    listed = json.loads(bed.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", "json"))
    assert len(listed["items"]) == 2


async def test_the_truth_list_heals_what_no_ear_brought(verbs: Verbs, store: Store, namespace: str):
    truth = Truth(verbs, store, SystemClock())
    await truth.list_once()
    assert store.synced
    body = job_json()
    body["metadata"]["namespace"] = namespace
    made = await verbs.create(collection(Kind.JOB, namespace), body)
    await truth.list_once()
    assert made["metadata"]["uid"] in store.view().jobs
    await verbs.delete(item(Kind.JOB, namespace, "train"))
    await truth.list_once()
    assert made["metadata"]["uid"] not in store.view().jobs
    assert store.settle(Kind.JOB) == 1


async def test_an_hour_of_clock_skew_changes_no_lock(kube: KubeCluster, planned: Lease):
    skewed = replace(planned, active_since=planned.created_at + timedelta(hours=-1))
    written = await kube.record(LeaseStatus(replace(skewed, state=LeaseState.ACTIVE)))
    assert written is not None
    assert written.active_since == skewed.active_since


async def test_a_server_away_leaves_the_view_and_says_so(
    bed: Bed, kube: KubeCluster, planned: Lease
):
    bed.apiserver.kill()
    try:
        with pytest.raises(ClusterUnavailable):
            await kube.record(LeaseStatus(with_full_status(planned)))
        with pytest.raises(ClusterUnavailable):
            await kube.all_leases()
        assert kube.view().leases[planned.uid] == planned
    finally:
        bed.apiserver.start()
    assert await kube.lease(planned.namespace, planned.name) == planned
