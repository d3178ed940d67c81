"""Opening, adopting, closing and listing children, against an API server in memory."""

from decimal import Decimal

import pytest

from overspill.core.errors import (
    AuthRejected,
    ClusterUnavailable,
    Gone,
    LeaseNotFound,
    OfferRejected,
    OpenUncertain,
    OverspillError,
    ProviderError,
    Unavailable,
    WorkloadRejected,
)
from overspill.core.lease import Handle
from overspill.kube.answers import Refused
from overspill.providers.in_cluster import InCluster
from overspill.testing.clock import ManualClock
from overspill.testing.fakeapi import FakeApi, Fault
from overspill.testing.home import CLUSTER_ID, FakeHome, home_account, home_request

JOBS = "/apis/batch/v1/namespaces/team-a/jobs"
SERVICES = "/api/v1/namespaces/team-a/services"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def provider(api: FakeApi) -> InCluster:
    return InCluster(home_account(), api, FakeHome(), ManualClock(), CLUSTER_ID)


async def test_opens_with_one_post(api: FakeApi, provider: InCluster) -> None:
    request = home_request()

    step = await provider.open(request)

    assert api.calls == [("create", JOBS)]
    assert step.is_complete
    assert not step.next_costs
    assert step.price_usd_per_hour == Decimal(2)
    job = await api.get(f"{JOBS}/{request.key}")
    assert step.handle.key == request.key
    assert step.handle.external_id == job["metadata"]["uid"]


async def test_opening_twice_opens_once(api: FakeApi, provider: InCluster) -> None:
    first = await provider.open(home_request())
    second = await provider.open(home_request())

    assert first.handle == second.handle
    assert len(await api.list_all(JOBS)) == 1


async def test_a_lost_answer_is_unknown_and_the_repeat_adopts(
    api: FakeApi, provider: InCluster
) -> None:
    api.fail(Fault("create", JOBS, ClusterUnavailable("POST: no answer"), after=True))

    with pytest.raises(OpenUncertain):
        await provider.open(home_request())

    assert (await provider.open(home_request())).is_complete
    assert len(await api.list_all(JOBS)) == 1


async def test_a_strangers_job_of_that_name_is_not_adopted(
    api: FakeApi, provider: InCluster
) -> None:
    name = home_request().key
    await api.create(JOBS, {"metadata": {"name": name, "labels": {}}, "spec": {}})

    with pytest.raises(OfferRejected, match="not of this GPUJob"):
        await provider.open(home_request())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            Refused("POST: exceeded quota: gpus", status=403), OfferRejected, id="a quota is full"
        ),
        pytest.param(Refused("POST: spec invalid", status=422), WorkloadRejected, id="invalid"),
        pytest.param(Refused("POST: no Job", status=400), WorkloadRejected, id="no shape of a Job"),
        pytest.param(
            Refused("POST: a policy denied request", status=422), OfferRejected, id="a policy"
        ),
        pytest.param(Gone("POST: namespaces not found"), OfferRejected, id="namespace gone"),
        pytest.param(
            Refused('POST: User "x" cannot create resource "jobs"', status=403),
            AuthRejected,
            id="our rights are missing",
        ),
    ],
)
async def test_a_refusal_is_definitive_and_in_the_servers_words(
    api: FakeApi, provider: InCluster, answer: OverspillError, expected: type[ProviderError]
) -> None:
    api.fail(Fault("create", JOBS, answer))

    with pytest.raises(expected, match=r"^POST: ") as refused:
        await provider.open(home_request())
    assert type(refused.value) is expected


async def test_a_gang_brings_its_service(api: FakeApi, provider: InCluster) -> None:
    request = home_request(asked={"num_nodes": 2, "home_node": ""})

    step = await provider.open(request)
    await provider.open(request)

    [service] = await api.list_all(SERVICES)
    assert service["metadata"]["ownerReferences"][0]["uid"] == step.handle.external_id
    assert step.handle.get("pods") == "2"


async def test_a_gang_whose_service_was_lost_is_completed_by_the_repeat(
    api: FakeApi, provider: InCluster
) -> None:
    request = home_request(asked={"num_nodes": 2})
    api.fail(Fault("create", SERVICES, ClusterUnavailable("POST: no answer")))

    with pytest.raises(OpenUncertain):
        await provider.open(request)
    await provider.open(request)

    assert len(await api.list_all(SERVICES)) == 1
    assert len(await api.list_all(JOBS)) == 1


async def test_closing_is_silent_when_gone(api: FakeApi, provider: InCluster) -> None:
    handle = (await provider.open(home_request())).handle

    await provider.close(handle)
    await provider.close(handle)

    assert await api.list_all(JOBS) == []
    with pytest.raises(LeaseNotFound):
        await provider.observe(handle)


async def test_closing_spares_another_job_of_the_same_name(
    api: FakeApi, provider: InCluster
) -> None:
    old = (await provider.open(home_request())).handle
    await api.remove(f"{JOBS}/{old.key}")
    await provider.open(home_request())

    await provider.close(old)

    assert len(await api.list_all(JOBS)) == 1
    with pytest.raises(LeaseNotFound):
        await provider.observe(old)


async def test_a_handle_of_nothing_but_the_key_is_enough(api: FakeApi, provider: InCluster) -> None:
    request = home_request()
    await provider.open(request)

    assert (await provider.observe(Handle(request.key))).reason == "NoPods"
    await provider.close(Handle(request.key))

    assert await api.list_all(JOBS) == []
    with pytest.raises(LeaseNotFound):
        await provider.observe(Handle(request.key))
    await provider.close(Handle(request.key))


async def test_an_api_server_that_is_away_is_no_proof(api: FakeApi, provider: InCluster) -> None:
    handle = (await provider.open(home_request())).handle
    away = ClusterUnavailable("no answer")
    for verb in ("get", "list", "delete"):
        api.fail(Fault(verb, "/apis/batch/v1", away, times=9))

    for call in (provider.observe(handle), provider.close(handle), provider.leases()):
        with pytest.raises(Unavailable):
            await call


async def test_lists_the_children_of_this_cluster_id(api: FakeApi, provider: InCluster) -> None:
    mine = await provider.open(home_request())
    done = await provider.open(home_request(job_uid="other"))
    job = await api.get(f"{JOBS}/{done.handle.key}")
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    await api.put(f"{JOBS}/{done.handle.key}", job)
    foreign = {"overspill.dev/cluster": "ffffffff"}
    await api.create(JOBS, {"metadata": {"name": "gl-ffffffff-1", "labels": foreign}, "spec": {}})

    held = {h.handle: h.is_live for h in await provider.leases()}

    assert held == {mine.handle: True, done.handle: False}
