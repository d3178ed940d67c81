"""Writes of the Cluster port: locked by version, only when they say something, seen at once."""

from dataclasses import replace
from decimal import Decimal

import pytest

from overspill.core.errors import (
    ClusterUnavailable,
    Conflict,
    Gone,
    OfferRejected,
    WorkloadRejected,
)
from overspill.core.lease import Lease
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import LeaseState
from overspill.kube.answers import Refused
from overspill.kube.cluster import KubeCluster, cluster_id
from overspill.kube.resources import (
    LEASE_FINALIZER,
    PROVIDER_FINALIZER,
    Kind,
    collection,
    item,
)
from overspill.kube.store import Store
from overspill.ports import (
    BudgetStatus,
    DeleteJob,
    DeleteLease,
    HoldProvider,
    JobStatus,
    LeaseStatus,
    PlanLease,
    ProviderStatus,
    ReleaseLease,
    ReleaseProvider,
)
from overspill.testing.fakeapi import FakeApi, Fault, lost_answer
from overspill.testing.kube_samples import full_lease, job_json, planned_lease

JOBS = collection(Kind.JOB, "team-a")


@pytest.fixture
async def planned(cluster: KubeCluster) -> Lease:
    written = await cluster.record(PlanLease(planned_lease()))
    assert written is not None
    return written


def path_of(lease: Lease) -> str:
    return item(Kind.LEASE, lease.namespace, lease.name)


def opened(lease: Lease) -> Lease:
    """The next status of a planned lease, with everything in it."""
    full = full_lease()
    return replace(lease, state=LeaseState.OPENING, permit=full.permit, handle=full.handle)


async def test_a_planned_lease_carries_the_finalizer_from_its_first_version(
    planned: Lease, api: FakeApi
):
    obj = await api.get(path_of(planned))
    assert obj["metadata"]["finalizers"] == [LEASE_FINALIZER]
    assert obj["metadata"]["generation"] == 1
    assert api.calls.count(("create", collection(Kind.LEASE, "team-a"))) == 1
    assert planned.uid == obj["metadata"]["uid"]


async def test_planning_a_lease_twice_conflicts(planned: Lease, cluster: KubeCluster):
    with pytest.raises(Conflict):
        await cluster.record(PlanLease(planned_lease()))


async def test_a_planned_lease_is_in_the_view_at_once(planned: Lease, cluster: KubeCluster):
    assert cluster.view().leases[planned.uid] == planned


