"""Events reach the user, repeats are counted, and no failure of theirs reaches the engine."""

import pytest

from overspill.core.errors import ClusterUnavailable
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.kube.cluster import KubeCluster
from overspill.kube.mapping import read_job
from overspill.ports import AccountEvent, Event
from overspill.testing.fakeapi import FakeApi, Fault
from overspill.testing.fakeclock import FakeClock
from overspill.testing.kube_samples import JOB_UID, job_json, stored

EVENTS = "/apis/events.k8s.io/v1/namespaces/team-a/events"
JOB = read_job(stored(job_json(), JOB_UID, 5))


def event(message: str = "akash/us-west for 3.10 USD/h", **more: bool) -> Event:
    return Event(JOB, "LeaseOpened", message, **more)


async def test_an_event_regards_its_job(cluster: KubeCluster, api: FakeApi):
    await cluster.record(event(is_warning=True))
    (found,) = await api.list_all(EVENTS)
    assert found["regarding"]["uid"] == JOB_UID
    assert (found["type"], found["reason"], found["action"]) == ("Warning",) + ("LeaseOpened",) * 2
    assert found["eventTime"] == "2026-01-01T00:00:00.000000Z"
    assert "series" not in found


async def test_the_same_words_again_raise_the_count(
    cluster: KubeCluster, api: FakeApi, clock: FakeClock
):
    for _ in range(3):
        await cluster.record(event())
        await clock.advance(60)
    (found,) = await api.list_all(EVENTS)
    assert found["series"] == {"count": 3, "lastObservedTime": "2026-01-01T00:02:00.000000Z"}


async def test_other_words_are_another_event(cluster: KubeCluster, api: FakeApi):
    await cluster.record(event("one"))
    await cluster.record(event("two"))
    assert len(await api.list_all(EVENTS)) == 2


async def test_after_a_long_silence_a_new_event_begins(
    cluster: KubeCluster, api: FakeApi, clock: FakeClock
):
    await cluster.record(event())
    await clock.advance(361)
    await cluster.record(event())
    assert len(await api.list_all(EVENTS)) == 2


async def test_an_event_that_expired_on_the_server_is_written_anew(
    cluster: KubeCluster, api: FakeApi
):
    await cluster.record(event())
    (found,) = await api.list_all(EVENTS)
    await api.remove(f"{EVENTS}/{found['metadata']['name']}")
    await cluster.record(event())
    assert len(await api.list_all(EVENTS)) == 1


@pytest.mark.parametrize("verb", ["create", "patch"])
async def test_a_failure_is_swallowed(cluster: KubeCluster, api: FakeApi, verb: str):
    if verb == "patch":
        await cluster.record(event())
    api.fail(Fault(verb, EVENTS, ClusterUnavailable("away")))
    await cluster.record(event())
    assert api.calls[-1][0] == verb


async def test_a_long_message_is_cut_to_what_the_api_takes(cluster: KubeCluster, api: FakeApi):
    await cluster.record(event("x" * 5000))
    (found,) = await api.list_all(EVENTS)
    assert len(found["note"]) == 1024


async def test_an_event_of_an_account_stands_where_kubectl_looks_for_it(
    cluster: KubeCluster, api: FakeApi
):
    account = ProviderAccount("akash", ProviderType.AKASH, uid="uid-akash")
    await cluster.record(AccountEvent(account, "RunwayShort", "top it up", is_warning=True))
    (found,) = await api.list_all("/apis/events.k8s.io/v1/namespaces/default/events")
    regarding = found["regarding"]
    assert (regarding["kind"], regarding["name"]) == ("GPUProvider", "akash")
    assert regarding["uid"] == "uid-akash"
    assert "namespace" not in regarding
