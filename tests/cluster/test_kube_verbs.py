"""The raw verbs against the real API server: what each answer becomes, and what breaks a watch."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from overspill.core.errors import ClusterUnavailable, Conflict, Gone
from overspill.kube.verbs import Refused, Verbs
from overspill.kube.wire import WatchLimits
from overspill.testing.bed import Bed
from overspill.testing.connection import connected

pytestmark = pytest.mark.cluster


@pytest.fixture
async def verbs(bed: Bed) -> AsyncIterator[Verbs]:
    async with connected(bed.kubeconfig) as verbs:
        yield verbs


@pytest.fixture
def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def configmap(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_create_get_patch_replace_delete(verbs: Verbs, maps: str):
    made = await verbs.create(maps, configmap("a", x="1"))
    assert (await verbs.get(f"{maps}/a"))["metadata"]["uid"] == made["metadata"]["uid"]
    patched = await verbs.patch(f"{maps}/a", {"data": {"x": None, "y": "2"}})
    assert patched["data"] == {"y": "2"}
    patched["data"]["z"] = "3"
    replaced = await verbs.replace(f"{maps}/a", patched)
    assert replaced["data"] == {"y": "2", "z": "3"}
    await verbs.delete(f"{maps}/a")
    with pytest.raises(Gone):
        await verbs.get(f"{maps}/a")


async def test_what_exists_already_conflicts(verbs: Verbs, maps: str):
    await verbs.create(maps, configmap("a"))
    with pytest.raises(Conflict, match="already exists"):
        await verbs.create(maps, configmap("a"))


async def test_an_old_version_or_another_uid_conflicts(verbs: Verbs, maps: str):
    made = await verbs.create(maps, configmap("a"))
    old = made["metadata"]["resourceVersion"]
    await verbs.patch(f"{maps}/a", {"data": {"x": "1"}})
    with pytest.raises(Conflict):
        await verbs.patch(f"{maps}/a", {"metadata": {"resourceVersion": old}, "data": {"x": "2"}})
    with pytest.raises(Gone):
        await verbs.patch(f"{maps}/a", {"metadata": {"uid": "another"}, "data": {"x": "2"}})
    for precondition in ({"uid": "another"}, {"resourceVersion": old}):
        with pytest.raises(Conflict):
            await verbs.delete(f"{maps}/a", {"preconditions": precondition})
    assert (await verbs.get(f"{maps}/a"))["data"] == {"x": "1"}


async def test_a_refusal_carries_the_servers_sentence(verbs: Verbs, maps: str):
    with pytest.raises(Refused, match="Invalid value") as caught:
        await verbs.create(maps, configmap("NOT A NAME"))
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")


async def test_what_rbac_forbids_is_refused(bed: Bed, namespace: str, maps: str):
    async with connected(bed.token_kubeconfig(namespace, "default")) as stranger:
        with pytest.raises(Refused, match="forbidden") as caught:
            await stranger.get(maps)
    assert caught.value.status == 403


async def test_a_list_of_many_pages_is_complete(verbs: Verbs, maps: str):
    names = [f"m-{n:04d}" for n in range(1100)]
    gate = asyncio.Semaphore(16)

    async def make(name: str) -> None:
        async with gate:
            await verbs.create(maps, configmap(name))

    await asyncio.gather(*(make(name) for name in names))
    listing = await verbs.list_consistent(
        maps, {"fieldSelector": "metadata.name!=kube-root-ca.crt"}
    )
    assert sorted(m["metadata"]["name"] for m in listing.items) == names
    assert int(listing.resource_version) > 0


async def test_a_watch_follows_and_ends_with_its_time(verbs: Verbs, maps: str):
    start = (await verbs.list_consistent(maps)).resource_version
    await verbs.create(maps, configmap("a", x="1"))
    await verbs.patch(f"{maps}/a", {"data": {"x": "2"}})
    await verbs.delete(f"{maps}/a")
    params = {"resourceVersion": start, "fieldSelector": "metadata.name=a"}
    began = time.monotonic()
    seen = [
        (kind, obj.get("data", {}).get("x"))
        async for kind, obj in verbs.watch(maps, params, WatchLimits(timeout_s=2))
        if kind != "BOOKMARK"
    ]
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
    assert 1 < time.monotonic() - began < 10


async def test_a_silent_watch_is_given_up(bed: Bed, verbs: Verbs, maps: str):
    start = (await verbs.list_consistent(maps)).resource_version
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="silent"):
        async for _ in verbs.watch(
            maps, {"resourceVersion": start}, WatchLimits(timeout_s=60, inactivity_s=1)
        ):
            pass
    assert time.monotonic() - began < 5


async def test_a_call_to_a_server_that_hangs_ends_at_its_deadline(bed: Bed):
    async with connected(bed.kubeconfig, deadline_s=1) as verbs:
        await verbs.get("/api/v1/namespaces/default")
        bed.apiserver.pause()
        try:
            for call in (verbs.get, lambda path: verbs.create(path, {})):
                began = time.monotonic()
                with pytest.raises(ClusterUnavailable, match="no answer within 1 s"):
                    await call("/api/v1/namespaces")
                assert time.monotonic() - began < 3
        finally:
            bed.apiserver.resume()


async def test_a_server_that_is_down_is_unavailable_and_comes_back(bed: Bed, verbs: Verbs):
    bed.apiserver.kill()
    try:
        with pytest.raises(ClusterUnavailable):
            await verbs.get("/api/v1/namespaces/default")
    finally:
        bed.apiserver.start()
    assert (await verbs.get("/api/v1/namespaces/default"))["kind"] == "Namespace"