async def test_what_a_quorum_read_does_not_find_leaves_the_view(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    await api.patch(path_of(planned), {"metadata": {"finalizers": []}})
    await api.delete(path_of(planned))
    assert planned.uid in cluster.view().leases, "nobody has told of it"
    assert await cluster.lease("team-a", planned.name) is None
    assert planned.uid not in cluster.view().leases


async def test_another_object_of_the_name_takes_the_place_of_the_old_one(
    cluster: KubeCluster, api: FakeApi, store: Store
):
    old = await api.create(JOBS, job_json())
    store.put(Kind.JOB, old)
    await api.delete(item(Kind.JOB, "team-a", old["metadata"]["name"]))
    new = await api.create(JOBS, job_json())
    await cluster.job("team-a", new["metadata"]["name"])
    assert set(cluster.view().jobs) == {new["metadata"]["uid"]}


@pytest.mark.parametrize(
    ("status", "field", "expected"),
    [
        (422, "spec.request.gracePeriodSeconds", WorkloadRejected),
        (422, "spec.offer.region", OfferRejected),
        (403, "spec.request", Refused),
    ],
)
async def test_a_record_that_the_schema_refuses_says_whose_fault_it_is(
    cluster: KubeCluster, api: FakeApi, status: int, field: str, expected: type[Exception]
):
    no = Refused("POST: invalid", status=status, fields=(field,))
    api.fail(Fault("create", collection(Kind.LEASE, "team-a"), no))
    with pytest.raises(expected) as raised:
        await cluster.record(PlanLease(planned_lease()))
    assert type(raised.value) is expected


async def test_a_status_write_returns_what_now_stands(planned: Lease, cluster: KubeCluster):
    wanted = opened(planned)
    written = await cluster.record(LeaseStatus(wanted))
    assert written is not None
    assert written == replace(wanted, resource_version=written.resource_version)
    assert written.resource_version != planned.resource_version
    assert cluster.view().leases[planned.uid] == written


async def test_a_status_write_touches_neither_spec_nor_metadata(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    before = await api.get(path_of(planned))
    await cluster.record(LeaseStatus(opened(planned)))
    after = await api.get(path_of(planned))
    assert after["spec"] == before["spec"]
    assert after["metadata"]["finalizers"] == before["metadata"]["finalizers"]
    assert after["metadata"]["generation"] == 1


async def test_an_equal_status_is_not_written(planned: Lease, cluster: KubeCluster, api: FakeApi):
    written = await cluster.record(LeaseStatus(opened(planned)))
    assert written is not None
    api.calls.clear()
    assert await cluster.record(LeaseStatus(written)) == written
    assert api.calls == []


async def test_a_vanished_field_is_nulled(planned: Lease, cluster: KubeCluster, api: FakeApi):
    written = await cluster.record(LeaseStatus(opened(planned)))
    assert written is not None
    assert written.handle is not None
    less = replace(written, permit=None, handle=replace(written.handle, data=()))
    await cluster.record(LeaseStatus(less))
    status = (await api.get(path_of(planned)))["status"]
    assert "permit" not in status
    assert status["handle"]["externalID"] == "18234"
    assert "data" not in status["handle"]


async def test_a_write_decided_on_an_old_version_conflicts(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    await cluster.record(LeaseStatus(opened(planned)))
    stale = replace(planned, state=LeaseState.CLOSING)
    with pytest.raises(Conflict):
        await cluster.record(LeaseStatus(stale))
    assert (await api.get(path_of(planned)))["status"]["state"] == "Opening"


async def test_a_conflict_is_found_even_when_the_cache_is_as_stale_as_the_decision(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    elsewhere = {"metadata": {}, "status": {"state": "Closing"}}
    await api.patch(f"{path_of(planned)}/status", elsewhere)
    with pytest.raises(Conflict):
        await cluster.record(LeaseStatus(opened(planned)))


async def test_a_decision_on_a_quorum_read_is_written_though_the_ear_lags(
    planned: Lease, cluster: KubeCluster, api: FakeApi, store: Store
):
    await api.patch(f"{path_of(planned)}/status", {"status": {"state": "Opening"}})
    fresh = await cluster.lease("team-a", planned.name)
    assert fresh is not None
    assert fresh.state is LeaseState.OPENING
    await cluster.record(LeaseStatus(replace(fresh, price_usd_per_hour=Decimal("2.5"))))
    assert (await api.get(path_of(planned)))["status"]["pricePerHourUSD"] == "2.5"


async def test_a_lost_answer_is_an_error_and_the_write_is_found_by_reading(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    api.fail(lost_answer("patch", path_of(planned)))
    with pytest.raises(ClusterUnavailable):
        await cluster.record(LeaseStatus(opened(planned)))
    assert cluster.view().leases[planned.uid].state is LeaseState.PLANNED
    fresh = await cluster.lease("team-a", planned.name)
    assert fresh is not None
    assert fresh.state is LeaseState.OPENING
    assert cluster.view().leases[planned.uid] == fresh


async def test_releasing_removes_only_our_finalizer(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    theirs = {"metadata": {"finalizers": ["audit.example/keep", LEASE_FINALIZER]}}
    await api.patch(path_of(planned), theirs)
    lease = await cluster.lease("team-a", planned.name)
    assert lease is not None
    released = await cluster.record(ReleaseLease(lease))
    assert released is not None
    assert not released.has_finalizer
    meta = (await api.get(path_of(planned)))["metadata"]
    assert meta["finalizers"] == ["audit.example/keep"]


async def test_releasing_a_deleted_lease_ends_it(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    await api.delete(path_of(planned))
    lease = await cluster.lease("team-a", planned.name)
    assert lease is not None
    assert lease.deletion_requested
    await cluster.record(ReleaseLease(lease))
    assert cluster.view().leases == {}
    assert await cluster.lease("team-a", planned.name) is None


async def test_releasing_on_an_old_version_conflicts_and_keeps_the_finalizer(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    await cluster.record(LeaseStatus(opened(planned)))
    with pytest.raises(Conflict):
        await cluster.record(ReleaseLease(planned))
    assert (await api.get(path_of(planned)))["metadata"]["finalizers"] == [LEASE_FINALIZER]


async def test_a_lease_of_the_same_name_but_another_uid_is_gone(
    planned: Lease, cluster: KubeCluster, api: FakeApi, store: Store
):
    await api.remove(path_of(planned))
    store.drop(Kind.LEASE, planned.uid)
    await cluster.record(PlanLease(planned_lease()))
    with pytest.raises(Gone):
        await cluster.record(ReleaseLease(planned))
    with pytest.raises(Gone):
        await cluster.record(LeaseStatus(opened(planned)))


async def test_deleting_a_released_lease_drops_it(planned: Lease, cluster: KubeCluster):
    released = await cluster.record(ReleaseLease(planned))
    assert released is not None
    await cluster.record(DeleteLease(released))
    assert cluster.view().leases == {}


async def test_deleting_a_lease_that_still_has_its_finalizer_only_asks(
    planned: Lease, cluster: KubeCluster
):
    await cluster.record(DeleteLease(planned))
    assert cluster.view().leases[planned.uid].deletion_requested


async def test_all_leases_are_read_from_the_server_not_from_the_cache(
    planned: Lease, cluster: KubeCluster, store: Store
):
    store.drop(Kind.LEASE, planned.uid)
    assert await cluster.all_leases() == [planned]


async def test_one_unreadable_lease_makes_the_whole_list_an_error(
    planned: Lease, cluster: KubeCluster, api: FakeApi, store: Store
):
    store.drop(Kind.LEASE, planned.uid)
    await api.patch(path_of(planned), {"spec": {"hardDeadlineTime": "never"}})
    with pytest.raises(ClusterUnavailable, match="hardDeadlineTime"):
        await cluster.all_leases()


async def test_all_leases_have_the_servers_status_and_not_the_caches(
    planned: Lease, cluster: KubeCluster, api: FakeApi
):
    await api.patch(f"{path_of(planned)}/status", {"status": {"state": "Closing"}})
    (found,) = await cluster.all_leases()
    assert cluster.view().leases[planned.uid].state is LeaseState.PLANNED
    assert found.state is LeaseState.CLOSING


async def test_a_job_status_is_written_whole_and_equal_ones_are_skipped(
    cluster: KubeCluster, api: FakeApi
):
    await api.create(JOBS, job_json())
    job = await cluster.job("team-a", "train")
    assert job is not None
    document = {"phase": "Waiting", "moves": 0, "conditions": [{"type": "Placed"}]}
    await cluster.record(JobStatus(job, document))
    newer = cluster.view().jobs[job.ref.uid]
    assert newer.status == document
    api.calls.clear()
    await cluster.record(JobStatus(newer, {**document, "decision": None}))
    assert api.calls == []


async def test_deleting_a_job_checks_uid_and_version(cluster: KubeCluster, api: FakeApi):
    await api.create(JOBS, job_json())
    job = await cluster.job("team-a", "train")
    assert job is not None
    await api.patch(f"{JOBS}/train", {"spec": {"suspend": True}})
    with pytest.raises(Conflict):
        await cluster.record(DeleteJob(job))
    fresh = await cluster.job("team-a", "train")
    assert fresh is not None
    await cluster.record(DeleteJob(fresh))
    assert await cluster.job("team-a", "train") is None


@pytest.mark.parametrize("known", [True, False], ids=["from the cache", "not yet heard of"])
async def test_budgets_and_providers_are_written_on_their_version(
    cluster: KubeCluster, api: FakeApi, store: Store, known: bool
):
    budget = await api.create(
        collection(Kind.BUDGET, "team-a"), {"metadata": {"name": "b"}, "spec": {"limitUSD": "9"}}
    )
    market = await api.create(
        collection(Kind.PROVIDER), {"metadata": {"name": "akash"}, "spec": {"type": "Akash"}}
    )
    seen = Store()
    for target in (seen, store) if known else (seen,):
        target.put(Kind.BUDGET, budget)
        target.put(Kind.PROVIDER, market)
    view = seen.view()
    await cluster.record(BudgetStatus(view.budgets[0], {"spentUSD": "1"}))
    await cluster.record(ProviderStatus(view.accounts["akash"], {"leases": 1}))
    assert cluster.view().budgets[0].spent_usd == Decimal(1)
    assert cluster.view().accounts["akash"].status == {"leases": 1}
    with pytest.raises(Conflict):
        await cluster.record(BudgetStatus(view.budgets[0], {"spentUSD": "2"}))


async def test_the_cluster_id_is_the_uid_of_kube_system(api: FakeApi):
    await api.create("/api/v1/namespaces", {"metadata": {"name": "kube-system", "uid": "the-id"}})
    assert await cluster_id(api) == "the-id"


ACCOUNT = item(Kind.PROVIDER, "", "akash")


async def known_account(api: FakeApi, store: Store, **meta: object) -> ProviderAccount:
    """A GPUProvider that the store has heard of."""
    body = {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "GPUProvider",
        "metadata": {"name": "akash", **meta},
        "spec": {"type": "Akash"},
    }
    store.put(Kind.PROVIDER, await api.put(ACCOUNT, body))
    return store.view().accounts["akash"]


async def test_an_account_is_held_beside_other_peoples_finalizers(
    cluster: KubeCluster, api: FakeApi, store: Store
):
    account = await known_account(api, store, finalizers=["audit.example/keep"])
    await cluster.record(HoldProvider(account))
    found = await api.get(ACCOUNT)
    assert found["metadata"]["finalizers"] == ["audit.example/keep", PROVIDER_FINALIZER]
    assert found["spec"] == {"type": "Akash"}
    assert cluster.view().accounts["akash"].is_held
    api.calls.clear()
    await cluster.record(HoldProvider(account))
    assert [verb for verb, _ in api.calls] == ["get"], "held already"
    await cluster.record(ReleaseProvider(cluster.view().accounts["akash"]))
    assert (await api.get(ACCOUNT))["metadata"]["finalizers"] == ["audit.example/keep"]
    assert not cluster.view().accounts["akash"].is_held


async def test_an_account_that_is_being_deleted_is_not_held_any_more(
    cluster: KubeCluster, api: FakeApi, store: Store
):
    account = await known_account(api, store, finalizers=["audit.example/keep"])
    await api.delete(ACCOUNT)
    with pytest.raises(Conflict):
        await cluster.record(HoldProvider(account))
    assert (await api.get(ACCOUNT))["metadata"]["finalizers"] == ["audit.example/keep"]


async def test_letting_go_of_a_deleted_account_ends_it(
    cluster: KubeCluster, api: FakeApi, store: Store
):
    await cluster.record(HoldProvider(await known_account(api, store)))
    store.put(Kind.PROVIDER, await api.delete(ACCOUNT))
    account = cluster.view().accounts["akash"]
    assert (account.deletion_requested, account.suspended, account.is_held) == (True, True, True)
    await cluster.record(ReleaseProvider(account))
    assert cluster.view().accounts == {}
    with pytest.raises(Gone):
        await api.get(ACCOUNT)


async def test_letting_go_on_an_old_version_conflicts(
    cluster: KubeCluster, api: FakeApi, store: Store
):
    await cluster.record(HoldProvider(await known_account(api, store)))
    account = cluster.view().accounts["akash"]
    await api.patch(f"{ACCOUNT}/status", {"status": {"leases": 1}})
    with pytest.raises(Conflict):
        await cluster.record(ReleaseProvider(account))
    assert PROVIDER_FINALIZER in (await api.get(ACCOUNT))["metadata"]["finalizers"]
